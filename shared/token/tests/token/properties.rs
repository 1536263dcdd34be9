//! What must hold of every token.

use portcullis_token::*;
use proptest::prelude::*;

use crate::support::*;

fn arbitrary_claims() -> impl Strategy<Value = Claims> {
    let name = "[a-zA-Z0-9._:/ áßñ-]{1,40}";
    let scope =
        proptest::collection::vec("[!-\\[\\]-~]{1,12}".prop_filter("no quote", |s| !s.contains('"')), 0..5);
    let roles = proptest::collection::vec(name, 0..4);
    let bound = (any::<bool>(), any::<bool>(), any::<[u8; 4]>());
    (name, scope, roles, proptest::option::of(name), bound, 1..3_000_i64).prop_map(
        |(sub, scope, roles, actor, (key, certificate, seed), life)| {
            let print = |on: bool| on.then(|| Thumbprint::of_certificate_der(&seed));
            let mut cnf = Confirmation::default();
            (cnf.jkt, cnf.x5t_s256) = (print(key), print(certificate));
            Claims {
                nbf: NumericDate::from_seconds(NOW),
                iat: NumericDate::from_seconds(NOW),
                jti: Some("t".into()),
                client_id: Some("c".into()),
                scope: Scope::parse(&scope.join(" ")).unwrap(),
                roles,
                sid: Some("s".into()),
                cnf: (key || certificate).then_some(cnf),
                act: actor.map(|sub| Box::new(Actor { sub, iss: None, act: None })),
                other: [("tenant".to_owned(), serde_json::json!({"id": [1, "two", null]}))].into(),
                ..Claims::new(ISSUER, sub, AUDIENCE, NumericDate::from_seconds(NOW + life).unwrap())
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_issued_is_what_is_verified(claims in arbitrary_claims(), which in 0..4_usize) {
        let key = signer(Algorithm::ALL[which]);
        let text = key.issue_now(&claims, IssuedType::AccessToken).unwrap();
        let token = UnverifiedToken::parse(&text).unwrap();
        prop_assert_eq!(token.dangerous_unverified_claims(), &claims);
        prop_assert_eq!(token.dangerous_unverified_kid(), Some(key.kid()));
        let proof = claims.cnf.is_some_and(|c| c.jkt.is_some());
        let certificate = claims.cnf.and_then(|c| c.x5t_s256);
        let shown = Presentation { dpop: None, certificate };
        let got = verifier().verify(&text, &keys(all_keys()), shown, now());
        if proof {
            prop_assert_eq!(got.unwrap_err(), TokenError::BindingMissing);
        } else {
            prop_assert_eq!(got.unwrap().into_claims(), claims);
        }
    }

    #[test]
    fn any_changed_bit_is_refused(which in 0..4_usize, place in any::<proptest::sample::Index>(), bit in 0..7_u8) {
        let algorithm = Algorithm::ALL[which];
        let mut bytes = signed(algorithm, &header(algorithm).to_string(), &claims().to_string()).into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let text = String::from_utf8(bytes).unwrap();
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn nothing_at_all_makes_a_panic(text in ".{0,200}", parts in proptest::collection::vec(any::<Vec<u8>>(), 0..6)) {
        prop_assert!(verify(&text).is_err());
        let text = parts.iter().map(b64).collect::<Vec<_>>().join(".");
        prop_assert!(verify(&text).is_err());
        let _ = (Jwks::parse(text.as_bytes()), SignatureKeys::parse(text.as_bytes()), Jwk::parse(text.as_bytes()));
        let _ = Thumbprint::of_certificate_pem(&text);
        let wanted = ProofExpectation { method: "GET", uri: "https://a", access_token: None, nonces: None, max_age_seconds: 1 };
        prop_assert!(verify_proof(&text, &wanted, now()).is_err());
    }

    #[test]
    fn narrowing_never_widens(held in "[a-d]( [a-d]){0,4}", asked in "[a-f]( [a-f]){0,5}") {
        let (held, asked) = (Scope::parse(&held).unwrap(), Scope::parse(&asked).unwrap());
        let narrowed = held.narrowed_to(&asked);
        prop_assert!(narrowed.iter().all(|s| held.contains(s) && asked.contains(s)));
        prop_assert!(held.iter().all(|s| narrowed.contains(s) == asked.contains(s)));
    }
}

#[test]
fn private_key_survives_its_sealed_form() {
    for algorithm in Algorithm::ALL {
        let key = signer(algorithm);
        let pkcs8 = key.dangerous_private_pkcs8().unwrap();
        let again = LocalSigner::from_pkcs8(algorithm, None, &pkcs8).unwrap();
        assert_eq!(again.kid(), key.kid());
        let named = LocalSigner::from_pkcs8(algorithm, Some("k-1"), &pkcs8).unwrap();
        let signature = named.sign_now(b"m").unwrap();
        assert!(key.public().key().verifies(algorithm, b"m", &signature), "{algorithm}");
        assert!(LocalSigner::from_pkcs8(algorithm, Some(""), &pkcs8).is_err());
        let other = if algorithm == Algorithm::EdDsa { Algorithm::Es256 } else { Algorithm::EdDsa };
        assert!(LocalSigner::from_pkcs8(other, None, &pkcs8).is_err(), "{algorithm} read as {other}");
        assert!(!format!("{key:?}").contains("key:"), "no key in debug output");
    }
    assert!(LocalSigner::from_pkcs8(Algorithm::Es256, None, b"").is_err());
}

#[test]
fn issuing_through_the_port_is_the_same_and_bounded() {
    let key = signer(Algorithm::EdDsa);
    let mut claims = Claims::new(ISSUER, "s", AUDIENCE, NumericDate::from_seconds(NOW).unwrap());
    let through =
        futures_util::future::FutureExt::now_or_never(issue(&claims, IssuedType::Jwt, key)).unwrap();
    assert_eq!(through.unwrap(), key.issue_now(&claims, IssuedType::Jwt).unwrap());
    claims.other.insert("x".into(), "y".repeat(8_000).into());
    assert_eq!(key.issue_now(&claims, IssuedType::Jwt), Err(SignError::TooLarge));
    claims.other = [("exp".to_owned(), 1.into()), ("sub".to_owned(), "admin".into())].into();
    let text = key.issue_now(&claims, IssuedType::Jwt).unwrap();
    let token = UnverifiedToken::parse(&text).unwrap();
    assert_eq!(token.dangerous_unverified_claims().sub, "s", "no member is written twice");
    assert_eq!(token.dangerous_unverified_typ(), Some("JWT"));
}
