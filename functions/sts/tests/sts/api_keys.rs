//! API keys: made, listed and ended by security admins.

use portcullis_access::{ApiKey, ApiKeyError, ApiKeyStore as _, MAX_KEYS, PresentedKey};
use portcullis_token::{SecretHasher, SecretMatch, StoreError};
use serde_json::{Value, json};

use crate::support::{Answer, Call, START, Sts, sts};

async fn post(sts: &Sts, path: &str, who: &str, body: &Value) -> Answer {
    let token = sts.token_of(who).await;
    let call = Call::new("POST", path).bearer(&token).header("Content-Type", "application/json");
    sts.send(&call.body(&body.to_string())).await
}

async fn create(sts: &Sts, body: &Value) -> Answer {
    post(sts, "/sts/api-keys", "ops.admin", body).await
}

async fn list(sts: &Sts) -> Answer {
    let token = sts.token_of("ops.admin").await;
    sts.send(&Call::new("GET", "/sts/api-keys").bearer(&token)).await
}

/// What an authorizer makes of a key.
async fn check(sts: &Sts, key: &str) -> Result<SecretMatch, ApiKeyError> {
    let shown = PresentedKey::parse(key).unwrap();
    let known = sts.credentials.load(shown.id()).await.unwrap().unwrap();
    known.key.check(&shown, &SecretHasher::new(&[1; 32]).unwrap(), sts.now())
}

#[tokio::test]
async fn a_key_is_shown_once_and_stands_for_its_owner_until_its_end() {
    let sts = sts().await;
    let order = json!({"owner": "svc.memory", "scopes": "read:conversations classify:pii", "tier": "high", "expires_in_days": 7});
    let made = create(&sts, &order).await;
    assert_eq!(made.status, 200, "{made:?}");
    let (key, id) = (made.text("api_key"), made.text("id"));
    assert_eq!(made.header("Cache-Control"), Some("no-store"));
    let end = START + 7 * 24 * 3600;
    let described = json!({
        "id": id, "owner": "svc.memory", "scopes": "read:conversations classify:pii", "tier": "high",
        "expires_at": end, "revoked_at": null,
    });
    let listed = list(&sts).await;
    assert_eq!(listed.body, json!({"api_keys": [described]}), "without the secret");
    assert!(!listed.text.contains(key.rsplit_once('.').unwrap().1));
    assert_eq!(check(&sts, &key).await, Ok(SecretMatch::Current));
    let known = sts.credentials.load(&id).await.unwrap().unwrap().key;
    assert_eq!(known.scopes.to_string(), "read:conversations classify:pii");
    assert!(!format!("{known:?}").contains(key.rsplit_once('.').unwrap().1), "only its hash is kept");
    sts.clock.advance(7 * 24 * 3600 * 1000 - 1);
    assert_eq!(check(&sts, &key).await, Ok(SecretMatch::Current));
    sts.clock.advance(1);
    assert_eq!(check(&sts, &key).await, Err(ApiKeyError::Expired));
    sts.clock.advance(30 * 24 * 3600 * 1000);
    assert_eq!(list(&sts).await.body, json!({"api_keys": []}), "a month after its end it is forgotten");
}

#[tokio::test]
async fn no_key_is_made_that_a_list_could_lack() {
    let sts = sts().await;
    let made = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    let known = sts.credentials.load(&made.text("id")).await.unwrap().unwrap().key;
    for n in 1..MAX_KEYS {
        let key = ApiKey { id: format!("k{n:07}"), ..known.clone() };
        assert!(sts.credentials.replace(&key, 0).await.unwrap());
    }
    let refused = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    assert_eq!(refused.error(), (400, "invalid_request"), "{refused:?}");
    assert_eq!(list(&sts).await.body["api_keys"].as_array().unwrap().len(), MAX_KEYS);
}

#[tokio::test]
async fn without_more_said_a_key_ends_after_ninety_days() {
    let sts = sts().await;
    let made = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    assert_eq!(made.body["expires_at"], START + 90 * 24 * 3600);
    assert_eq!(made.body["tier"], "standard");
    let another = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    assert_ne!(made.text("api_key"), another.text("api_key"));
    assert_eq!(list(&sts).await.body["api_keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_that_was_ended_opens_nothing_and_stays_ended() {
    let sts = sts().await;
    let made = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    let (key, id) = (made.text("api_key"), made.text("id"));
    sts.clock.advance(60_000);
    let order = json!({"id": id});
    let ended = post(&sts, "/sts/api-keys/revoke", "ops.admin", &order).await;
    assert_eq!((ended.status, &ended.body["revoked_at"]), (200, &json!(START + 60)), "{ended:?}");
    assert_eq!(check(&sts, &key).await, Err(ApiKeyError::Revoked));
    sts.clock.advance(60_000);
    let again = post(&sts, "/sts/api-keys/revoke", "ops.admin", &order).await;
    assert_eq!(again.body, ended.body, "when it was ended first");
    assert_eq!(list(&sts).await.body["api_keys"][0]["revoked_at"], START + 60);
}

#[tokio::test]
async fn a_rotated_key_has_two_secrets_for_a_while_and_a_new_end() {
    let sts = sts().await;
    let made = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    let (old, id) = (made.text("api_key"), made.text("id"));
    sts.clock.advance(80 * 24 * 3600 * 1000);
    let order = json!({"id": id, "expires_in_days": 30, "grace_hours": 2});
    let rotated = post(&sts, "/sts/api-keys/rotate", "ops.admin", &order).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    assert_eq!(rotated.header("Cache-Control"), Some("no-store"));
    let new = rotated.text("api_key");
    assert_eq!(new.rsplit_once('.').unwrap().0, old.rsplit_once('.').unwrap().0, "the same key");
    assert_eq!(rotated.body["expires_at"], START + 110 * 24 * 3600);
    assert_eq!(rotated.body["scopes"], "read:conversations");
    assert!(!list(&sts).await.text.contains(new.rsplit_once('.').unwrap().1));
    let both = (check(&sts, &new).await, check(&sts, &old).await);
    assert_eq!(both, (Ok(SecretMatch::Current), Ok(SecretMatch::Other)));
    sts.clock.advance(2 * 3600 * 1000 - 1);
    assert_eq!(check(&sts, &old).await, Ok(SecretMatch::Other));
    let again = post(&sts, "/sts/api-keys/rotate", "ops.admin", &order).await;
    assert_eq!(again.error(), (400, "invalid_request"), "two secrets at most");
    assert_eq!(check(&sts, &old).await, Ok(SecretMatch::Other), "and neither goes before its time");
    sts.clock.advance(1);
    let after = (check(&sts, &new).await, check(&sts, &old).await);
    assert_eq!(after, (Ok(SecretMatch::Current), Err(ApiKeyError::Secret)));
    assert_eq!(post(&sts, "/sts/api-keys/rotate", "ops.admin", &order).await.status, 200, "the next one");
    let codes = sts.codes();
    assert_eq!(codes.iter().filter(|code| *code == "credential-rotated").count(), 2);
}

#[tokio::test]
async fn a_rotation_that_cannot_be_meant_or_recorded_changes_nothing() {
    let sts = sts().await;
    let made = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    let ended = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    post(&sts, "/sts/api-keys/revoke", "ops.admin", &json!({"id": ended.text("id")})).await;
    let id = made.text("id");
    for (label, order) in [
        ("an unknown key", json!({"id": "abcdefgh"})),
        ("a revoked key", json!({"id": ended.text("id")})),
        ("none", json!({})),
        ("an array", json!([id])),
        ("an unknown member", json!({"id": id, "owner": "svc.memory"})),
        ("no grace", json!({"id": id, "grace_hours": 0})),
        ("a grace of more than a week", json!({"id": id, "grace_hours": 169})),
        ("for ever", json!({"id": id, "expires_in_days": 366})),
    ] {
        let answer = post(&sts, "/sts/api-keys/rotate", "ops.admin", &order).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{label}");
    }
    assert_eq!(post(&sts, "/sts/api-keys/rotate", "svc.bff", &json!({"id": id})).await.status, 403);
    assert_eq!(sts.send(&Call::new("POST", "/sts/api-keys/rotate")).await.status, 401);
    let token = sts.token_of("ops.admin").await;
    sts.audit.fail_with(Some(portcullis_audit::AuditError::Unavailable));
    let call = Call::new("POST", "/sts/api-keys/rotate").bearer(&token);
    let call = call.header("Content-Type", "application/json").body(&json!({"id": id}).to_string());
    assert_eq!(sts.send(&call).await.status, 503);
    sts.audit.fail_with(None);
    let known = sts.credentials.load(&id).await.unwrap().unwrap();
    assert!(known.version == 1 && known.key.secrets.other.is_none(), "what is not recorded is not done");
    assert_eq!(sts.send(&call).await.status, 200, "and so it can be repeated");
}

#[tokio::test]
async fn orders_that_cannot_be_meant_make_no_key() {
    let sts = sts().await;
    let good = json!({"owner": "svc.bff", "scopes": "read:conversations"});
    let with = |name: &str, value: Value| {
        let mut order = good.clone();
        order[name] = value;
        order
    };
    for (label, order, error) in [
        ("nobody's", with("owner", json!("svc.nobody")), "invalid_request"),
        ("more than its owner may", with("scopes", json!("read:conversations decrypt:pii")), "invalid_scope"),
        (
            "what takes an approval",
            json!({"owner": "svc.actuator", "scopes": "read:approvals execute:external"}),
            "invalid_scope",
        ),
        ("for nothing", with("scopes", json!("")), "invalid_scope"),
        ("malformed scopes", with("scopes", json!("a  b")), "invalid_scope"),
        ("for ever", with("expires_in_days", json!(366)), "invalid_request"),
        ("for no time", with("expires_in_days", json!(0)), "invalid_request"),
        ("no tier", with("tier", json!("")), "invalid_request"),
        ("a tier that is no name", with("tier", json!("a b")), "invalid_request"),
        ("an unknown member", with("secret", json!("x")), "invalid_request"),
        ("no owner", json!({"scopes": "read:conversations"}), "invalid_request"),
        ("no scopes", json!({"owner": "svc.bff"}), "invalid_request"),
        ("an array", json!(["svc.bff", "read:conversations"]), "invalid_request"),
    ] {
        assert_eq!(create(&sts, &order).await.error(), (400, error), "{label}");
    }
    for (label, order) in
        [("unknown", json!({"id": "abcdefgh"})), ("none", json!({})), ("array", json!(["abcdefgh"]))]
    {
        let answer = post(&sts, "/sts/api-keys/revoke", "ops.admin", &order).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{label}");
    }
    assert_eq!(list(&sts).await.body, json!({"api_keys": []}));
}

#[tokio::test]
async fn only_security_admins_have_to_do_with_keys() {
    let sts = sts().await;
    let made = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    for who in ["svc.bff", "svc.memory", "ops.auditor"] {
        let order = json!({"owner": "svc.bff", "scopes": "read:conversations"});
        assert_eq!(post(&sts, "/sts/api-keys", who, &order).await.status, 403, "{who}");
        let order = json!({"id": made.text("id")});
        assert_eq!(post(&sts, "/sts/api-keys/revoke", who, &order).await.status, 403, "{who}");
        let token = sts.token_of(who).await;
        assert_eq!(sts.send(&Call::new("GET", "/sts/api-keys").bearer(&token)).await.status, 403, "{who}");
    }
    for (method, path) in
        [("POST", "/sts/api-keys"), ("GET", "/sts/api-keys"), ("POST", "/sts/api-keys/revoke")]
    {
        assert_eq!(sts.send(&Call::new(method, path)).await.status, 401, "{method} {path}");
    }
    assert_eq!(list(&sts).await.body["api_keys"].as_array().unwrap().len(), 1);
    assert_eq!(check(&sts, &made.text("api_key")).await, Ok(SecretMatch::Current));
}

#[tokio::test]
async fn two_methods_of_one_path_are_told() {
    let answer = sts().await.send(&Call::new("PUT", "/sts/api-keys")).await;
    assert_eq!((answer.status, answer.header("Allow")), (405, Some("POST, GET")));
}

#[tokio::test]
async fn every_key_that_is_made_or_ended_is_in_the_audit_trail_before_the_answer() {
    let sts = sts().await;
    let made = create(&sts, &json!({"owner": "svc.bff", "scopes": "read:conversations"})).await;
    let order = json!({"id": made.text("id")});
    post(&sts, "/sts/api-keys/revoke", "ops.admin", &order).await;
    let records = sts.audit.records();
    for code in ["credential-created", "credential-revoked"] {
        let found: Vec<_> = records.iter().filter(|record| record.body().contains(code)).collect();
        assert_eq!(found.len(), 1, "{code}");
        let body = found[0].body();
        assert!(
            body.contains("ops.admin") && body.contains("svc.bff") && body.contains(&made.text("id")),
            "{body}"
        );
        assert!(!body.contains(made.text("api_key").rsplit_once('.').unwrap().1), "{body}");
    }
    let token = sts.token_of("ops.admin").await;
    sts.audit.fail_with(Some(portcullis_audit::AuditError::Unavailable));
    let call = Call::new("POST", "/sts/api-keys").bearer(&token).header("Content-Type", "application/json");
    let refused =
        sts.send(&call.body(&json!({"owner": "svc.bff", "scopes": "read:conversations"}).to_string())).await;
    assert_eq!(refused.status, 503);
    assert!(refused.body["api_key"].is_null(), "what is not recorded is not shown");
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_makes_nothing_up() {
    let sts = sts().await;
    let token = sts.token_of("ops.admin").await;
    let order = json!({"owner": "svc.bff", "scopes": "read:conversations"}).to_string();
    let json =
        |call: Call, body: &str| call.bearer(&token).header("Content-Type", "application/json").body(body);
    for call in [
        json(Call::new("POST", "/sts/api-keys"), &order),
        json(Call::new("POST", "/sts/api-keys/revoke"), r#"{"id":"abcdefgh"}"#),
        Call::new("GET", "/sts/api-keys").bearer(&token),
    ] {
        sts.credentials.fail_next(1, StoreError::Unavailable);
        assert_eq!(sts.send(&call).await.status, 503);
    }
}
