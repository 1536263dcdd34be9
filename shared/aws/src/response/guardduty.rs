//! GuardDuty's findings.

use aws_sdk_guardduty::types::Feedback;
use portcullis_response::{FindingState, Findings, PortError, PortResult};

use super::AwsAccount;
use super::failure::failed;

impl Findings for AwsAccount {
    /// No call of GuardDuty gives a comment back: this knows those that it took from this process. Another process
    /// comments again, which leaves the same comment.
    async fn finding(&self, detector: &str, id: &str) -> PortResult<FindingState> {
        let call = self.clients.guardduty().get_findings().detector_id(detector).finding_ids(id);
        let answer = call.send().await.map_err(|e| failed("guardduty:GetFindings", &e))?;
        let mut found = answer.findings.unwrap_or_default().into_iter();
        let found = found.find(|finding| finding.id.as_deref() == Some(id)).ok_or(PortError::NotFound)?;
        Ok(FindingState {
            archived: found.service.and_then(|service| service.archived).unwrap_or(false),
            comment: self.comments().get(&(detector.to_owned(), id.to_owned())).cloned(),
        })
    }

    async fn archive(&self, detector: &str, id: &str) -> PortResult<()> {
        let call = self.clients.guardduty().archive_findings().detector_id(detector).finding_ids(id);
        call.send().await.map_err(|e| failed("guardduty:ArchiveFindings", &e))?;
        Ok(())
    }

    async fn unarchive(&self, detector: &str, id: &str) -> PortResult<()> {
        let call = self.clients.guardduty().unarchive_findings().detector_id(detector).finding_ids(id);
        call.send().await.map_err(|e| failed("guardduty:UnarchiveFindings", &e))?;
        Ok(())
    }

    async fn comment(&self, detector: &str, id: &str, text: &str) -> PortResult<()> {
        let call = self.clients.guardduty().update_findings_feedback().detector_id(detector).finding_ids(id);
        let call = call.feedback(Feedback::Useful).comments(text);
        call.send().await.map_err(|e| failed("guardduty:UpdateFindingsFeedback", &e))?;
        let mut comments = self.comments();
        if comments.len() >= MAX_COMMENTS {
            comments.clear();
        }
        comments.insert((detector.to_owned(), id.to_owned()), text.to_owned());
        Ok(())
    }
}

/// How many comments are remembered, for the next read of the step that made one.
const MAX_COMMENTS: usize = 256;
