use std::time::Duration;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// Whether it may pass.
    pub allowed: bool,
    /// Cells left, as far as this container knows: another may have taken some since it last asked.
    pub remaining: u32,
    /// When to try again; zero if allowed. Rounded up to seconds it is the `Retry-After` header
    /// ([`Decision::retry_after_secs`]).
    pub retry_after: Duration,
    /// How long until the whole burst is there again, as far as this container knows.
    pub reset: Duration,
    /// What the decision rests on.
    pub basis: Basis,
}

/// What a decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// A cell in hand: no store was called.
    Lease,
    /// The store's answer to this request.
    Store,
    /// An earlier answer of the store, which still holds: no store was called.
    Remembered,
    /// The request costs more than the burst: it can never pass.
    OverBurst,
    /// The store failed, and the setting is to allow within a limit of this container's own.
    FailedOpen,
    /// The store failed, and the setting is to refuse.
    FailedClosed,
}

impl Basis {
    /// Its name in logs, metrics and the authorizer's context.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Store => "store",
            Self::Remembered => "remembered",
            Self::OverBurst => "over-burst",
            Self::FailedOpen => "failed-open",
            Self::FailedClosed => "failed-closed",
        }
    }
}

impl Decision {
    /// The value of a `Retry-After` header (RFC 9110, section 10.2.3): whole seconds, at least one. `None` if allowed.
    pub fn retry_after_secs(&self) -> Option<u64> {
        let partial = u64::from(self.retry_after.subsec_nanos() > 0);
        (!self.allowed).then(|| self.retry_after.as_secs().saturating_add(partial).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_whole_seconds_and_never_zero() {
        let refused = |retry_after| Decision {
            allowed: false,
            remaining: 0,
            retry_after,
            reset: Duration::ZERO,
            basis: Basis::Store,
        };
        for (label, after, expected) in [
            ("nothing is a second", Duration::ZERO, 1),
            ("part of a second is one", Duration::from_micros(1), 1),
            ("a second", Duration::from_secs(1), 1),
            ("a little more", Duration::from_micros(1_000_001), 2),
            ("for ever", Duration::MAX, u64::MAX),
        ] {
            assert_eq!(refused(after).retry_after_secs(), Some(expected), "{label}");
        }
        let allowed = Decision { allowed: true, ..refused(Duration::ZERO) };
        assert_eq!(allowed.retry_after_secs(), None);
    }
}
