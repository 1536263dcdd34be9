//! API keys: alone, beside a token, and refused.

use authorizer_function::{ApiKeyMode, Verdict};
use portcullis_access::{ApiKey, ApiKeyStore, PresentedKey, Rates};
use portcullis_token::{Scope, SecretHasher, StoredSecrets};

use crate::support::*;

const SECRET: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTE";

fn text(id: &str) -> String {
    format!("pk.{id}.{SECRET}")
}

async fn store(world: &World, id: &str, owner: &str, change: impl FnOnce(&mut ApiKey)) {
    let hasher = SecretHasher::new(PEPPER.as_bytes()).unwrap();
    let mut key = ApiKey {
        id: id.to_owned(),
        owner: owner.to_owned(),
        scopes: Scope::parse("read:conversations classify:pii rotate:keys").unwrap(),
        tier: "standard".to_owned(),
        secrets: StoredSecrets {
            current: PresentedKey::parse(&text(id)).unwrap().hash(&hasher),
            other: None,
        },
        expires_at: Some(at(NOW + 3_600)),
        revoked_at: None,
    };
    change(&mut key);
    assert!(world.credentials.inner.replace(&key, 0).await.unwrap());
}

fn world(mode: ApiKeyMode) -> World {
    World::with(|s| s.settings.api_keys = mode)
}

async fn passes(world: &World, path: &str, headers: &[(&str, &str)]) -> bool {
    let method = if path.starts_with("/conversations") { "GET" } else { "POST" };
    matches!(world.judge(&request(method, path, headers)).await, Verdict::Allow(_))
}

#[tokio::test]
async fn a_key_stands_for_its_owner_within_its_own_scopes() {
    let world = world(ApiKeyMode::Alternative);
    store(&world, "abcdefgh", "svc.memory", |_| {}).await;
    let key = text("abcdefgh");
    for (path, expected) in [
        ("/conversations/0f1e", true),
        ("/pii/classify", true),
        ("/pii/decrypt", false),
        ("/sts/rotate-keys", false),
    ] {
        assert_eq!(passes(&world, path, &[("X-Portcullis-Key", &key)]).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_key_gives_no_scope_that_takes_an_approval() {
    let world = world(ApiKeyMode::Alternative);
    let scopes = Scope::parse("read:approvals execute:external").unwrap();
    store(&world, "abcdefgh", "svc.actuator", |key| key.scopes = scopes).await;
    let key = text("abcdefgh");
    let verdict = world.judge(&request("GET", "/conversations/0f1e", &[("X-Portcullis-Key", &key)])).await;
    let (Verdict::Allow(grant) | Verdict::Forbidden(grant)) = verdict else { panic!("{verdict:?}") };
    assert!(grant.context.iter().all(|(_, value)| !value.contains("execute:external")), "{grant:?}");
}

#[tokio::test]
async fn a_key_with_a_token_narrows_and_must_be_its_own() {
    let world = world(ApiKeyMode::Alternative);
    store(&world, "abcdefgh", "svc.memory", |_| {}).await;
    let (key, memory) = (text("abcdefgh"), format!("Bearer {}", token_of("svc.memory")));
    let both = [("x-portcullis-key", key.as_str()), ("authorization", memory.as_str())];
    assert!(passes(&world, "/pii/classify", &both).await);
    assert!(!passes(&world, "/pii/decrypt", &both).await, "the key has not the scope");
    assert!(passes(&world, "/pii/decrypt", &both[1..]).await, "the token alone has it");
    let reader = format!("Bearer {}", token_of("ops.pii-reader"));
    let mixed = [("x-portcullis-key", key.as_str()), ("authorization", reader.as_str())];
    assert_eq!(world.judge(&request("POST", "/pii/classify", &mixed)).await, Verdict::Unauthorized);
    assert!(world.last_record().contains("api-key-of-another"));
}

#[tokio::test]
async fn every_mode_asks_for_what_it_says() {
    let memory = format!("Bearer {}", token_of("svc.memory"));
    let key = text("abcdefgh");
    let (by_key, by_token) = (("x-portcullis-key", key.as_str()), ("authorization", memory.as_str()));
    for (mode, key_alone, token_alone, both, broken_key_and_token) in [
        (ApiKeyMode::Off, false, true, true, true),
        (ApiKeyMode::Alternative, true, true, true, false),
        (ApiKeyMode::Required, false, false, true, false),
    ] {
        let world = world(mode);
        store(&world, "abcdefgh", "svc.memory", |_| {}).await;
        let broken = ("x-portcullis-key", "pk.abcdefgh.wrong");
        let path = "/conversations/0f1e";
        assert_eq!(passes(&world, path, &[by_key]).await, key_alone, "{mode:?}");
        assert_eq!(passes(&world, path, &[by_token]).await, token_alone, "{mode:?}");
        assert_eq!(passes(&world, path, &[by_key, by_token]).await, both, "{mode:?}");
        assert_eq!(passes(&world, path, &[broken, by_token]).await, broken_key_and_token, "{mode:?}");
    }
}

#[tokio::test]
async fn keys_that_are_not_good_are_refused_and_the_reason_recorded() {
    let wrong = text("abcdefgh").replace("c2V", "d2V");
    for (label, shown, change, reason) in [
        ("unknown", text("zzzzzzzz"), None, "api-key-unknown"),
        ("malformed", "hunter2".to_owned(), None, "api-key-malformed"),
        ("wrong secret", wrong, None, "api-key-secret"),
        ("expired", text("abcdefgh"), Some("expired"), "api-key-expired"),
        ("revoked", text("abcdefgh"), Some("revoked"), "api-key-revoked"),
        ("of nobody", text("abcdefgh"), Some("owner"), "api-key-owner"),
    ] {
        let world = world(ApiKeyMode::Alternative);
        store(&world, "abcdefgh", "svc.memory", |key| match change {
            Some("expired") => key.expires_at = Some(at(NOW)),
            Some("revoked") => key.revoked_at = Some(at(NOW)),
            Some("owner") => key.owner = "svc.gone".to_owned(),
            _ => {}
        })
        .await;
        let verdict =
            world.judge(&request("GET", "/conversations/0f1e", &[("x-portcullis-key", &shown)])).await;
        assert_eq!(verdict, Verdict::Unauthorized, "{label}");
        assert_eq!(world.codes(), ["api-key-refused"], "{label}");
        let record = world.last_record();
        assert!(
            record.contains(reason) && !record.contains(SECRET) && !record.contains("hunter2"),
            "{label}: {record}"
        );
    }
}

#[tokio::test]
async fn revoking_a_key_is_honoured_within_seconds_and_a_warm_one_asks_no_store() {
    let world = world(ApiKeyMode::Alternative);
    store(&world, "abcdefgh", "svc.memory", |_| {}).await;
    let key = text("abcdefgh");
    let shown = [("x-portcullis-key", key.as_str())];
    assert!(passes(&world, "/conversations/0f1e", &shown).await);
    // The lease of the tier is one cell at a time after the first; what matters here is the key.
    let _ = world.calls.take();
    assert!(passes(&world, "/conversations/0f1e", &shown).await);
    let calls = world.calls.take();
    assert!(!calls.contains(&"api-key") && !calls.contains(&"secret"), "{calls:?}");
    let known = ApiKeyStore::load(&world.credentials.inner, "abcdefgh").await.unwrap().unwrap();
    let revoked = ApiKey { revoked_at: Some(at(NOW)), ..known.key };
    assert!(world.credentials.inner.replace(&revoked, known.version).await.unwrap());
    world.clock.advance(3_000);
    assert!(!passes(&world, "/conversations/0f1e", &shown).await);
}

#[tokio::test]
async fn a_store_of_keys_that_fails_refuses_whom_it_does_not_know() {
    let world = world(ApiKeyMode::Alternative);
    store(&world, "abcdefgh", "svc.memory", |_| {}).await;
    let key = text("abcdefgh");
    let ask = request("GET", "/conversations/0f1e", &[("x-portcullis-key", &key)]);
    world.credentials.fail(true);
    assert_eq!(world.judge(&ask).await, Verdict::Unavailable);
    world.credentials.fail(false);
    let _ = allowed(&world.judge(&ask).await);
    world.credentials.fail(true);
    world.clock.advance(10_000);
    let _ = allowed(&world.judge(&ask).await);
    world.clock.advance(30_000);
    assert_eq!(world.judge(&ask).await, Verdict::Unavailable, "known too long ago");
}

#[tokio::test]
async fn a_key_has_the_rate_of_its_tier() {
    let world = World::with(|s| {
        s.settings.api_keys = ApiKeyMode::Alternative;
        s.rates =
            Rates::parse("version: 1\naddress: 100/s\nprincipal: 100/s\ntiers: {slow: 2/m, fast: 100/s}\n")
                .unwrap();
    });
    store(&world, "abcdefgh", "svc.memory", |key| key.tier = "slow".to_owned()).await;
    store(&world, "ijklmnop", "svc.memory", |key| key.tier = "fast".to_owned()).await;
    let (slow, fast) = (text("abcdefgh"), text("ijklmnop"));
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        verdicts.push(passes(&world, "/conversations/0f1e", &[("x-portcullis-key", &slow)]).await);
    }
    assert_eq!(verdicts, [true, true, false]);
    assert!(passes(&world, "/conversations/0f1e", &[("x-portcullis-key", &fast)]).await);
    let lines = world.metric_lines();
    for (tier, uses) in [("slow", 2), ("fast", 1)] {
        let used = format!("\"Tier\":\"{tier}\"");
        let counted = lines.lines().filter(|l| l.contains("\"ApiKeyUses\":1.0") && l.contains(&used));
        assert_eq!(counted.count(), uses, "{tier}");
    }
    assert!(!lines.contains("abcdefgh"), "no key's id");
}
