//! The rotation of client secrets and signing keys over adapters in memory, each call of which may crash.
#![cfg(test)]

mod support;

use portcullis_audit::AuditError;
use portcullis_secrets::{CURRENT, PENDING, PREVIOUS};
use portcullis_token::{ClientSecretStore, SecretMatch, StoredSecrets};
use support::{CLIENT, Crash, NAME, STEPS, TOKEN, World, token};

#[tokio::test]
async fn four_steps_make_a_new_secret_and_let_the_old_one_end() {
    let w = World::new().await;
    w.rotate(TOKEN).await.unwrap();
    let (new, old) = (w.secret_in(CURRENT).unwrap(), w.secret_in(PREVIOUS).unwrap());
    assert_ne!(new, old);
    assert_eq!(old, support::FIRST);
    assert_eq!(
        (w.check(&new).await, w.check(&old).await),
        (Some(SecretMatch::Current), Some(SecretMatch::Other))
    );
    w.clock.advance(3_599_999);
    assert_eq!(w.check(&old).await, Some(SecretMatch::Other), "clients have an hour to fetch the new one");
    w.clock.advance(1);
    assert_eq!((w.check(&new).await, w.check(&old).await), (Some(SecretMatch::Current), None));
    assert_eq!(w.audit.codes(), ["credential-rotated"]);
    let event = w.audit.events().remove(0);
    assert_eq!(event["user"]["uid"], CLIENT);
    for secret in [&new, &old] {
        assert!(w.audit.records().iter().all(|record| !record.body().contains(secret.as_str())));
    }
}

#[tokio::test]
async fn both_secrets_are_good_from_the_second_step_on_and_the_new_one_not_before() {
    let w = World::new().await;
    w.stages.begin(NAME, TOKEN);
    w.step("createSecret", TOKEN).await.unwrap();
    let pending = w.secret_in(PENDING).unwrap();
    assert_eq!(w.check(&pending).await, None);
    assert_eq!(
        w.step("testSecret", TOKEN).await.unwrap_err().message,
        "the pending secret does not authenticate"
    );
    assert_eq!(
        w.step("finishSecret", TOKEN).await.unwrap_err().message,
        "the pending secret does not authenticate"
    );
    assert_eq!(
        w.secret_in(CURRENT).unwrap(),
        support::FIRST,
        "what does not authenticate is not made current"
    );
    w.step("setSecret", TOKEN).await.unwrap();
    assert_eq!(w.check(&pending).await, Some(SecretMatch::Other));
    assert_eq!(w.check(support::FIRST).await, Some(SecretMatch::Current));
    w.step("testSecret", TOKEN).await.unwrap();
    assert_eq!(w.audit.codes(), ["rotation-failed", "rotation-failed"]);
}

#[tokio::test]
async fn a_crash_at_any_call_is_made_good_by_the_repetition() {
    for after in [false, true] {
        let mut points = 0;
        for at in 1.. {
            let w = World::new().await;
            w.stages.begin(NAME, TOKEN);
            w.crash.set(Some(Crash { at, after }));
            let crashed = w.steps(TOKEN).await.is_err();
            w.crash.set(None);
            // Whatever happened, whoever fetches the secret now gets in with it.
            let current = w.secret_in(CURRENT).unwrap();
            assert!(w.check(&current).await.is_some(), "call {at}, after: {after}");
            if !crashed {
                break;
            }
            points += 1;
            let made = w.secret_in(PENDING);
            w.clock.advance(60_000);
            w.steps(TOKEN).await.unwrap_or_else(|e| panic!("call {at}, after: {after}: {e:?}"));
            let (new, old) = (w.secret_in(CURRENT).unwrap(), support::FIRST);
            assert!(made.is_none_or(|made| made == new), "call {at}: one secret is made, not two");
            assert_eq!(w.check(&new).await, Some(SecretMatch::Current), "call {at}, after: {after}");
            assert_eq!(w.check(old).await, Some(SecretMatch::Other), "call {at}, after: {after}");
            w.clock.advance(3_600_000);
            assert_eq!(w.check(old).await, None, "call {at}, after: {after}");
            assert!(w.audit.codes().contains(&"credential-rotated".to_owned()), "call {at}, after: {after}");
        }
        assert!(points >= 18, "{points} calls");
    }
}

#[tokio::test]
async fn steps_may_be_repeated_and_come_late() {
    let w = World::new().await;
    w.stages.begin(NAME, TOKEN);
    for step in STEPS {
        for _ in 0..3 {
            w.step(step, TOKEN).await.unwrap();
        }
    }
    let new = w.secret_in(CURRENT).unwrap();
    let version = w.credentials.load(CLIENT).await.unwrap().unwrap().version;
    w.clock.advance(1_800_000);
    w.steps(TOKEN).await.unwrap();
    assert_eq!(w.secret_in(CURRENT).unwrap(), new);
    assert_eq!(
        w.credentials.load(CLIENT).await.unwrap().unwrap().version,
        version,
        "nothing is written again"
    );
    w.clock.advance(1_800_000);
    assert_eq!(w.check(support::FIRST).await, None, "a repetition does not prolong the old one");
}

#[tokio::test]
async fn rotations_follow_each_other_also_after_one_that_was_never_finished() {
    let w = World::new().await;
    let mut before = support::FIRST.to_owned();
    for n in 1..=3 {
        w.rotate(&token(n)).await.unwrap();
        let now = w.secret_in(CURRENT).unwrap();
        assert_eq!(w.check(&before).await, Some(SecretMatch::Other), "rotation {n}");
        before = now;
    }
    // The stage moved, and the table never learned of it.
    let unfinished = token(4);
    w.stages.begin(NAME, &unfinished);
    for step in &STEPS[..3] {
        w.step(step, &unfinished).await.unwrap();
    }
    w.crash.set(Some(Crash { at: 4, after: true }));
    w.step("finishSecret", &unfinished).await.unwrap_err();
    w.crash.set(None);
    let current = w.secret_in(CURRENT).unwrap();
    assert_ne!(current, before, "the stage moved");
    assert_eq!(w.check(&current).await, Some(SecretMatch::Other));
    w.clock.advance(30 * 24 * 3_600_000);
    w.rotate(&token(5)).await.unwrap();
    assert_eq!(w.check(&current).await, Some(SecretMatch::Other), "good until its clients have the next one");
    assert_eq!(w.check(&w.secret_in(CURRENT).unwrap()).await, Some(SecretMatch::Current));
    assert_eq!(w.check(&before).await, None);
}

#[tokio::test]
async fn a_client_that_the_table_does_not_know_is_registered_and_one_that_was_revoked_is_not_brought_back() {
    let w = World::unregistered();
    w.rotate(TOKEN).await.unwrap();
    assert_eq!(w.check(&w.secret_in(CURRENT).unwrap()).await, Some(SecretMatch::Current));
    assert_eq!(w.check(support::FIRST).await, Some(SecretMatch::Other));

    let w = World::new().await;
    let revoked = StoredSecrets { current: w.hash("another secret, which nobody has"), other: None };
    assert!(w.credentials.replace(CLIENT, &revoked, 1).await.unwrap());
    w.rotate(TOKEN).await.unwrap();
    assert_eq!(w.check(support::FIRST).await, None, "revoked");
    assert_eq!(w.check(&w.secret_in(CURRENT).unwrap()).await, Some(SecretMatch::Current));
}

#[tokio::test]
async fn what_is_no_rotation_of_a_clients_secret_is_refused() {
    type Prepare = fn(&World);
    let cases: [(&str, &str, Prepare, &str); 7] = [
        ("no such secret", "portcullis/clients/none", |_| {}, "secrets manager could not be used"),
        (
            "not a client's",
            "portcullis/webhook",
            |w| {
                w.stages.add("portcullis/webhook", "v1", support::FIRST);
                w.stages.begin("portcullis/webhook", TOKEN);
            },
            "the secret is no client's",
        ),
        ("no such version", NAME, |_| {}, "the version is not pending"),
        (
            "rotation is off",
            NAME,
            |w| {
                w.stages.begin(NAME, TOKEN);
                w.stages.stop_rotation(NAME);
            },
            "the version is not pending",
        ),
        (
            "an old version",
            NAME,
            |w| {
                w.stages.begin(NAME, TOKEN);
                w.stages.begin(NAME, &token(9));
            },
            "the version is not pending",
        ),
        ("no value yet", NAME, |w| w.stages.begin(NAME, TOKEN), "the value is no client secret"),
        (
            "another client's value",
            NAME,
            |w| {
                w.stages.add(NAME, "v1", r#"{"client_id":"svc.bff","client_secret":"0123456789abcdef"}"#);
                w.stages.begin(NAME, TOKEN);
            },
            "the value is no client secret",
        ),
    ];
    for (label, name, prepare, message) in cases {
        let w = World::new().await;
        prepare(&w);
        let failure = w.step_of(name, "setSecret", TOKEN).await.unwrap_err();
        assert_eq!((failure.kind, failure.message), ("RotationFailed", message), "{label}");
        assert_eq!(w.audit.codes(), ["rotation-failed"], "{label}");
        let stored = w.credentials.load(CLIENT).await.unwrap().unwrap();
        assert_eq!(stored.version, 1, "{label}: nothing was written");
    }
}

#[tokio::test]
async fn the_end_is_told_only_when_it_is_on_record() {
    let w = World::new().await;
    w.stages.begin(NAME, TOKEN);
    for step in &STEPS[..3] {
        w.step(step, TOKEN).await.unwrap();
    }
    w.audit.fail_with(Some(AuditError::Unavailable));
    assert_eq!(w.step("finishSecret", TOKEN).await.unwrap_err().kind, "AuditUnavailable");
    w.audit.fail_with(None);
    w.step("finishSecret", TOKEN).await.unwrap();
    assert_eq!(w.audit.codes(), ["credential-rotated"]);
}

#[tokio::test]
async fn the_schedule_makes_keys_rotates_them_and_destroys_them() {
    let w = World::new().await;
    let day = 24 * 3_600_000;
    assert_eq!(w.schedule().await.unwrap(), 1, "the first key");
    assert_eq!(w.audit.codes(), ["keys-rotated", "key-published"]);
    assert_eq!(w.schedule().await.unwrap(), 0);
    assert_eq!(w.audit.codes().len(), 2, "nothing done, nothing recorded");
    w.clock.advance(60 * day);
    assert_eq!(w.schedule().await.unwrap(), 1, "its successor");
    w.clock.advance(2 * day);
    assert_eq!(w.schedule().await.unwrap(), 1, "its end");
    assert_eq!(w.audit.codes()[4..], ["key-retired"]);
    assert_eq!(w.function_keys().await, 1);
}

#[tokio::test]
async fn what_the_schedule_did_is_recorded_when_the_audit_is_back() {
    let w = World::new().await;
    w.audit.fail_with(Some(AuditError::Unavailable));
    for _ in 0..2 {
        assert_eq!(w.schedule().await.unwrap_err().kind, "AuditUnavailable");
    }
    assert_eq!(w.function_keys().await, 1, "the key is not made twice");
    w.audit.fail_with(None);
    assert_eq!(w.schedule().await.unwrap(), 0, "it was done before");
    assert_eq!(w.audit.codes(), ["keys-rotated", "key-published"]);
    assert!(w.audit.records()[1].body().contains("found-unrecorded"));
    w.schedule().await.unwrap();
    assert_eq!(w.audit.codes().len(), 2, "once");
}

#[tokio::test]
async fn a_crash_while_keys_are_advanced_is_made_good_by_the_next_time() {
    for after in [false, true] {
        let mut points = 0;
        for at in 1.. {
            let w = World::new().await;
            w.crash.set(Some(Crash { at, after }));
            let crashed = w.schedule().await.is_err();
            w.crash.set(None);
            if !crashed {
                break;
            }
            points += 1;
            w.schedule().await.unwrap();
            assert_eq!(w.function_keys().await, 1, "call {at}, after: {after}");
            let codes = w.audit.codes();
            assert!(codes.contains(&"key-published".to_owned()), "call {at}, after: {after}: {codes:?}");
            w.schedule().await.unwrap();
            assert_eq!(w.audit.codes(), codes, "call {at}, after: {after}: recorded for good");
        }
        assert!(points >= 3, "{points} calls");
    }
}

#[tokio::test]
async fn a_failing_backend_is_told_as_such() {
    let w = World::new().await;
    w.stages.begin(NAME, TOKEN);
    w.crash.set(Some(Crash { at: 1, after: false }));
    let failure = w.step("createSecret", TOKEN).await.unwrap_err();
    assert_eq!(failure.message, "secrets manager could not be used");
}
