//! Where security events go: the settings that every function shares.

use std::time::Duration;

use portcullis_audit::{
    AuditError, AuditRecord, AuditorSettings, MirrorFailure, OnAuditFailure, TrailSettings,
};

use crate::Settings;

/// The settings of the audit trail.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// `AUDIT_TABLE`: name of the audit table. `AUDIT_RETENTION_DAYS`: how long its records are kept; for ever where
    /// absent. `AUDIT_BUS`: name or ARN of an EventBridge bus that gets every event too; none where absent.
    /// `AUDIT_BUS_ON_FAILURE`: `refuse` or `continue` (default) where the bus alone fails.
    pub trail: TrailSettings,
    /// `AUDIT_ON_FAILURE`: `refuse` (default) or `continue` where an event cannot be recorded.
    pub on_failure: OnAuditFailure,
}

impl AuditConfig {
    /// Reads them.
    pub fn read<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Self {
        let days = s.parsed("AUDIT_RETENTION_DAYS", 0_u64, |days| (1..=36_500).contains(days));
        let on_bus_failure = match s.parsed("AUDIT_BUS_ON_FAILURE", OnAuditFailure::Continue, |_| true) {
            OnAuditFailure::Refuse => MirrorFailure::Refuse,
            OnAuditFailure::Continue => MirrorFailure::Tell(log_lost_mirror),
        };
        let trail = TrailSettings {
            table: s.required("AUDIT_TABLE"),
            retention: (days > 0).then(|| Duration::from_secs(days * 24 * 60 * 60)),
            bus: s.optional("AUDIT_BUS"),
            on_bus_failure,
        };
        Self { trail, on_failure: s.parsed("AUDIT_ON_FAILURE", OnAuditFailure::Refuse, |_| true) }
    }

    /// How the auditor of a function behaves under these settings.
    pub const fn auditor(&self, function: &'static str) -> AuditorSettings {
        AuditorSettings { function, on_failure: self.on_failure, on_loss: log_lost_record }
    }
}

/// Writes an event that could not be recorded into the log, whole: it holds no secret, and no other trace of it exists.
pub fn log_lost_record(record: &AuditRecord, error: AuditError) {
    tracing::error!(%error, record = record.body(), "security event not recorded");
}

/// Tells of events that the bus did not take, though the table has them.
pub fn log_lost_mirror(records: usize, error: AuditError) {
    tracing::error!(%error, records, "security events not on the bus");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<AuditConfig, String> {
        let lookup = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let mut settings = Settings::new(lookup);
        let config = AuditConfig::read(&mut settings);
        settings.finish().map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_table_is_enough_and_losses_are_refused() {
        let config = read(&[("AUDIT_TABLE", "audit")]).unwrap();
        let TrailSettings { table, retention, bus, on_bus_failure } = &config.trail;
        assert_eq!((table.as_str(), *retention, bus), ("audit", None, &None));
        assert!(matches!(on_bus_failure, MirrorFailure::Tell(_)));
        assert_eq!(config.on_failure, OnAuditFailure::Refuse);
        assert_eq!(config.auditor("pii").on_failure, OnAuditFailure::Refuse);
    }

    #[test]
    fn settings_are_taken_over_or_named() {
        let table = ("AUDIT_TABLE", "audit");
        let config = read(&[
            table,
            ("AUDIT_RETENTION_DAYS", "365"),
            ("AUDIT_BUS", "siem"),
            ("AUDIT_BUS_ON_FAILURE", "refuse"),
            ("AUDIT_ON_FAILURE", "continue"),
        ]);
        let AuditConfig { trail, on_failure } = config.unwrap();
        assert_eq!(trail.retention, Some(Duration::from_secs(365 * 86_400)));
        assert_eq!((trail.bus.as_deref(), on_failure), (Some("siem"), OnAuditFailure::Continue));
        assert!(matches!(trail.on_bus_failure, MirrorFailure::Refuse));
        assert!(read(&[]).unwrap_err().contains("AUDIT_TABLE"));
        for (name, value) in [
            ("AUDIT_RETENTION_DAYS", "0"),
            ("AUDIT_RETENTION_DAYS", "-1"),
            ("AUDIT_ON_FAILURE", "ignore"),
            ("AUDIT_BUS_ON_FAILURE", "maybe"),
        ] {
            let error = read(&[table, (name, value)]).unwrap_err();
            assert!(error.contains(name), "{name}={value}: {error}");
        }
    }
}
