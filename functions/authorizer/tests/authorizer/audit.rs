//! What is recorded, and what becomes of answers that cannot be.

use authorizer_function::Verdict;
use portcullis_audit::{AuditError, OnAuditFailure};

use crate::support::*;

#[tokio::test]
async fn an_answer_that_cannot_be_recorded_is_withheld_or_given_as_set() {
    for (on_failure, good, bad, forbidden) in [
        (OnAuditFailure::Refuse, "unavailable", "unavailable", "unavailable"),
        (OnAuditFailure::Continue, "allow", "unauthorized", "forbidden"),
    ] {
        let world = World::with(|s| s.on_audit_failure = on_failure);
        world.audit.fail_with(Some(AuditError::Unavailable));
        let bearer = format!("Bearer {}", token_of("svc.bff"));
        let admin = request("POST", "/sts/rotate-keys", &[("Authorization", &bearer)]);
        assert_eq!(world.judge(&read_with(&token_of("svc.memory"))).await.as_str(), good);
        assert_eq!(world.judge(&read_with("forged")).await.as_str(), bad);
        assert_eq!(world.judge(&admin).await.as_str(), forbidden);
    }
}

#[tokio::test]
async fn what_was_not_recorded_is_recorded_the_next_time() {
    let world = World::new();
    world.audit.fail_with(Some(AuditError::Unavailable));
    assert_eq!(world.judge(&read_with(&token_of("svc.memory"))).await, Verdict::Unavailable);
    world.audit.fail_with(None);
    let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
    assert_eq!(world.codes(), ["token-validated", "permission-granted"]);
}

#[tokio::test]
async fn a_record_names_route_policy_and_token_but_neither_path_nor_credentials() {
    let world = World::new();
    let token = token_of("svc.memory");
    let _ = allowed(&world.judge(&read_with(&token)).await);
    let record = world.last_record();
    for part in [
        "permission-granted",
        "svc.memory",
        "/conversations/{id}",
        "api.read-conversations",
        "t-svc.memory",
        "192.0.2.10",
        "r-1",
    ] {
        assert!(record.contains(part), "{part}: {record}");
    }
    for part in ["0f1e", token.as_str(), token.rsplit_once('.').unwrap().1] {
        assert!(!record.contains(part), "{part}: {record}");
    }
}
