//! Rates, locks, and what happens while stores fail.

use portcullis_audit::{AuditError, AuditorSettings, OnAuditFailure};
use portcullis_token::StoreError;
use serde_json::{Value, json};

use crate::support::{Call, Options, Sts, sts, sts_with};

fn guess(client: &str, address: &str) -> Call {
    Call::client_credentials().basic_with(client, "guess").from(address)
}

fn honest(client: &str, address: &str) -> Call {
    Call::client_credentials().basic(client).from(address)
}

async fn statuses(sts: &Sts, call: &Call, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(sts.send(call).await.status);
    }
    statuses
}

#[tokio::test]
async fn guessing_locks_with_a_doubling_backoff() {
    let sts = sts().await;
    let guess = guess("svc.actuator", "203.0.113.66");
    assert_eq!(statuses(&sts, &guess, 7).await, [401, 401, 401, 401, 401, 401, 429]);
    for seconds in [1, 2, 4, 8] {
        let locked = sts.send(&guess).await;
        assert_eq!(locked.error(), (429, "temporarily_unavailable"));
        assert_eq!(locked.header("Retry-After"), Some(&*seconds.to_string()));
        sts.clock.advance(seconds * 1000 - 1);
        assert_eq!(sts.send(&guess).await.status, 429, "a millisecond too early");
        sts.clock.advance(1);
        assert_eq!(sts.send(&guess).await.status, 401, "one more guess after {seconds} s");
    }
    assert_eq!(sts.codes().iter().filter(|c| *c == "client-locked-out").count(), 5);
}

#[tokio::test]
async fn a_right_secret_is_not_judged_while_locked_and_ends_the_count_afterwards() {
    let sts = sts().await;
    statuses(&sts, &guess("svc.actuator", "192.0.2.1"), 6).await;
    assert_eq!(sts.send(&honest("svc.actuator", "192.0.2.1")).await.status, 429);
    sts.clock.advance(1_000);
    assert_eq!(sts.send(&honest("svc.actuator", "192.0.2.1")).await.status, 200);
    let again = statuses(&sts, &guess("svc.actuator", "192.0.2.1"), 6).await;
    assert_eq!(again, [401; 6], "the count began anew");
}

/// The design against locking others out: an attacker's failures lock the client at the attacker's address alone.
#[tokio::test]
async fn an_attacker_does_not_lock_out_the_honest_client() {
    let sts = sts().await;
    for address in ["203.0.113.66", "2001:db8:66::1", "2001:db8:66::2", "198.51.100.1"] {
        statuses(&sts, &guess("svc.actuator", address), 20).await;
    }
    assert_eq!(sts.send(&honest("svc.actuator", "192.0.2.1")).await.status, 200, "from elsewhere");
    assert_eq!(
        sts.send(&honest("svc.memory", "203.0.113.66")).await.status,
        200,
        "another client from there"
    );
    assert_eq!(
        sts.send(&guess("svc.actuator", "2001:db8:66::3")).await.status,
        429,
        "the /64 is one address"
    );
}

/// What cannot be guessed needs no lock, and whoever guesses beside it at the same address cannot put one on it.
#[tokio::test]
async fn assertions_and_certificates_are_not_locked() {
    let sts = sts().await;
    let address = "192.0.2.1";
    let claims = |jti: &str| {
        serde_json::json!({"iss": "svc.optimizer", "sub": "svc.optimizer", "aud": crate::support::ISSUER,
            "iat": crate::support::START, "exp": crate::support::START + 60, "jti": jti})
    };
    let shown = |key: &portcullis_token::LocalSigner, jti: &str| {
        let kid = sts.client_key.public().kid();
        let assertion =
            crate::support::jws(key, &serde_json::json!({"alg": "ES256", "kid": kid}), &claims(jti));
        Call::token(&[
            ("grant_type", "client_credentials"),
            ("client_assertion", &assertion),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ])
        .from(address)
    };
    let stranger = portcullis_token::LocalSigner::generate(portcullis_token::Algorithm::Es256).unwrap();
    assert_eq!(statuses(&sts, &shown(&stranger, "x"), 20).await, [401; 20], "forged, and never locked");
    assert_eq!(sts.send(&honest("svc.optimizer", address)).await.status, 200, "nor counted");
    statuses(&sts, &guess("svc.optimizer", address), 20).await;
    assert_eq!(sts.send(&honest("svc.optimizer", address)).await.status, 429, "its secret is locked");
    assert_eq!(sts.send(&shown(&sts.client_key, "good")).await.status, 200, "its key is not");
    assert_eq!(sts.send(&honest("svc.optimizer", address)).await.status, 429, "and opens no lock");
}

/// Even behind one address with the attacker, who knocks every second for a day: no lock is longer than a quarter of an
/// hour, and knocking at a locked door does not hold it shut.
#[tokio::test]
async fn no_lock_lasts_for_ever() {
    let sts = sts().await;
    let guess = guess("svc.actuator", "192.0.2.1");
    let mut longest = 0;
    for _ in 0..30 {
        let mut waited = 0;
        while sts.send(&guess).await.status == 429 {
            sts.clock.advance(15_000);
            waited += 15;
        }
        longest = longest.max(waited);
    }
    assert_eq!(longest, 900);
}

#[tokio::test]
async fn unknown_clients_lock_as_known_ones_do() {
    let sts = sts().await;
    let known = statuses(&sts, &guess("svc.actuator", "192.0.2.7"), 8).await;
    let unknown = statuses(&sts, &guess("svc.nobody", "192.0.2.7"), 8).await;
    assert_eq!(known, unknown);
}

#[tokio::test]
async fn an_address_has_a_rate() {
    let options = Options { settings: |s| s.address_rate = "3/m".parse().unwrap(), ..Options::default() };
    let sts = sts_with(options).await;
    assert_eq!(statuses(&sts, &honest("svc.actuator", "192.0.2.1"), 5).await, [200, 200, 200, 429, 429]);
    let refused = sts.send(&honest("svc.actuator", "192.0.2.1")).await;
    assert_eq!(refused.error(), (429, "temporarily_unavailable"));
    let after: i64 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=20).contains(&after), "{after}");
    assert_eq!(sts.send(&honest("svc.actuator", "192.0.2.2")).await.status, 200, "another address");
    sts.clock.advance(after * 1000);
    assert_eq!(sts.send(&honest("svc.actuator", "192.0.2.1")).await.status, 200, "after Retry-After");
    for path in ["/sts/introspect", "/sts/revoke", "/sts/rotate-keys"] {
        let status = sts.send(&Call::form(path, &[("token", "x")])).await.status;
        assert_eq!(status, 429, "{path} counts as well");
    }
    let told = sts.codes().iter().filter(|c| *c == "rate-limited").count();
    assert!((1..=3).contains(&told), "a flood leaves few records: {told}");
}

#[tokio::test]
async fn a_client_has_a_rate_that_nobody_else_can_use_up() {
    let options = Options { settings: |s| s.client_rate = "3/m".parse().unwrap(), ..Options::default() };
    let sts = sts_with(options).await;
    statuses(&sts, &guess("svc.actuator", "203.0.113.66"), 5).await;
    for (i, expected) in [200, 200, 200, 429].into_iter().enumerate() {
        let answer = sts.send(&honest("svc.actuator", &format!("192.0.2.{i}"))).await;
        assert_eq!(answer.status, expected, "{i}: from wherever");
    }
    assert_eq!(sts.send(&honest("svc.memory", "192.0.2.1")).await.status, 200);
}

#[tokio::test]
async fn the_bearer_of_a_token_has_the_rate_of_its_principal() {
    let options = Options { settings: |s| s.client_rate = "3/m".parse().unwrap(), ..Options::default() };
    let sts = sts_with(options).await;
    let token = sts.token_of("ops.auditor").await;
    for (i, expected) in [200, 200, 429, 429].into_iter().enumerate() {
        let call = Call::form("/sts/introspect", &[("token", "x")]).bearer(&token);
        let answer = sts.send(&call.from(&format!("192.0.2.{i}"))).await;
        assert_eq!(answer.status, expected, "{i}: one of the three went into getting the token");
    }
    let other = sts.token_of("ops.admin").await;
    let call = Call::new("GET", "/sts/keys").bearer(&other);
    assert_eq!(sts.send(&call).await.status, 200, "another principal");
}

#[tokio::test]
async fn stores_that_fail_let_nobody_in() {
    let sts = sts().await;
    assert_eq!(sts.send(&honest("svc.actuator", "192.0.2.1")).await.status, 200);
    for (error, answer) in [
        (StoreError::Unavailable, (503, "temporarily_unavailable")),
        (StoreError::Refused, (500, "server_error")),
        (StoreError::Malformed, (500, "server_error")),
    ] {
        sts.credentials.fail_next(1, error);
        let refused = sts.send(&honest("svc.actuator", "192.0.2.1")).await;
        assert_eq!(refused.error(), answer);
        assert_eq!(refused.header("Retry-After").is_some(), answer.0 == 503);
    }
    assert_eq!(sts.send(&honest("svc.actuator", "192.0.2.1")).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_answered_unless_set_so() {
    for (on_failure, status) in [(OnAuditFailure::Refuse, 503), (OnAuditFailure::Continue, 200)] {
        let auditor = AuditorSettings { on_failure, ..AuditorSettings::new("sts") };
        let sts = sts_with(Options { auditor, ..Options::default() }).await;
        sts.audit.fail_with(Some(AuditError::Unavailable));
        let answer = sts.send(&honest("svc.actuator", "192.0.2.1")).await;
        assert_eq!(answer.status, status, "{on_failure:?}");
        assert_eq!(answer.body.get("access_token").is_some(), status == 200, "{on_failure:?}");
        let refused = sts.send(&guess("svc.actuator", "192.0.2.1")).await.status;
        assert_eq!(refused, if status == 200 { 401 } else { 503 });
    }
}

#[tokio::test]
async fn every_outcome_is_in_the_audit_trail_before_its_answer() {
    let sts = sts().await;
    sts.send(&honest("svc.actuator", "192.0.2.1")).await;
    sts.send(&guess("svc.actuator", "192.0.2.1")).await;
    sts.send(&Call::token(&[("grant_type", "password")]).basic("svc.actuator")).await;
    sts.send(
        &Call::token(&[("grant_type", "client_credentials"), ("scope", "rotate:keys")]).basic("svc.actuator"),
    )
    .await;
    assert_eq!(
        sts.codes(),
        ["token-issued", "token-request-refused", "token-request-refused", "token-request-refused"]
    );
    let events = sts.audit.events();
    assert_eq!(events[0]["src_endpoint"]["ip"], "192.0.2.1");
    let text = events[0].to_string();
    for part in ["svc.actuator", "read:approvals", "client_secret_basic", "client_credentials", "r-1"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn guesses_count_alike_at_every_endpoint_that_takes_a_secret() {
    for path in ["/sts/token", "/sts/introspect", "/sts/revoke"] {
        let sts = sts().await;
        let form = [("grant_type", "client_credentials"), ("token", "x")];
        let form = if path == "/sts/token" { &form[..1] } else { &form[1..] };
        statuses(&sts, &Call::form(path, form).basic_with("svc.actuator", "guess"), 6).await;
        let lines = sts.metrics.lock().unwrap();
        let lines: Vec<Value> = lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
        for name in ["AuthenticationFailures", "Lockouts"] {
            let counted: Vec<_> = lines.iter().filter(|line| line[name].is_number()).collect();
            assert!(!counted.is_empty(), "{path}: {name}");
            for line in counted {
                let dimensions = &line["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
                assert_eq!(dimensions, &json!([["Function"]]), "{path}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn metrics_say_what_happened_and_to_nobody_in_particular() {
    let sts = sts().await;
    sts.send(&honest("svc.actuator", "192.0.2.1")).await;
    statuses(&sts, &guess("svc.actuator", "192.0.2.1"), 6).await;
    let lines = sts.metrics.lock().unwrap().join("\n");
    for part in [
        "\"Endpoint\":\"POST /sts/token\"",
        "\"Status\":\"200\"",
        "\"Status\":\"401\"",
        "TokensIssued",
        "\"Authentications\":1.0",
        "AuthenticationFailures",
        "Lockouts",
        "Latency",
    ] {
        assert!(lines.contains(part), "{part} in {lines}");
    }
    assert!(!lines.contains("svc.actuator") && !lines.contains("192.0.2.1"));
}
