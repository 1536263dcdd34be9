//! Single-use approvals: an approver lets one actor execute one named plan, once.
//!
//! The approval token only names the record: what it allows is what the record says, and taking the record is what
//! spends it. So of two who present one token at once, one gets nothing.

use std::future::Future;

use portcullis_base::Timestamp;

use crate::StoreError;
use crate::claims::is_plain;

/// An approval that is open: neither spent, nor withdrawn, nor expired.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Its name: the `jti` of the approval token. Random, and no secret.
    pub id: String,
    /// The plan that may be executed.
    pub plan: String,
    /// Who approved.
    pub approver: String,
    /// Who may execute.
    pub actor: String,
    /// When it was given, in milliseconds since the epoch.
    pub issued_at: i64,
    /// From when on it is void, in milliseconds since the epoch.
    pub expires_at: i64,
}

impl Approval {
    /// Whether a plan may be called that: 1 to 128 letters, digits and `-._~:/` (what a URN holds unescaped).
    pub fn is_plan_name(name: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/".contains(&b);
        is_plain(name) && name.len() <= MAX_PLAN && name.bytes().all(allowed)
    }

    /// Whether it is void because of its age.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now.as_millisecond() >= self.expires_at
    }
}

/// Where approvals are kept until they are spent or expire.
pub trait Approvals: Send + Sync {
    /// Adds an approval. Its id is new; one that exists is never replaced ([`StoreError::Refused`]).
    fn add(&self, approval: &Approval) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes an approval at `now`, in one atomic step: whoever gets it spent it, and nobody gets it again. `None`: there is none that
    /// is open (unknown, spent, withdrawn or expired), or it is for another actor, in which case it stays open.
    ///
    /// A call that failed may have spent it: then nothing is executed, and the approver is asked again.
    fn take(
        &self,
        id: &str,
        actor: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Approval>, StoreError>> + Send;

    /// Withdraws an approval. Withdrawing one that is not open does no harm.
    fn withdraw(&self, id: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The approval, if it is open: for introspection, which spends nothing.
    fn peek(&self, id: &str) -> impl Future<Output = Result<Option<Approval>, StoreError>> + Send;
}

const MAX_PLAN: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_names_are_short_and_plain() {
        for (name, good) in [
            ("plan-2026-11-22:7", true),
            ("a/b.c_d~e", true),
            ("", false),
            ("plan 7", false),
            ("plan%207", false),
            ("plän", false),
            ("plan\n", false),
        ] {
            assert_eq!(Approval::is_plan_name(name), good, "{name:?}");
        }
        assert!(Approval::is_plan_name(&"x".repeat(128)) && !Approval::is_plan_name(&"x".repeat(129)));
    }

    #[test]
    fn void_from_its_end_on() {
        let approval = Approval {
            id: "a".into(),
            plan: "p".into(),
            approver: "svc.enterprise".into(),
            actor: "svc.actuator".into(),
            issued_at: 0,
            expires_at: 1_000,
        };
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        assert!(!approval.is_expired(at(999)) && approval.is_expired(at(1_000)));
    }
}
