//! A decision with key, revocations and lease in hand.

use authorizer_function::GrantRecords;

use crate::support::*;

#[tokio::test]
async fn a_warm_decision_calls_no_store() {
    let world = World::new();
    let token = token_of("svc.memory");
    let _ = allowed(&world.judge(&read_with(&token)).await);
    let cold = world.calls.take();
    for call in ["jwks", "revocations", "limit", "audit"] {
        assert!(cold.contains(&call), "{call}: {cold:?}");
    }
    // Leases grow with demand: the first ones are of a single cell.
    for _ in 0..40 {
        let _ = allowed(&world.judge(&read_with(&token)).await);
    }
    let warm = world.calls.take();
    assert!(warm.iter().all(|call| *call == "limit"), "nothing but leases: {warm:?}");
    assert!(warm.len() < 30, "a fraction of a call a request: {}", warm.len());
    let mut silent = 0;
    for _ in 0..10 {
        let _ = allowed(&world.judge(&read_with(&token)).await);
        silent += usize::from(world.calls.take().is_empty());
    }
    assert!(silent >= 5, "{silent} of 10 decisions called no store at all");
}

#[tokio::test]
async fn revocations_are_asked_for_when_they_are_old_and_once() {
    let world = World::new();
    let token = token_of("svc.memory");
    let _ = allowed(&world.judge(&read_with(&token)).await);
    world.clock.advance(2_000);
    let _ = world.calls.take();
    for _ in 0..5 {
        let _ = allowed(&world.judge(&read_with(&token)).await);
    }
    assert_eq!(world.calls.take().iter().filter(|c| **c == "revocations").count(), 1);
}

#[tokio::test]
async fn every_grant_is_recorded_where_that_is_asked_for() {
    for (grants, expected) in [(GrantRecords::Once, 1), (GrantRecords::Every, 3)] {
        let world = World::with(|s| s.settings.grants = grants);
        for _ in 0..3 {
            let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
        }
        let count = |code: &str| world.codes().iter().filter(|c| *c == code).count();
        assert_eq!(
            (count("token-validated"), count("permission-granted")),
            (expected, expected),
            "{grants:?}"
        );
    }
}
