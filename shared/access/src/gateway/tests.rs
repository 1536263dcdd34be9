use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{Identities, Roles};

const STAGE: &str = "arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod";

fn arn() -> MethodArn<'static> {
    MethodArn::parse("arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod/GET/conversations/0f1e")
        .unwrap()
}

/// As IAM compares a resource with an ARN: `*` stands for any text, slashes included.
fn iam_matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((literal, rest)) => text.strip_prefix(literal).is_some_and(|tail| {
            (0..=tail.len()).filter_map(|at| tail.get(at..)).any(|tail| iam_matches(rest, tail))
        }),
    }
}

/// What the gateway does with a policy that it kept, for one more request.
fn gateway_allows(document: &PolicyDocument, method: &str, path: &str) -> bool {
    document.allows() && document.resources().any(|r| iam_matches(r, &format!("{STAGE}/{method}{path}")))
}

/// Paths that a client may write for a route, nasty ones among them.
fn paths(route: &Route) -> Vec<String> {
    let values = ["0f1e", "search", "a%2Fb", "a*b", "*", "..", "%2e%2e", "a?b", "decrypt"];
    let fill = |value: &str| {
        let parts = route.path.segments().map(|s| s.unwrap_or(value).to_owned());
        format!("/{}", parts.collect::<Vec<_>>().join("/"))
    };
    values.iter().map(|value| fill(value)).collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn cached_policy_is_right_for_every_route_of_every_role() {
    let guard = RouteGuard::shipped().unwrap();
    let mut decided = 0;
    for role in Roles::shipped().unwrap().iter() {
        let all =
            Scope::parse(&role.scopes.iter().map(Action::as_str).collect::<Vec<_>>().join(" ")).unwrap();
        // Every narrowing to one scope, none, and all.
        let narrowed = all.iter().map(|s| Scope::parse(s).unwrap());
        for scopes in narrowed.chain([Scope::default(), all.clone()]) {
            let roles = [role.name.clone()];
            let principal = Principal { id: &role.name, roles: &roles, scopes: &scopes };
            let document = PolicyDocument::allow(&arn(), guard.allowed(&principal)).unwrap();
            for route in guard.routes().iter().filter(|r| r.action().is_some()) {
                let expected = guard.decide(&principal, route).unwrap().allowed;
                for path in paths(route) {
                    let allowed = gateway_allows(&document, route.method.as_str(), &path);
                    assert_eq!(allowed, expected, "{} with {scopes:?}: {route} as {path}", role.name);
                    decided += 1;
                }
            }
        }
    }
    assert!(decided > 500, "{decided}");
}

#[test]
fn identities_reach_exactly_the_routes_of_their_scopes() {
    let guard = RouteGuard::shipped().unwrap();
    for identity in Identities::shipped().unwrap().iter() {
        let (roles, scopes) = ([identity.role.clone()], identity.scope());
        let principal = Principal { id: &identity.id, roles: &roles, scopes: &scopes };
        let reached: BTreeSet<String> = guard.allowed(&principal).iter().map(ToString::to_string).collect();
        let by_scope =
            guard.routes().iter().filter(|r| r.action().is_some_and(|a| identity.scopes.contains(a)));
        assert_eq!(reached, by_scope.map(ToString::to_string).collect(), "{}", identity.id);
    }
}

#[test]
fn no_wildcard_of_a_route_reaches_another_route() {
    let routes = Routes::shipped().unwrap();
    for route in routes.iter() {
        for other in routes.iter().filter(|o| *o != route) {
            for path in paths(other) {
                let concrete = format!("{STAGE}/{}{path}", other.method.as_str());
                assert!(!iam_matches(&arn().of_route(route), &concrete), "{route} takes {other} as {path}");
            }
        }
    }
}

#[test]
fn judged_once_and_kept_for_that_principal_alone() {
    let guard = RouteGuard::shipped().unwrap();
    let scopes = Scope::parse("decrypt:pii").unwrap();
    let reader = ["pii-reader".to_owned()];
    let both = ["pii-reader".to_owned(), "security-admin".to_owned()];
    let allowed = |id, roles: &[String]| guard.allowed(&Principal { id, roles, scopes: &scopes }).len();
    for round in 0..2 {
        assert_eq!(allowed("a", &reader), 1, "{round}");
        assert_eq!(allowed("a", &both), 0, "{round}: forbidden to an admin, whatever else it is");
        assert_eq!(allowed("a", &[]), 0, "{round}");
    }
    assert_eq!(guard.kept.lock().unwrap().len(), 3);
    let key = |id, roles: &[&str]| {
        let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
        key_of(&Principal { id, roles: &roles, scopes: &scopes })
    };
    assert_ne!(key("a", &["b", "c"]), key("a", &["b1:c"]));
    assert_ne!(key("ab", &[]), key("a", &["b"]));
}

#[test]
fn memory_is_bounded_whoever_comes() {
    let guard =
        RouteGuard::new(PolicySet::empty().unwrap(), Routes::parse("version: 1\nroutes: []").unwrap());
    let scopes = Scope::default();
    for i in 0..MAX_KEPT + 10 {
        let _ = guard.allowed(&Principal { id: &i.to_string(), roles: &[], scopes: &scopes });
    }
    assert!(guard.kept.lock().unwrap().len() <= MAX_KEPT);
}

#[test]
fn arns_of_requests_are_read_and_others_refused() {
    let long = format!("{STAGE}/GET/{}", "a".repeat(9_000));
    for (text, parts) in [
        (
            "arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod/GET/pii/decrypt",
            Some(("GET", "/pii/decrypt")),
        ),
        ("arn:aws-cn:execute-api:cn-north-1:111122223333:abcde12345/v_1/POST/", Some(("POST", "/"))),
        ("arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod/GET/a/b:c/d", Some(("GET", "/a/b:c/d"))),
        ("arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod/GET", None),
        ("arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod", None),
        ("arn:aws:execute-api:us-east-1:111122223333:*/prod/GET/a", None),
        ("arn:aws:execute-api:us-east-1:111122223333:abcde12345/*/GET/a", None),
        ("arn:aws:execute-api:us-east-1:111122223333:abcde12345/pr?d/GET/a", None),
        ("arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod/*/a", None),
        ("arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod//a", None),
        ("arn:aws:s3:us-east-1:111122223333:abcde12345/prod/GET/a", None),
        ("arn:aws:execute-api::111122223333:abcde12345/prod/GET/a", None),
        ("", None),
        (long.as_str(), None),
    ] {
        let found = MethodArn::parse(text).map(|arn| (arn.method(), arn.path()));
        assert_eq!(found, parts, "{text}");
    }
    assert_eq!(arn().of_everything(), format!("{STAGE}/*"));
}

#[test]
fn document_is_what_the_gateway_reads() {
    let routes = Routes::shipped().unwrap();
    let two = routes.iter().filter(|r| r.path.as_str().starts_with("/conversations"));
    let document = PolicyDocument::allow(&arn(), two).unwrap();
    assert_eq!(
        serde_json::to_string(&document).unwrap(),
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Action":"execute-api:Invoke","Effect":"Allow","Resource":["{STAGE}/POST/conversations/search","{STAGE}/GET/conversations/*"]}}]}}"#
        )
    );
    let nothing = PolicyDocument::allow(&arn(), []).unwrap();
    assert_eq!(nothing, PolicyDocument::deny_all(&arn()));
    assert!(!nothing.allows() && document.allows());
}

#[test]
fn document_over_the_gateway_s_limit_is_not_sent() {
    let list: String =
        (0..200).map(|i| format!("  - {{method: GET, path: /r{i}, action: 'read:r'}}\n")).collect();
    let routes = Routes::parse(&format!("version: 1\nroutes:\n{list}")).unwrap();
    assert_eq!(PolicyDocument::allow(&arn(), routes.iter()), Err(PolicyTooLarge));
    for n in 1..=200 {
        let Ok(document) = PolicyDocument::allow(&arn(), routes.iter().take(n)) else { continue };
        assert!(serde_json::to_string(&document).unwrap().len() <= MAX_POLICY, "{n}");
    }
}

proptest! {
    /// Routes whose wildcards reach each other's requests are not read at all.
    #[test]
    fn whatever_routes_are_read_wildcards_keep_to_their_own(paths in proptest::collection::vec("(/([a-c]|\\{x\\})){1,3}", 2..5)) {
        let list: String = paths
            .iter()
            .enumerate()
            .map(|(i, p)| format!("  - {{method: GET, path: '{p}', action: 'read:r{i}'}}\n"))
            .collect();
        let Ok(routes) = Routes::parse(&format!("version: 1\nroutes:\n{list}")) else { return Ok(()) };
        let segments = ["a", "b", "c", "d"];
        for one in segments { for two in segments { for three in segments {
            for path in [format!("/{one}"), format!("/{one}/{two}"), format!("/{one}/{two}/{three}")] {
                let taken = routes.find("GET", &path);
                for route in routes.iter() {
                    let reached = iam_matches(&arn().of_route(route), &format!("{STAGE}/GET{path}"));
                    if let Some(taken) = taken {
                        prop_assert_eq!(reached, taken == route, "{} {}", route, path);
                    }
                }
            }
        }}}
    }

    #[test]
    fn no_text_makes_the_reader_of_arns_panic(text in ".{0,200}") {
        if let Some(arn) = MethodArn::parse(&text) {
            prop_assert!(!arn.of_everything().trim_end_matches("/*").contains('*'));
        }
    }
}
