//! How far the audit of each region came.

use portcullis_detection::{AuditProgress, HistoryError, ProgressStore};
use portcullis_response::PortError;

use super::super::item::{string, take_string};
use super::{Condition, DynamoIncidents, Put, check_size, parsed, whole};

impl ProgressStore for DynamoIncidents {
    async fn progress(&self, region: &str) -> Result<Option<AuditProgress>, HistoryError> {
        let Some(mut item) = self.item(&key(region), PROGRESS).await.map_err(history)? else {
            return Ok(None);
        };
        let body = take_string(&mut item, "body").map_err(|malformed| history(malformed.into()))?;
        parsed(&body).map(Some).map_err(history)
    }

    async fn save_progress(&self, region: &str, progress: &AuditProgress) -> Result<(), HistoryError> {
        let condition = match progress.revision.checked_sub(1) {
            None => return Err(HistoryError::Conflict),
            Some(0) => Condition::Absent,
            Some(revision) => Condition::Revision(revision),
        };
        let body = serde_json::to_string(progress).map_err(|e| HistoryError::Refused(e.to_string()))?;
        check_size(&body).map_err(history)?;
        let attributes = [
            ("pk", string(key(region))),
            ("sk", string(PROGRESS)),
            ("body", string(body)),
            ("revision", whole(progress.revision)),
        ];
        let item = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        match self.put(item, &condition).await.map_err(history)? {
            Put::Done => Ok(()),
            Put::Found(_) => Err(HistoryError::Conflict),
        }
    }
}

fn key(region: &str) -> String {
    format!("progress#{region}")
}

fn history(error: PortError) -> HistoryError {
    match error {
        PortError::Throttled => HistoryError::Throttled,
        PortError::Timeout => HistoryError::Timeout,
        PortError::Conflict => HistoryError::Conflict,
        PortError::Denied(action) => HistoryError::Denied(action),
        error @ (PortError::NotFound | PortError::Unreadable) => HistoryError::Refused(error.to_string()),
        PortError::Refused(reason) => HistoryError::Refused(reason),
    }
}

const PROGRESS: &str = "progress";
