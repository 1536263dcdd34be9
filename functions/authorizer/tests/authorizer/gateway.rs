//! What API Gateway is told, and what it makes of that for this request and those after it.

use authorizer_function::{RateAnswer, UsageKey, Verdict};
use portcullis_access::{Identities, Routes};
use portcullis_base::Timestamp;
use portcullis_lambda::{Handler, Invocation};
use serde_json::{Value, json};

use crate::support::*;

/// As IAM compares a resource with an ARN: `*` stands for any text, slashes included.
fn iam_matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((literal, rest)) => text.strip_prefix(literal).is_some_and(|tail| {
            (0..=tail.len()).filter_map(|at| tail.get(at..)).any(|tail| iam_matches(rest, tail))
        }),
    }
}

fn gateway_allows(answer: &Value, method: &str, path: &str) -> bool {
    let arn = format!("{STAGE}/{method}{path}");
    let statements = answer["policyDocument"]["Statement"].as_array().unwrap();
    let hit =
        |s: &&Value| s["Resource"].as_array().unwrap().iter().any(|r| iam_matches(r.as_str().unwrap(), &arn));
    let effects: Vec<&str> = statements.iter().filter(hit).map(|s| s["Effect"].as_str().unwrap()).collect();
    effects.contains(&"Allow") && !effects.contains(&"Deny")
}

/// For every identity, whichever route was asked for first: the policy that the gateway keeps is right for all others.
#[tokio::test]
async fn cached_policy_is_right_for_every_route_whichever_came_first() {
    let routes = Routes::shipped().unwrap();
    let guarded: Vec<(String, String, _)> = routes
        .iter()
        .filter_map(|r| {
            Some((r.method.as_str().to_owned(), r.path.as_str().replace("{id}", "0f1e"), r.action()?))
        })
        .collect();
    for identity in Identities::shipped().unwrap().iter() {
        let mut answers = Vec::new();
        for (method, path, _) in &guarded {
            let world = World::new();
            let answer = world.answer(&event(method, path, &token_of(&identity.id))).await.unwrap();
            assert_eq!(answer["principalId"], identity.id.as_str());
            for (method, path, action) in &guarded {
                let expected = identity.scopes.contains(*action);
                assert_eq!(gateway_allows(&answer, method, path), expected, "{} {path}", identity.id);
            }
            answers.push(answer["policyDocument"].clone());
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{}", identity.id);
    }
}

#[tokio::test]
async fn a_token_of_fewer_scopes_reaches_fewer_routes() {
    let world = World::new();
    let narrow = es256(&with(claims("svc.memory"), "scope", json!("classify:pii read:signals")));
    let answer = world.answer(&event("POST", "/pii/decrypt", &narrow)).await.unwrap();
    assert!(gateway_allows(&answer, "POST", "/pii/classify"));
    for (method, path) in
        [("POST", "/pii/decrypt"), ("GET", "/conversations/0f1e"), ("POST", "/sts/rotate-keys")]
    {
        assert!(!gateway_allows(&answer, method, path), "{path}");
    }
    assert_eq!(answer["context"]["scopes"], "classify:pii", "what no route asks for goes no further");
}

#[tokio::test]
async fn context_is_strings_and_tells_who_is_calling() {
    let world = World::new();
    let answer = world.answer(&event("GET", "/conversations/0f1e", &token_of("svc.memory"))).await.unwrap();
    let context = answer["context"].as_object().unwrap();
    assert!(context.values().all(Value::is_string), "{context:?}");
    assert_eq!(context["roles"], "svc.memory");
    assert_eq!(context["limit"], "1200/m burst 120");
    assert_eq!(context["tokenId"], "t-svc.memory");
    assert!(context["limitRemaining"].as_str().unwrap().parse::<u32>().unwrap() < 120);
    assert!(context.keys().all(|k| k.chars().all(|c| c.is_ascii_alphanumeric())), "{context:?}");
}

#[tokio::test]
async fn forbidden_says_nothing_of_why() {
    let world = World::new();
    let verdict = world
        .judge(&request(
            "POST",
            "/sts/rotate-keys",
            &[("Authorization", &format!("Bearer {}", token_of("svc.bff")))],
        ))
        .await;
    assert!(matches!(verdict, Verdict::Forbidden(_)), "{verdict:?}");
    let answer = world.answer(&event("POST", "/sts/rotate-keys", &token_of("svc.bff"))).await.unwrap();
    assert!(!gateway_allows(&answer, "POST", "/sts/rotate-keys"));
    assert!(!answer.to_string().contains("restrict") && !answer.to_string().contains("matrix"), "{answer}");
    assert!(!answer.to_string().contains("nothing-permits"), "{answer}");
    let record = world.last_record();
    assert!(record.contains("permission-denied") && record.contains("nothing-permits"), "{record}");
}

#[tokio::test]
async fn a_denial_names_the_policy_in_the_audit_trail_alone() {
    let world = World::new();
    let both = with(claims("ops.security-admin"), "roles", json!(["security-admin", "pii-reader"]));
    let both = es256(&with(both, "scope", json!("decrypt:pii rotate:keys")));
    let answer = world.answer(&event("POST", "/pii/decrypt", &both)).await.unwrap();
    assert!(
        !gateway_allows(&answer, "POST", "/pii/decrypt")
            && gateway_allows(&answer, "POST", "/sts/rotate-keys")
    );
    assert!(world.last_record().contains("restrict.security-admin-reads-no-conversation"));
    assert!(!answer.to_string().contains("restrict"), "{answer}");
}

#[tokio::test]
async fn errors_are_the_words_that_the_gateway_knows() {
    let world = World::new();
    let mut nobody = event("GET", "/conversations/0f1e", "x");
    nobody["headers"] = json!({});
    nobody["multiValueHeaders"] = json!({});
    assert_eq!(world.answer(&nobody).await.unwrap_err().message, "Unauthorized");
    let broken = world.answer(&event("GET", "/conversations/0f1e", "not-a-token")).await.unwrap_err();
    assert_eq!((broken.kind, broken.message), ("Unauthorized", "Unauthorized"));
    let repeated = {
        let mut event = event("GET", "/conversations/0f1e", &token_of("svc.memory"));
        let token = event["headers"]["Authorization"].clone();
        event["multiValueHeaders"]["Authorization"] = json!([token.clone(), token]);
        event
    };
    assert_eq!(world.answer(&repeated).await.unwrap_err().message, "Unauthorized");
    for other in [
        json!({}),
        json!([]),
        json!({"type": "TOKEN"}),
        with(event("GET", "/a", "x"), "methodArn", json!("*")),
    ] {
        assert_eq!(world.answer(&other).await.unwrap_err().kind, "UnknownEvent", "{other}");
    }
}

#[tokio::test]
async fn a_rate_that_refuses_is_an_error_or_a_denial_as_set() {
    for (answer, error) in [(RateAnswer::Error, true), (RateAnswer::Deny, false)] {
        let world = World::with(|s| {
            s.settings.rate_answer = answer;
            s.rates = portcullis_access::Rates::parse(
                "version: 1\naddress: 1/m burst 1\nprincipal: 1/s\ntiers: {a: 1/s}\n",
            )
            .unwrap();
        });
        let event = event("GET", "/conversations/0f1e", &token_of("svc.memory"));
        assert!(gateway_allows(&world.answer(&event).await.unwrap(), "GET", "/conversations/0f1e"));
        match world.answer(&event).await {
            Err(failure) => assert_eq!((error, failure.message), (true, "TooManyRequests")),
            Ok(denial) => {
                assert!(!error);
                assert_eq!(denial["context"], json!({"reason": "too-many-requests", "retryAfter": "60"}));
                assert!(!gateway_allows(&denial, "GET", "/conversations/0f1e"));
                assert_eq!(
                    denial["policyDocument"]["Statement"][0]["Resource"],
                    json!([format!("{STAGE}/*")])
                );
            }
        }
    }
}

#[tokio::test]
async fn unknown_routes_and_public_ones_are_nobody_s_by_a_token() {
    let world = World::new();
    for (method, path) in [
        ("GET", "/nowhere"),
        ("DELETE", "/conversations/0f1e"),
        ("GET", "/sts/jwks"),
        ("GET", "/conversations/a/b"),
    ] {
        let bearer = format!("Bearer {}", token_of("svc.memory"));
        let verdict = world.judge(&request(method, path, &[("Authorization", &bearer)])).await;
        assert!(matches!(verdict, Verdict::Forbidden(_)), "{method} {path}: {verdict:?}");
    }
    assert!(
        world.function.is_public("GET", "/sts/jwks") && !world.function.is_public("POST", "/pii/decrypt")
    );
    assert!(!world.function.is_public("GET", "/nowhere"));
}

/// The answer as the gateway reads it.
async fn text_of(world: &World, event: &Value) -> String {
    let invocation = Invocation { request_id: "i-1".to_owned(), deadline: Timestamp::MAX };
    String::from_utf8(world.function.handle(event.to_string().as_bytes(), &invocation).await.unwrap())
        .unwrap()
}

/// Denied, forbidden or allowed: the gateway looks for what to count on in whatever policy it is told.
#[tokio::test]
async fn the_key_of_the_usage_plan_is_in_every_policy_and_only_where_there_is_a_plan() {
    let once = portcullis_access::Rates::parse(
        "version: 1\naddress: 1/m burst 1\nprincipal: 1/s\ntiers: {a: 1/s}\n",
    )
    .unwrap();
    let world = |key: Option<&str>| {
        let (usage_key, rates) = (key.map(|key| UsageKey::parse(key).unwrap()), once.clone());
        World::with(|s| {
            s.settings.usage_key = usage_key;
            s.settings.rate_answer = RateAnswer::Deny;
            s.rates = rates;
        })
    };
    let (without, with) = (world(None), world(Some("portcullis-quota-of-all-callers")));
    let requests = [
        ("allowed", event("GET", "/conversations/0f1e", &token_of("svc.memory"))),
        ("denied", event("GET", "/conversations/0f1e", &token_of("svc.memory"))),
    ];
    for (what, event) in &requests {
        let (before, after) = (text_of(&without, event).await, text_of(&with, event).await);
        let expected = before.strip_suffix('}').unwrap().to_owned()
            + r#","usageIdentifierKey":"portcullis-quota-of-all-callers"}"#;
        assert_eq!(after, expected, "{what}");
    }
    let (without, with) = (world(None), world(Some("portcullis-quota-of-all-callers")));
    let forbidden = event("POST", "/sts/rotate-keys", &token_of("svc.bff"));
    assert!(!text_of(&without, &forbidden).await.contains("usage"));
    let answer = with.answer(&forbidden).await.unwrap();
    assert_eq!(answer["usageIdentifierKey"], "portcullis-quota-of-all-callers");
    assert!(!gateway_allows(&answer, "POST", "/sts/rotate-keys"));
}

#[tokio::test]
async fn without_a_plan_the_answer_is_principal_policy_and_context() {
    let world = World::with(|s| {
        s.settings.rate_answer = RateAnswer::Deny;
        s.rates = portcullis_access::Rates::parse(
            "version: 1\naddress: 1/m burst 1\nprincipal: 1/s\ntiers: {a: 1/s}\n",
        )
        .unwrap();
    });
    let event = event("GET", "/conversations/0f1e", &token_of("svc.memory"));
    world.answer(&event).await.unwrap();
    let denial = [
        r#"{"principalId":"anonymous","policyDocument":{"Version":"2012-10-17","#,
        r#""Statement":[{"Action":"execute-api:Invoke","Effect":"Deny","Resource":[""#,
        STAGE,
        r#"/*"]}]},"context":{"reason":"too-many-requests","retryAfter":"60"}}"#,
    ]
    .concat();
    assert_eq!(text_of(&world, &event).await, denial);
}
