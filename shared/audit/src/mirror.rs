//! One sink that is relied upon, and others that follow it.

use crate::{AuditError, AuditRecord, AuditSink};

/// A primary sink and a mirror of it: a SIEM's bus, a stream. Nest for several.
///
/// The primary comes first and alone decides, so that no mirror holds what the primary does not. The mirror is waited
/// for even where its failure is ignored: after its answer a Lambda is frozen, and what is under way is lost.
#[derive(Debug)]
pub struct Mirrored<P, M> {
    primary: P,
    mirror: Option<M>,
    failure: MirrorFailure,
}

/// What happens when a mirror fails.
#[derive(Debug, Clone, Copy)]
pub enum MirrorFailure {
    /// The record counts as not kept.
    Refuse,
    /// The record counts as kept; the function is told how many records the mirror lacks.
    Tell(fn(usize, AuditError)),
}

impl<P: AuditSink, M: AuditSink> Mirrored<P, M> {
    /// Appends to `primary`, then to `mirror` if there is one.
    pub const fn new(primary: P, mirror: Option<M>, failure: MirrorFailure) -> Self {
        Self { primary, mirror, failure }
    }
}

impl<P: AuditSink, M: AuditSink> AuditSink for Mirrored<P, M> {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        self.primary.append(records).await?;
        let Some(mirror) = &self.mirror else { return Ok(()) };
        match (mirror.append(records).await, self.failure) {
            (Err(error), MirrorFailure::Refuse) => Err(error),
            (Err(error), MirrorFailure::Tell(tell)) => {
                tell(records.len(), error);
                Ok(())
            }
            (Ok(()), _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use portcullis_base::Timestamp;

    use super::*;
    use crate::{MemoryAudit, RecordId};

    #[test]
    fn the_primary_decides_and_a_mirror_only_where_it_must() {
        use AuditError::{Refused, Unavailable};
        let tell = MirrorFailure::Tell(|count, error| assert_eq!((count, error), (1, Refused)));
        for (label, primary_fails, mirror_fails, failure, expected, kept) in [
            ("all well", None, None, MirrorFailure::Refuse, Ok(()), (1, 1)),
            ("primary down", Some(Unavailable), None, tell, Err(Unavailable), (0, 0)),
            (
                "primary down, mirror required",
                Some(Unavailable),
                None,
                MirrorFailure::Refuse,
                Err(Unavailable),
                (0, 0),
            ),
            ("mirror down", None, Some(Refused), tell, Ok(()), (1, 0)),
            ("required mirror down", None, Some(Refused), MirrorFailure::Refuse, Err(Refused), (1, 0)),
        ] {
            let (primary, mirror) = (MemoryAudit::default(), MemoryAudit::default());
            primary.fail_with(primary_fails);
            mirror.fail_with(mirror_fails);
            let sink = Mirrored::new(&primary, Some(&mirror), failure);
            let id = RecordId::of(Timestamp::UNIX_EPOCH, 1);
            let record = AuditRecord::from_parts(id, Timestamp::UNIX_EPOCH, "{}").unwrap();
            assert_eq!(sink.append(&[record]).now_or_never().unwrap(), expected, "{label}");
            assert_eq!((primary.records().len(), mirror.records().len()), kept, "{label}");
        }
    }
}
