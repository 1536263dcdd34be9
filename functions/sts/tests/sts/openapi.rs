//! `docs/openapi.json` held against the routes, against the answers of this function, and against the sample events of the
//! others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis_access::Routes;
use serde_json::{Value, json};

use crate::support::{Answer, Call, START, Sts, proof, sts};

fn document() -> Value {
    serde_json::from_str(sts_function::OPENAPI).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

#[test]
fn routes_and_description_are_the_same() {
    let document = document();
    let described: BTreeSet<_> = operations(&document).into_iter().map(|(m, p, _)| (m, p)).collect();
    let routes = Routes::shipped().unwrap();
    let routed: BTreeSet<_> = routes
        .iter()
        .map(|route| (route.method.as_str().to_owned(), route.path.as_str().to_owned()))
        .collect();
    assert_eq!(described, routed);
    for route in routes.iter() {
        let item = &document["paths"][route.path.as_str()][route.method.as_str().to_lowercase()];
        let action = route.action().map(|action| json!(action.as_str())).unwrap_or_default();
        assert_eq!(item["x-portcullis-action"], action, "{route}");
        let asks = |security: &Value| security.to_string().contains("accessToken");
        if action.is_string() {
            assert!(asks(&item["security"]), "{route} needs a token");
        }
    }
}

#[test]
fn the_description_hangs_together() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 100);
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for (kind, parts) in document["components"].as_object().unwrap() {
        for name in parts.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(&reference), "{reference} is of no use");
        }
    }
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        assert!(operation["responses"].get("200").is_some(), "{method} {path}");
        assert!(operation["responses"].get("405").is_some(), "{method} {path}");
        for scheme in operation["security"].as_array().unwrap() {
            for name in scheme.as_object().unwrap().keys() {
                assert!(document["components"]["securitySchemes"].get(name).is_some(), "{name}");
            }
        }
        for parameter in path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')) {
            let declared = operation["parameters"].as_array().unwrap();
            assert!(declared.iter().any(|p| p["in"] == "path" && p["name"] == parameter), "{path}");
        }
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(reference) if name == "$ref" => references.push(reference.to_owned()),
                    _ => collect(value, references),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

/// What the description says of an answer, held against it.
fn check_answer(document: &Value, method: &str, path: &str, answer: &Answer) -> Result<(), String> {
    let operation = &document["paths"][path][method.to_lowercase()];
    let status = answer.status.to_string();
    let described = resolve(document, &operation["responses"][&status]);
    if described.is_null() {
        return Err(format!("{method} {path}: {status} is not described"));
    }
    for (name, header) in described["headers"].as_object().into_iter().flatten() {
        let Some(found) = answer.header(name) else { return Err(format!("{path} {status}: no {name}")) };
        if let Some(fixed) = header["schema"]["const"].as_str().filter(|fixed| *fixed != found) {
            return Err(format!("{path} {status}: {name} is {found}, not {fixed}"));
        }
    }
    let Some(content) = described["content"].as_object() else {
        return if answer.text.is_empty() { Ok(()) } else { Err(format!("{path} {status}: a body")) };
    };
    let found = answer.header("Content-Type").unwrap_or_default();
    let Some(media) = content.get(found) else { return Err(format!("{path} {status}: {found}")) };
    let is_json = found.contains("json") && !answer.body.is_null();
    let body = if is_json { answer.body.clone() } else { json!(answer.text) };
    check(document, &media["schema"], &body, &format!("{method} {path} {status}"))
}

fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => value,
    }
}

/// The part of JSON Schema that the description uses. A keyword that is not known here fails the test. In expected answers an
/// object such as `{"$any": true}` stands for a value that is not known beforehand.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolve(document, schema);
    let matcher = value.as_object().filter(|o| o.len() == 1).and_then(|o| o.keys().next());
    if matcher.is_some_and(|name| name.starts_with('$')) {
        return Ok(());
    }
    let wrong = |what: &str| Err(format!("{at}: {what}: {value}"));
    for (keyword, rule) in schema.as_object().ok_or_else(|| format!("{at}: no schema"))? {
        match keyword.as_str() {
            "type" => {
                let names: Vec<&str> = match rule {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    name => name.as_str().into_iter().collect(),
                };
                let is = |name: &str| match name {
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    "null" => value.is_null(),
                    _ => false,
                };
                if !names.into_iter().any(is) {
                    return wrong("of another type");
                }
            }
            "const" if rule != value => return wrong("another value"),
            "enum" if !rule.as_array().unwrap().contains(value) => return wrong("not one of the values"),
            "minimum" if value.as_f64() < rule.as_f64() => return wrong("too small"),
            "maximum" if value.as_f64() > rule.as_f64() => return wrong("too large"),
            "maxLength" if value.as_str().unwrap().len() as u64 > rule.as_u64().unwrap() => {
                return wrong("too long");
            }
            "pattern" => {
                let prefix = rule.as_str().unwrap().trim_start_matches('^').split('[').next().unwrap();
                if !value.as_str().unwrap().starts_with(prefix) {
                    return wrong("of another form");
                }
            }
            "required" => {
                for name in rule.as_array().unwrap().iter().filter_map(Value::as_str) {
                    if value.get(name).is_none() {
                        return wrong(&format!("no {name}"));
                    }
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        check(document, rule, member, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object();
                let members = value.as_object().into_iter().flatten();
                for (name, member) in members.filter(|(n, _)| known.is_none_or(|k| !k.contains_key(*n))) {
                    match rule {
                        Value::Bool(true) => {}
                        Value::Bool(false) => return wrong(&format!("{name} is not described")),
                        rule => check(document, rule, member, &format!("{at}.{name}"))?,
                    }
                }
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, rule, item, &format!("{at}[{i}]"))?;
                }
            }
            "oneOf" => {
                let fits = rule.as_array().unwrap().iter().filter(|r| check(document, r, value, at).is_ok());
                if fits.count() != 1 {
                    return wrong("not exactly one of them");
                }
            }
            "const" | "enum" | "minimum" | "maximum" | "maxLength" | "description" | "format" => {}
            other => panic!("{at}: the test does not know {other}"),
        }
    }
    Ok(())
}

#[test]
fn the_checker_tells_right_from_wrong() {
    let document = document();
    let is = |name: &str, value: Value| {
        check(&document, &json!({"$ref": format!("#/components/schemas/{name}")}), &value, name).is_ok()
    };
    assert!(is("Queued", json!({"queued": 3})));
    for (label, name, value) in [
        ("a member too many", "Queued", json!({"queued": 3, "x": 1})),
        ("none", "Queued", json!({})),
        ("a string", "Queued", json!({"queued": "3"})),
        ("too small", "Queued", json!({"queued": -1})),
        ("too large", "TokenAnswer", json!({"access_token": "x", "token_type": "Bearer", "expires_in": 901})),
        ("another word", "TokenAnswer", json!({"access_token": "x", "token_type": "MAC", "expires_in": 1})),
        ("another form", "Problem", json!({"type": "about:blank", "title": "x"})),
        ("in a list", "Keys", json!({"keys": [{}]})),
        ("in a map", "Fields", json!({"a": 1})),
        ("neither of two", "Introspection", json!({"active": true, "aud": 7})),
    ] {
        assert!(!is(name, value), "{label}");
    }
}

async fn answers(sts: &Sts) -> Vec<(&'static str, &'static str, Answer)> {
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let access = "urn:ietf:params:oauth:token-type:access_token";
    let approval = "urn:portcullis:params:oauth:token-type:approval";
    let token = sts.token_of("svc.actuator").await;
    let of_enterprise = sts.token_of("svc.enterprise").await;
    let admin = sts.token_of("ops.admin").await;
    let user = sts.user_token(|_| {});
    let key = portcullis_token::LocalSigner::generate(portcullis_token::Algorithm::Es256).unwrap();
    let bff = sts.send(&Call::client_credentials().basic("svc.bff")).await;
    let bound = sts
        .send(
            &Call::client_credentials()
                .basic("svc.actuator")
                .header("DPoP", &proof(&key, "/sts/token", "1", START, None)),
        )
        .await;
    let given = [
        ("grant_type", exchange),
        ("subject_token", &*of_enterprise),
        ("subject_token_type", access),
        ("requested_token_type", approval),
        ("resource", "urn:portcullis:plan:p"),
        ("audience", "svc.actuator"),
    ];
    let given = sts.send(&Call::token(&given).basic("svc.enterprise")).await;
    let approved = given.text("access_token");
    let execute = [
        ("grant_type", exchange),
        ("subject_token", &*approved),
        ("subject_token_type", approval),
        ("resource", "urn:portcullis:plan:p"),
    ];
    let introspect = |token: &str| Call::form("/sts/introspect", &[("token", token)]).basic("ops.auditor");
    let of_approval = sts.send(&introspect(&approved)).await;
    let executed = sts.send(&Call::token(&execute).basic("svc.actuator")).await;
    let exchanged =
        Call::token(&[("grant_type", exchange), ("subject_token", &user), ("subject_token_type", access)]);
    let exchanged = sts.send(&exchanged.basic("svc.bff")).await;
    let json =
        json!({"service_id": "svc.actuator", "client_secret": crate::support::secret_of("svc.actuator")});
    let json =
        Call::new("POST", "/sts/token").header("Content-Type", "application/json").body(&json.to_string());
    let (post, get) = ("POST", "GET");
    let (token_path, introspect_path, revoke_path) = ("/sts/token", "/sts/introspect", "/sts/revoke");
    let rotate_path = "/sts/rotate-keys";
    let rotate = || Call::new("POST", "/sts/rotate-keys");
    let metadata = "/.well-known/oauth-authorization-server";
    let mut all = vec![
        (post, introspect_path, sts.send(&introspect(&exchanged.text("access_token"))).await),
        (post, introspect_path, sts.send(&introspect(&executed.text("access_token"))).await),
        (post, introspect_path, sts.send(&introspect(&bff.text("refresh_token"))).await),
        (post, introspect_path, sts.send(&introspect(&bound.text("access_token"))).await),
        (post, introspect_path, of_approval),
        (post, token_path, bff),
        (post, token_path, bound),
        (post, token_path, given),
        (post, token_path, executed),
        (post, token_path, exchanged),
        (post, token_path, sts.send(&json).await),
        (post, token_path, sts.send(&Call::client_credentials()).await),
        (post, token_path, sts.send(&Call::token(&[("grant_type", "x")])).await),
        (post, token_path, sts.send(&Call::new("POST", "/sts/token").body(&"x".repeat(70_000))).await),
        (post, introspect_path, sts.send(&introspect(&token)).await),
        (post, introspect_path, sts.send(&introspect("x")).await),
        (
            post,
            introspect_path,
            sts.send(&Call::form("/sts/introspect", &[("token", "x")]).bearer(&token)).await,
        ),
        (post, introspect_path, sts.send(&Call::form("/sts/introspect", &[])).await),
        (
            post,
            revoke_path,
            sts.send(&Call::form("/sts/revoke", &[("token", &token)]).basic("svc.actuator")).await,
        ),
        (
            post,
            revoke_path,
            sts.send(&Call::form("/sts/revoke", &[("token", &admin)]).basic("svc.actuator")).await,
        ),
        (post, rotate_path, sts.send(&rotate().bearer(&admin)).await),
        (post, rotate_path, sts.send(&rotate()).await),
        (post, rotate_path, sts.send(&rotate().bearer("x")).await),
        (post, rotate_path, sts.send(&rotate().bearer(&of_enterprise)).await),
        (post, rotate_path, sts.send(&rotate().bearer(&admin).body("x")).await),
        (get, "/sts/keys", sts.send(&Call::new("GET", "/sts/keys").bearer(&admin)).await),
        (get, "/sts/keys", sts.send(&Call::new("GET", "/sts/keys")).await),
    ];
    let keys_path = "/sts/api-keys";
    let made = sts
        .send(
            &json_call(keys_path, &json!({"owner": "svc.bff", "scopes": "read:conversations"}))
                .bearer(&admin),
        )
        .await;
    let id = json!({"id": made.body["id"]});
    all.extend([
        (post, keys_path, made),
        (post, keys_path, sts.send(&json_call(keys_path, &json!({})).bearer(&admin)).await),
        (post, keys_path, sts.send(&json_call(keys_path, &json!({})).bearer(&of_enterprise)).await),
        (get, keys_path, sts.send(&Call::new("GET", keys_path).bearer(&admin)).await),
        (get, keys_path, sts.send(&Call::new("GET", keys_path)).await),
    ]);
    for path in ["/sts/api-keys/rotate", "/sts/api-keys/revoke"] {
        for order in [&id, &json!({"id": "unknown0"})] {
            all.push((post, path, sts.send(&json_call(path, order).bearer(&admin)).await));
        }
    }
    let thumbprint = portcullis_token::Thumbprint::of_certificate_der(b"x").to_string();
    for order in [json!({"subject": "svc.memory"}), json!({"thumbprint": thumbprint}), json!({})] {
        let path = "/sts/revocations";
        all.push((post, path, sts.send(&json_call(path, &order).bearer(&admin)).await));
    }
    for path in ["/sts/jwks", metadata, "/openapi.json"] {
        all.push((get, path, sts.send(&Call::new("GET", path)).await));
        all.push((get, path, sts.send(&Call::new("GET", path).header("If-None-Match", "*")).await));
    }
    for _ in 0..6 {
        sts.send(&Call::client_credentials().basic_with("svc.memory", "x")).await;
    }
    all.push((post, token_path, sts.send(&Call::client_credentials().basic("svc.memory")).await));
    sts.credentials.fail_next(1, portcullis_token::StoreError::Unavailable);
    all.push((post, token_path, sts.send(&Call::client_credentials().basic("svc.actuator")).await));
    sts.credentials.fail_next(1, portcullis_token::StoreError::Refused);
    all.push((post, token_path, sts.send(&Call::client_credentials().basic("svc.actuator")).await));
    all
}

fn json_call(path: &str, body: &Value) -> Call {
    Call::new("POST", path).header("Content-Type", "application/json").body(&body.to_string())
}

#[tokio::test]
async fn every_kind_of_answer_of_this_function_is_described() {
    let document = document();
    let sts = sts().await;
    let answers = answers(&sts).await;
    let mut statuses = BTreeSet::new();
    for (method, path, answer) in &answers {
        statuses.insert(answer.status);
        if let Err(error) = check_answer(&document, method, path, answer) {
            panic!("{error}\n{answer:?}");
        }
    }
    assert_eq!(statuses, BTreeSet::from([200, 304, 400, 401, 403, 413, 429, 500, 503]));
}

/// The answers that the other functions' sample events expect, which run against the real functions elsewhere.
#[test]
fn the_sample_events_of_every_function_are_described() {
    let document = document();
    let routes = Routes::shipped().unwrap();
    let mut checked = 0;
    for function in ["webhook", "pii", "sts", "guardduty-responder"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(function);
        for event in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = event.file_name().unwrap().to_str().unwrap().to_owned();
            let expected: PathBuf = event.with_file_name(name.replace(".json", ".expected.json"));
            if name.ends_with(".expected.json") || !expected.exists() {
                continue;
            }
            let event: Value = serde_json::from_slice(&std::fs::read(&event).unwrap()).unwrap();
            let expected: Value = serde_json::from_slice(&std::fs::read(&expected).unwrap()).unwrap();
            let (Some(method), Some(path)) = (event["httpMethod"].as_str(), event["path"].as_str()) else {
                continue;
            };
            let Some(route) = routes.find(method, path) else { continue };
            let body = match &expected["body"] {
                Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
                matched => matched["$json"].clone(),
            };
            let answer = Answer {
                status: u16::try_from(expected["statusCode"].as_u64().unwrap()).unwrap(),
                headers: expected["headers"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter_map(|(n, v)| {
                        Some((n.clone(), v.as_str().map_or_else(|| "matched".to_owned(), str::to_owned)))
                            .filter(|_| !v.is_null())
                    })
                    .collect(),
                text: expected["body"].as_str().unwrap_or_default().to_owned(),
                body,
            };
            if let Err(error) = check_answer(&document, method, route.path.as_str(), &answer) {
                panic!("events/{function}/{name}: {error}");
            }
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
}
