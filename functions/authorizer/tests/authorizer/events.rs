//! The files of `events/authorizer`: what `sam local invoke` sends, and what must come back.
//!
//! Their tokens are signed with a key that stands below, for an issuer that only `config/dev/issuers.json` names, and
//! live for a hundred years. `UPDATE_EVENTS=1 cargo test -p authorizer-function --test authorizer events` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use authorizer_function::{IssuerSettings, Issuers};
use portcullis_token::{Algorithm, LocalSigner, Thumbprint};
use serde_json::{Value, json};

use crate::support::{STAGE, World, b64, with};

const DEV_ISSUER: &str = "https://development.portcullis.example";
const ISSUERS: &str = include_str!("../../../../config/dev/issuers.json");

/// Ed25519 in PKCS#8 form over a seed that everybody may know: no stack takes its tokens that does not name its issuer.
fn key() -> LocalSigner {
    let mut pkcs8 =
        vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    pkcs8.extend_from_slice(b"portcullis development events 01");
    LocalSigner::from_pkcs8(Algorithm::EdDsa, Some("development"), &pkcs8).unwrap()
}

fn claims(role: &str, scope: &str) -> Value {
    json!({"iss": DEV_ISSUER, "sub": format!("events.{role}"), "aud": "https://api.portcullis.example", "exp": 4_900_000_000_u64,
           "iat": 1_750_000_000, "jti": format!("event-{role}"), "client_id": "events", "scope": scope, "roles": [role]})
}

fn sign(header: &Value, claims: &Value) -> String {
    let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    format!("{input}.{}", b64(key().sign_now(input.as_bytes()).unwrap()))
}

fn header() -> Value {
    json!({"alg": "EdDSA", "kid": "development", "typ": "at+jwt"})
}

fn good(role: &str, scope: &str) -> String {
    sign(&header(), &claims(role, scope))
}

const READER: &str = "classify:pii decrypt:pii encrypt:pii read:conversations search:conversations";

fn event(method: &str, resource: &str, path: &str, token: Option<&str>) -> Value {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers =
        bearer.as_ref().map_or(json!({"Accept": "*/*"}), |b| json!({"Accept": "*/*", "Authorization": b}));
    let lists = bearer
        .as_ref()
        .map_or(json!({"Accept": ["*/*"]}), |b| json!({"Accept": ["*/*"], "Authorization": [b]}));
    json!({
        "type": "REQUEST", "methodArn": format!("{STAGE}/{method}{path}"), "resource": resource, "path": path,
        "httpMethod": method, "headers": headers, "multiValueHeaders": lists, "queryStringParameters": {},
        "multiValueQueryStringParameters": {}, "pathParameters": {}, "stageVariables": {},
        "requestContext": {
            "accountId": "111122223333", "apiId": "abcde12345", "domainName": "abcde12345.execute-api.us-east-1.amazonaws.com",
            "httpMethod": method, "identity": {"sourceIp": "192.0.2.10", "userAgent": "curl/8.0"},
            "path": format!("/prod{path}"), "requestId": "11111111-2222-3333-4444-555555555555",
            "resourcePath": resource, "stage": "prod",
        },
    })
}

fn allow(role: &str, scope: &str, routes: &[&str]) -> Value {
    let resources: Vec<String> = routes.iter().map(|route| format!("{STAGE}/{route}")).collect();
    json!({
        "principalId": format!("{DEV_ISSUER}|events.{role}"),
        "policyDocument": {"Version": "2012-10-17", "Statement": [
            {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": resources}]},
        "context": {"roles": role, "scopes": scope, "limit": "300/m burst 30", "limitRemaining": {"$any": true},
                    "limitReset": {"$any": true}, "reason": "authenticated", "tokenId": format!("event-{role}")},
    })
}

fn cases() -> Vec<(&'static str, Value, Value)> {
    let unauthorized = json!({"errorType": "Unauthorized", "errorMessage": "Unauthorized"});
    let refused = |token: &str| {
        (event("GET", "/conversations/{id}", "/conversations/0f1e2d3c", Some(token)), unauthorized.clone())
    };
    let reader = allow(
        "pii-reader",
        READER,
        &[
            "POST/pii/encrypt",
            "POST/pii/decrypt",
            "POST/pii/classify",
            "POST/conversations/search",
            "GET/conversations/*",
        ],
    );
    let none = sign(&with(header(), "alg", json!("none")), &claims("pii-reader", READER));
    let (unsigned, _) = none.rsplit_once('.').unwrap();
    let other = claims("pii-reader", READER);
    let payload = b64(other.to_string());
    let forged = good("pii-reader", READER).replacen(
        &payload,
        &b64(with(other, "roles", json!(["security-admin"])).to_string()),
        1,
    );
    let print = Thumbprint::of_certificate_der(b"no certificate").to_string();
    let bound = sign(&header(), &with(claims("pii-reader", READER), "cnf", json!({"x5t#S256": print})));
    let expired = sign(&header(), &with(claims("pii-reader", READER), "exp", json!(1_750_000_600)));
    let case = |name, (event, expected)| (name, event, expected);
    vec![
        (
            "allow-read",
            event("GET", "/conversations/{id}", "/conversations/0f1e2d3c", Some(&good("pii-reader", READER))),
            reader.clone(),
        ),
        (
            "allow-rotate-keys",
            event(
                "POST",
                "/sts/rotate-keys",
                "/sts/rotate-keys",
                Some(&good("security-admin", "rotate:keys")),
            ),
            allow("security-admin", "rotate:keys", &["POST/sts/rotate-keys", "GET/sts/keys"]),
        ),
        case("algorithm-none", refused(&format!("{unsigned}."))),
        case("bound-without-certificate", refused(&bound)),
        case("expired", refused(&expired)),
        // The same policy as for what is allowed: it does not name this route, and the gateway answers 403.
        (
            "forbidden-rotate-keys",
            event("POST", "/sts/rotate-keys", "/sts/rotate-keys", Some(&good("pii-reader", READER))),
            reader,
        ),
        (
            "narrowed-scope",
            event("POST", "/pii/decrypt", "/pii/decrypt", Some(&good("svc.memory", "classify:pii"))),
            allow("svc.memory", "classify:pii", &["POST/pii/classify"]),
        ),
        (
            "no-credentials",
            event("GET", "/conversations/{id}", "/conversations/0f1e2d3c", None),
            unauthorized.clone(),
        ),
        (
            "no-scope",
            event(
                "GET",
                "/conversations/{id}",
                "/conversations/0f1e2d3c",
                Some(&good("auditor", "read:audit")),
            ),
            deny("auditor"),
        ),
        case("payload-changed", refused(&forged)),
        (
            "unknown-event",
            json!({"Records": []}),
            json!({"errorType": "UnknownEvent", "errorMessage": "the event is not that of a REQUEST authorizer"}),
        ),
    ]
}

fn deny(role: &str) -> Value {
    let mut answer = allow(role, "", &[]);
    answer["policyDocument"]["Statement"][0] =
        json!({"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": [format!("{STAGE}/*")]});
    answer
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/authorizer")
}

fn read(name: &str) -> Value {
    let text = fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}; see UPDATE_EVENTS"));
    serde_json::from_slice(&text).unwrap()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs it says whether files are written")]
fn files_are_what_is_described_here() {
    if std::env::var_os("UPDATE_EVENTS").is_some() {
        fs::create_dir_all(folder()).unwrap();
        for (name, event, expected) in cases() {
            for (file, value) in
                [(format!("{name}.json"), event), (format!("{name}.expected.json"), expected)]
            {
                fs::write(folder().join(file), format!("{value:#}\n")).unwrap();
            }
        }
    }
    for (name, event, expected) in cases() {
        let without_token = |mut event: Value| {
            // The order of members in a signed token is that of the map that wrote it: the tokens are judged below.
            for headers in ["headers", "multiValueHeaders"] {
                event[headers]["Authorization"] = json!(event[headers].get("Authorization").is_some());
            }
            event
        };
        assert_eq!(without_token(read(&format!("{name}.json"))), without_token(event), "{name}");
        assert_eq!(read(&format!("{name}.expected.json")), expected, "{name}");
    }
    assert_eq!(
        fs::read_dir(folder()).unwrap().count(),
        cases().len() * 2,
        "a file that is described nowhere"
    );
}

#[tokio::test]
async fn every_event_is_answered_as_its_file_says() {
    let public = json!({"keys": [key().public()]});
    let named: Value = serde_json::from_str(ISSUERS).unwrap();
    assert_eq!(named[0]["jwks"], public, "config/dev/issuers.json names this key");
    let own = json!([{"issuer": "https://sts.example", "jwks": {"keys": []}, "audiences": ["x"], "algorithms": ["ES256"]}]);
    let own = IssuerSettings::parse_list(&own.to_string()).unwrap();
    for (name, ..) in cases() {
        let others = IssuerSettings::parse_list(ISSUERS).unwrap();
        let world = World::with(|s| s.issuers = Issuers::new(&own[0], &others, 5).unwrap());
        let mut found = match world.answer(&read(&format!("{name}.json"))).await {
            Ok(answer) => answer,
            Err(failure) => json!({"errorType": failure.kind, "errorMessage": failure.message}),
        };
        for counted in ["limitRemaining", "limitReset"] {
            if let Some(value) = found.pointer_mut(&format!("/context/{counted}")) {
                *value = json!({"$any": true});
            }
        }
        assert_eq!(found, read(&format!("{name}.expected.json")), "{name}");
    }
}
