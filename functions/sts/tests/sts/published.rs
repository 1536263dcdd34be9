//! The key set (RFC 7517), the metadata (RFC 8414) and the description of the API.

use portcullis_token::{Algorithm, Jwks};
use serde_json::Value;

use crate::support::{Call, ISSUER, sts, sts_of};

const METADATA: &str = "/.well-known/oauth-authorization-server";

#[tokio::test]
async fn the_key_set_has_a_public_key_for_each_algorithm_and_nothing_private() {
    let sts = sts_of(Algorithm::Es256).await;
    let answer = sts.send(&Call::new("GET", "/sts/jwks")).await;
    assert_eq!(answer.header("Content-Type"), Some("application/jwk-set+json"));
    let keys = answer.body["keys"].as_array().unwrap();
    let mut algorithms: Vec<_> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    algorithms.sort_unstable();
    assert_eq!(algorithms, ["ES256", "EdDSA", "RS256"]);
    for key in keys {
        assert_eq!(key["use"], "sig");
        assert!(key["kid"].is_string());
        for private in ["d", "p", "q", "dp", "dq", "qi", "k", "key", "oth"] {
            assert!(key.get(private).is_none(), "{private}");
        }
        let members = match key["kty"].as_str().unwrap() {
            "RSA" => ["n", "e"].as_slice(),
            "EC" => &["crv", "x", "y"],
            _ => &["crv", "x"],
        };
        assert!(members.iter().all(|member| key[member].is_string()), "{key}");
    }
    assert!(Jwks::parse(answer.text.as_bytes()).unwrap().skipped().is_empty());
}

#[tokio::test]
async fn tokens_of_each_algorithm_verify_against_the_key_set() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let sts = sts_of(algorithm).await;
        let token = sts.token_of("svc.actuator").await;
        let verified = sts.verify(&token).await.unwrap();
        assert_eq!(verified.algorithm(), algorithm);
    }
}

#[tokio::test]
async fn what_is_published_may_be_cached_and_is_sent_once() {
    let sts = sts().await;
    for path in ["/sts/jwks", METADATA, "/openapi.json"] {
        let first = sts.send(&Call::new("GET", path)).await;
        assert_eq!(first.status, 200, "{path}");
        assert_eq!(first.header("Cache-Control"), Some("public, max-age=300"), "{path}");
        let tag = first.header("ETag").unwrap().to_owned();
        for (label, shown, status) in [
            ("the tag", tag.clone(), 304),
            ("the tag, weak", format!("W/{tag}"), 304),
            ("the tag among others", format!("\"x\", {tag}"), 304),
            ("any", "*".to_owned(), 304),
            ("another tag", "\"x\"".to_owned(), 200),
            ("the tag without quotes", tag.trim_matches('"').to_owned(), 200),
        ] {
            let answer = sts.send(&Call::new("GET", path).header("If-None-Match", &shown)).await;
            assert_eq!(answer.status, status, "{path}: {label}");
            assert_eq!(answer.header("ETag"), Some(&*tag), "{path}: {label}");
            assert_eq!(answer.text.is_empty(), status == 304, "{path}: {label}");
        }
    }
}

#[tokio::test]
async fn the_metadata_has_what_rfc_8414_demands_and_tells_the_truth() {
    let sts = sts().await;
    let answer = sts.send(&Call::new("GET", METADATA)).await;
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    let metadata = &answer.body;
    assert_eq!(metadata["issuer"], ISSUER);
    for (member, path) in [
        ("token_endpoint", "/sts/token"),
        ("jwks_uri", "/sts/jwks"),
        ("introspection_endpoint", "/sts/introspect"),
        ("revocation_endpoint", "/sts/revoke"),
    ] {
        assert_eq!(metadata[member], format!("{ISSUER}{path}"));
        assert_ne!(sts.send(&Call::new("GET", path)).await.status, 404, "{path}");
        assert_ne!(sts.send(&Call::new("POST", path)).await.status, 404, "{path}");
    }
    for (member, value) in metadata.as_object().unwrap() {
        assert!(value.as_array().is_none_or(|list| !list.is_empty()), "{member}: section 3.2");
    }
    let list = |member: &str| -> Vec<&str> {
        metadata[member].as_array().unwrap().iter().filter_map(Value::as_str).collect()
    };
    assert_eq!(
        list("grant_types_supported"),
        ["client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"]
    );
    for endpoint in ["token", "introspection", "revocation"] {
        assert_eq!(
            list(&format!("{endpoint}_endpoint_auth_methods_supported")),
            ["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"]
        );
        let algorithms = list(&format!("{endpoint}_endpoint_auth_signing_alg_values_supported"));
        assert!(!algorithms.contains(&"none") && algorithms.contains(&"ES256"), "{algorithms:?}");
    }
    assert!(list("dpop_signing_alg_values_supported").contains(&"ES256"));
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    assert!(list("scopes_supported").contains(&"execute:external"));
    assert!(metadata.get("authorization_endpoint").is_none());
}
