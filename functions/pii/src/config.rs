//! The function's settings, from its environment.

use portcullis_lambda::{AuditConfig, Settings, SettingsError};
use portcullis_pii::ClassificationPolicy;

/// The settings of the PII function.
#[derive(Debug, Clone)]
pub struct Config {
    /// `CONVERSATIONS_TABLE`: name of the conversations table.
    pub conversations_table: String,
    /// `SUBJECT_KEYS_TABLE`: name of the subject-keys table.
    pub subject_keys_table: String,
    /// `CONVERSATION_KEY_ID`: KMS key for conversations.
    pub conversation_key_id: String,
    /// `MEDIA_KEY_ID`: KMS key for media.
    pub media_key_id: String,
    /// `CLAIM_CHECK_BUCKET`: bucket of items over the queues' size limit, and of sealed fields over the table's.
    pub claim_check_bucket: String,
    /// `TEXT_DLQ_URL`: dead-letter queue of the text queue.
    pub text_dlq_url: String,
    /// `MEDIA_DLQ_URL`: dead-letter queue of the media queue.
    pub media_dlq_url: String,
    /// Last part of `MEDIA_QUEUE_URL`: a batch from the queue of this name is of the media lane.
    pub media_queue: String,
    /// `CLASSIFICATION_POLICY`: a classification policy as YAML; the shipped one where absent.
    pub policy: ClassificationPolicy,
    /// `AUDIT_TABLE`, `AUDIT_ON_FAILURE` and what else there is.
    pub audit: AuditConfig,
    /// `LOG_LEVEL`: a `tracing` filter; `info` where absent.
    pub log_level: String,
}

impl Config {
    /// Reads the process environment.
    ///
    /// # Errors
    /// Everything that is missing or not valid, at once.
    #[expect(clippy::disallowed_methods, reason = "the one place where this function reads its environment")]
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads settings from `lookup`.
    ///
    /// # Errors
    /// Everything that is missing or not valid, at once.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut s = Settings::new(lookup);
        let policy = match s.optional("CLASSIFICATION_POLICY") {
            None => ClassificationPolicy::default(),
            Some(yaml) => ClassificationPolicy::parse(&yaml).unwrap_or_else(|error| {
                s.problem(format!("CLASSIFICATION_POLICY: {error}"));
                ClassificationPolicy::default()
            }),
        };
        let config = Self {
            conversations_table: s.required("CONVERSATIONS_TABLE"),
            subject_keys_table: s.required("SUBJECT_KEYS_TABLE"),
            conversation_key_id: s.required("CONVERSATION_KEY_ID"),
            media_key_id: s.required("MEDIA_KEY_ID"),
            claim_check_bucket: s.required("CLAIM_CHECK_BUCKET"),
            text_dlq_url: s.required("TEXT_DLQ_URL"),
            media_dlq_url: s.required("MEDIA_DLQ_URL"),
            media_queue: s.required("MEDIA_QUEUE_URL").rsplit('/').next().unwrap_or_default().to_owned(),
            policy,
            audit: AuditConfig::read(&mut s),
            log_level: s.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
        };
        s.finish()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_setting_is_named_at_once() {
        let error = Config::from_lookup(|_| None).unwrap_err();
        assert_eq!(error.problems().len(), 9, "{error}");
    }

    #[test]
    fn a_broken_policy_is_refused_rather_than_replaced_by_the_default() {
        let set =
            |name: &str| Some(if name == "CLASSIFICATION_POLICY" { "classes: 7" } else { "x" }.to_owned());
        assert!(Config::from_lookup(set).unwrap_err().to_string().contains("CLASSIFICATION_POLICY"));
    }
}
