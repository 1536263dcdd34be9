//! Events in, records out, before the answer.

use std::fmt;
use std::str::FromStr;

use portcullis_base::Clock;

use crate::{AuditError, AuditRecord, AuditSink, RecordId, SecurityEvent, ocsf};

/// Makes records of events and appends them.
pub struct Auditor<S, C> {
    sink: S,
    clock: C,
    settings: AuditorSettings,
}

/// How an [`Auditor`] behaves.
#[derive(Debug, Clone, Copy)]
pub struct AuditorSettings {
    /// The function that the events come from (`metadata.product.feature.name`): `sts`, `pii`, ….
    pub function: &'static str,
    /// What happens when a record cannot be kept.
    pub on_failure: OnAuditFailure,
    /// Told of every record that was not kept, whatever `on_failure` says: the place to log it. It holds no secret. Of an
    /// event that could not be made a record (no randomness for its id, a body over [`AuditRecord::MAX_BODY`]) it is told
    /// by a record of the time, with a body that is an empty object.
    pub on_loss: fn(&AuditRecord, AuditError),
}

/// What happens to an answer whose record cannot be kept. `AUDIT_ON_FAILURE`: `refuse` (default) or `continue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnAuditFailure {
    /// It is not given: [`Auditor::record`] fails.
    #[default]
    Refuse,
    /// It is given; the record is lost but for [`AuditorSettings::on_loss`].
    Continue,
}

impl FromStr for OnAuditFailure {
    type Err = UnknownOnAuditFailure;

    fn from_str(text: &str) -> Result<Self, UnknownOnAuditFailure> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "continue" => Ok(Self::Continue),
            _ => Err(UnknownOnAuditFailure),
        }
    }
}

/// Neither `refuse` nor `continue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither refuse nor continue")]
pub struct UnknownOnAuditFailure;

/// The event was not recorded, and the answer that it records must not be given: answer 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the security event could not be recorded")]
pub struct AuditUnavailable;

impl<S: AuditSink, C: Clock> Auditor<S, C> {
    /// An auditor over this sink.
    pub const fn new(sink: S, clock: C, settings: AuditorSettings) -> Self {
        Self { sink, clock, settings }
    }

    /// Records an event: to be awaited before the answer is given.
    ///
    /// # Errors
    /// When it was not recorded and [`OnAuditFailure::Refuse`] is set.
    pub async fn record(&self, event: SecurityEvent) -> Result<(), AuditUnavailable> {
        self.record_all(&[event]).await
    }

    /// Records several events in one call of the sink.
    ///
    /// # Errors
    /// When they were not all recorded and [`OnAuditFailure::Refuse`] is set.
    pub async fn record_all(&self, events: &[SecurityEvent]) -> Result<(), AuditUnavailable> {
        let sealed = events.iter().map(|event| self.seal(event)).collect::<Vec<_>>();
        let kept = self.append_sealed(sealed).await;
        match (kept, self.settings.on_failure) {
            (Err(_), OnAuditFailure::Refuse) => Err(AuditUnavailable),
            _ => Ok(()),
        }
    }

    /// The sink.
    pub const fn sink(&self) -> &S {
        &self.sink
    }

    fn seal(&self, event: &SecurityEvent) -> Result<AuditRecord, AuditError> {
        let time = self.clock.now();
        let id = RecordId::fresh(time).map_err(|_| AuditError::Unavailable)?;
        let body = ocsf::to_json(event, id, time, self.settings.function);
        AuditRecord::from_parts(id, time, body).map_err(|_| AuditError::Refused)
    }

    /// Those that became records are kept even if others did not: what happened, happened.
    async fn append_sealed(&self, sealed: Vec<Result<AuditRecord, AuditError>>) -> Result<(), AuditError> {
        let mut records = Vec::with_capacity(sealed.len());
        let mut verdict = Ok(());
        for result in sealed {
            match result {
                Ok(record) => records.push(record),
                Err(error) => {
                    self.tell_unsealed(error);
                    verdict = Err(error);
                }
            }
        }
        let kept = if records.is_empty() { Ok(()) } else { self.append(&records).await };
        verdict.and(kept)
    }

    fn tell_unsealed(&self, error: AuditError) {
        let time = self.clock.now();
        if let Ok(record) = AuditRecord::from_parts(RecordId::of(time, 0), time, "{}") {
            (self.settings.on_loss)(&record, error);
        }
    }

    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        let kept = self.sink.append(records).await;
        if let Err(error) = kept {
            records.iter().for_each(|record| (self.settings.on_loss)(record, error));
        }
        kept
    }
}

impl AuditorSettings {
    /// Settings for a function: refuses when a record cannot be kept, and says nothing of losses elsewhere.
    pub const fn new(function: &'static str) -> Self {
        Self { function, on_failure: OnAuditFailure::Refuse, on_loss: |_, _| {} }
    }
}

impl<S, C> fmt::Debug for Auditor<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use portcullis_base::{ManualClock, Timestamp};

    use super::*;
    use crate::{Kind, MemoryAudit};

    fn auditor(
        on_failure: OnAuditFailure,
        on_loss: fn(&AuditRecord, AuditError),
    ) -> Auditor<MemoryAudit, ManualClock> {
        let settings = AuditorSettings { on_failure, on_loss, ..AuditorSettings::new("sts") };
        Auditor::new(
            MemoryAudit::default(),
            ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()),
            settings,
        )
    }

    fn event() -> SecurityEvent {
        SecurityEvent::new(Kind::TokenIssued, "svc.actuator")
    }

    #[test]
    fn an_event_is_kept_with_an_id_of_its_own_and_the_time() {
        let auditor = auditor(OnAuditFailure::Refuse, |_, _| {});
        auditor.record_all(&[event(), event()]).now_or_never().unwrap().unwrap();
        auditor.record(event()).now_or_never().unwrap().unwrap();
        let records = auditor.sink().records();
        assert_eq!(records.len(), 3, "none is taken for another");
        for record in records {
            let body: serde_json::Value = serde_json::from_str(record.body()).unwrap();
            assert_eq!(body["metadata"]["uid"], record.id().to_string());
            assert_eq!(body["time"], 1_800_000_000_000_i64);
            assert_eq!(body["metadata"]["product"]["feature"]["name"], "sts");
        }
    }

    #[test]
    fn what_cannot_be_recorded_is_refused_or_goes_on_as_set() {
        static LOST: AtomicUsize = AtomicUsize::new(0);
        for (on_failure, expected) in
            [(OnAuditFailure::Refuse, Err(AuditUnavailable)), (OnAuditFailure::Continue, Ok(()))]
        {
            let before = LOST.load(Ordering::SeqCst);
            let auditor = auditor(on_failure, |record, error| {
                assert!(record.body().contains("token-issued"));
                assert_eq!(error, AuditError::Unavailable);
                LOST.fetch_add(1, Ordering::SeqCst);
            });
            auditor.sink().fail_with(Some(AuditError::Unavailable));
            assert_eq!(auditor.record(event()).now_or_never().unwrap(), expected, "{on_failure:?}");
            assert_eq!(LOST.load(Ordering::SeqCst), before + 1, "{on_failure:?}: a loss is told in any case");
            auditor.sink().fail_with(None);
            assert_eq!(auditor.record(event()).now_or_never().unwrap(), Ok(()), "{on_failure:?}: back again");
            assert_eq!(auditor.sink().records().len(), 1);
        }
    }

    #[test]
    fn an_event_that_becomes_no_record_is_told_and_stops_no_other() {
        static TOLD: AtomicUsize = AtomicUsize::new(0);
        let auditor = auditor(OnAuditFailure::Continue, |record, error| {
            assert_eq!((record.body(), error), ("{}", AuditError::Refused));
            TOLD.fetch_add(1, Ordering::SeqCst);
        });
        let sealed = vec![Err(AuditError::Refused), auditor.seal(&event())];
        let kept = auditor.append_sealed(sealed).now_or_never().unwrap();
        assert_eq!(kept, Err(AuditError::Refused));
        assert_eq!(TOLD.load(Ordering::SeqCst), 1);
        assert_eq!(auditor.sink().records().len(), 1);
    }

    #[test]
    fn the_setting_has_two_words_and_refuses_by_default() {
        assert_eq!(OnAuditFailure::default(), OnAuditFailure::Refuse);
        assert_eq!("refuse".parse(), Ok(OnAuditFailure::Refuse));
        assert_eq!("continue".parse(), Ok(OnAuditFailure::Continue));
        for wrong in ["", "Continue", "ignore"] {
            assert_eq!(wrong.parse::<OnAuditFailure>(), Err(UnknownOnAuditFailure), "{wrong}");
        }
    }
}
