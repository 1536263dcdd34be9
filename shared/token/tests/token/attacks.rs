//! The list of section 4 of the requirements, and what is like it: each a labelled case with its own reason to fail.

use portcullis_token::*;
use serde_json::json;

use crate::support::*;

type Attack = (&'static str, String, TokenError);

#[test]
fn the_token_that_all_attacks_start_from_is_good() {
    for algorithm in Algorithm::ALL {
        let token = signed(algorithm, &header(algorithm).to_string(), &claims().to_string());
        let verified = verify(&token).unwrap_or_else(|e| panic!("{algorithm}: {e}"));
        assert_eq!(verified.algorithm(), algorithm);
        assert_eq!(verified.claims().sub, "svc.bff");
        assert!(verified.claims().scope.contains("conversations:read"));
    }
}

fn run(attacks: Vec<Attack>) {
    for (label, token, reason) in attacks {
        match verify(&token) {
            Ok(_) => panic!("{label}: taken"),
            Err(error) => assert_eq!(error, reason, "{label}"),
        }
    }
}

#[test]
fn forms_that_are_no_compact_jws() {
    let token = good();
    let [head, body, sig] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let flattened = json!({"protected": head, "payload": body, "signature": sig}).to_string();
    let loose = format!("{}{}", &token[..token.len() - 1], {
        // The last character of 64 bytes carries four loose bits: any of its neighbours decodes to the same bytes.
        let last = token.chars().last().unwrap();
        if last == 'A' { 'B' } else { char::from(last as u8 + 1) }
    });
    run(vec![
        ("empty", String::new(), TokenError::NotCompact),
        ("JSON serialization", flattened.clone(), TokenError::JsonSerialization),
        ("JSON serialization after white space", format!("\n {flattened}"), TokenError::JsonSerialization),
        ("JWE: five parts", format!("{head}.{body}.{sig}.{sig}.{sig}"), TokenError::Encrypted),
        (
            "JWE by header",
            es256(&with(header(Algorithm::Es256), "enc", json!("A256GCM")), &claims()),
            TokenError::Encrypted,
        ),
        ("two parts", format!("{head}.{body}"), TokenError::NotCompact),
        ("four parts", format!("{token}."), TokenError::NotCompact),
        ("oversize", format!("{head}.{}.{sig}", "A".repeat(9_000)), TokenError::Oversize),
        ("empty signature", format!("{head}.{body}."), TokenError::SignatureEmpty),
        ("padding", format!("{token}=="), TokenError::Base64),
        ("padding in the header", format!("{head}=.{body}.{sig}"), TokenError::Base64),
        ("space before", format!(" {token}"), TokenError::Base64),
        ("newline after", format!("{token}\n"), TokenError::Base64),
        ("newline within", format!("{head}.{}\n{}.{sig}", &body[..8], &body[8..]), TokenError::Base64),
        ("standard base64 alphabet", format!("{head}.{body}.{}", "+/".repeat(43)), TokenError::Base64),
        ("loose trailing bits", loose, TokenError::Base64),
        ("Bearer left in front", format!("Bearer {token}"), TokenError::Base64),
        ("NUL after", format!("{token}\0"), TokenError::Base64),
        ("full-width characters", token.replacen('e', "ｅ", 1), TokenError::Base64),
    ]);
}

#[test]
fn algorithm_confusion() {
    let of = |alg: &str| {
        let mut h = header(Algorithm::Es256);
        h["alg"] = json!(alg);
        es256(&h, &claims())
    };
    let unsigned = |alg: &str| {
        let token = of(alg);
        format!("{}.", token.rsplit_once('.').unwrap().0)
    };
    // HMAC with the published public key as its secret.
    let public = serde_json::to_string(signer(Algorithm::Rs256).public()).unwrap();
    let input = {
        let h = json!({"alg": "HS256", "typ": "at+jwt", "kid": signer(Algorithm::Rs256).kid()});
        format!("{}.{}", b64(h.to_string()), b64(claims().to_string()))
    };
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let confused = format!("{input}.{}", b64(aws_lc_rs::hmac::sign(&key, input.as_bytes())));
    let crossed = |named: Algorithm, kid: Algorithm| {
        let h = json!({"alg": named, "typ": "at+jwt", "kid": signer(kid).kid()});
        signed(kid, &h.to_string(), &claims().to_string())
    };
    run(vec![
        ("none", unsigned("none"), TokenError::AlgorithmNone),
        ("None", unsigned("None"), TokenError::AlgorithmNone),
        ("NONE with a signature", of("NONE"), TokenError::AlgorithmNone),
        ("nOnE", unsigned("nOnE"), TokenError::AlgorithmNone),
        ("none with a space", of("none "), TokenError::AlgorithmNotAllowed),
        ("empty", of(""), TokenError::AlgorithmNotAllowed),
        ("HS256 over the public key", confused, TokenError::AlgorithmNotAllowed),
        ("lower case", of("es256"), TokenError::AlgorithmNotAllowed),
        ("full-width digits", of("ES２56"), TokenError::AlgorithmNotAllowed),
        ("secp256k1", of("ES256K"), TokenError::AlgorithmNotAllowed),
        ("ES384", of("ES384"), TokenError::AlgorithmNotAllowed),
        ("RS256 named, P-256 key", crossed(Algorithm::Rs256, Algorithm::Es256), TokenError::KeyMismatch),
        ("ES256 named, RSA key", crossed(Algorithm::Es256, Algorithm::Rs256), TokenError::KeyMismatch),
        ("EdDSA named, P-256 key", crossed(Algorithm::EdDsa, Algorithm::Es256), TokenError::KeyMismatch),
        ("PS256 named, key for RS256", crossed(Algorithm::Ps256, Algorithm::Rs256), TokenError::KeyMismatch),
        ("RS256 named, key for PS256", crossed(Algorithm::Rs256, Algorithm::Ps256), TokenError::KeyMismatch),
    ]);
}

#[test]
fn algorithms_are_pinned_per_issuer() {
    let only = Verifier::new(vec![policy(&[Algorithm::EdDsa])], 0).unwrap();
    let got = only.verify(&good(), &keys(all_keys()), Presentation::default(), now());
    assert_eq!(got.unwrap_err(), TokenError::AlgorithmNotAllowed);
}

#[test]
fn headers_that_bring_keys_or_extensions() {
    let attacker = LocalSigner::generate(Algorithm::Es256).unwrap();
    let h = || header(Algorithm::Es256);
    let member = |name: &str, value: serde_json::Value| es256(&with(h(), name, value), &claims());
    let forged = |header: serde_json::Value| {
        let input = format!("{}.{}", b64(header.to_string()), b64(claims().to_string()));
        format!("{input}.{}", b64(attacker.sign_now(input.as_bytes()).unwrap()))
    };
    let jwk = serde_json::to_value(attacker.public()).unwrap();
    let thumbprint = attacker.kid();
    run(vec![
        ("jwk, signed with it", forged(with(h(), "jwk", jwk.clone())), TokenError::EmbeddedKey),
        ("jwk, signed by us", member("jwk", jwk), TokenError::EmbeddedKey),
        ("jwk null", member("jwk", json!(null)), TokenError::EmbeddedKey),
        ("jku", member("jku", json!("https://attacker.example/jwks")), TokenError::EmbeddedKey),
        ("x5u", member("x5u", json!("https://attacker.example/cert")), TokenError::EmbeddedKey),
        ("x5c", member("x5c", json!(["MIIB"])), TokenError::EmbeddedKey),
        ("x5t chooses nothing", forged(with(h(), "x5t", json!(thumbprint))), TokenError::Signature),
        ("x5t#S256 chooses nothing", forged(with(h(), "x5t#S256", json!(thumbprint))), TokenError::Signature),
        ("kid of the attacker", forged(with(h(), "kid", json!(thumbprint))), TokenError::UnknownKey),
        ("kid as a path", member("kid", json!("../../dev/null")), TokenError::UnknownKey),
        ("kid as SQL", member("kid", json!("x' UNION SELECT 'k")), TokenError::UnknownKey),
        ("kid empty", member("kid", json!("")), TokenError::UnknownKey),
        ("kid a number", member("kid", json!(1)), TokenError::HeaderMalformed),
        ("kid null", member("kid", json!(null)), TokenError::HeaderMalformed),
        ("kid too long", member("kid", json!("k".repeat(257))), TokenError::HeaderMalformed),
        ("no kid, several keys", es256(&without(h(), "kid"), &claims()), TokenError::KeyIdMissing),
        ("unknown crit", member("crit", json!(["exp"])), TokenError::CriticalHeader),
        ("crit empty", member("crit", json!([])), TokenError::CriticalHeader),
        ("crit not a list", member("crit", json!("b64")), TokenError::CriticalHeader),
        ("b64 false", member("b64", json!(false)), TokenError::UnencodedPayload),
        (
            "b64 false in crit",
            { es256(&with(with(h(), "b64", json!(false)), "crit", json!(["b64"])), &claims()) },
            TokenError::UnencodedPayload,
        ),
        ("b64 not a truth value", member("b64", json!("true")), TokenError::UnencodedPayload),
        ("nested by cty", member("cty", json!("JWT")), TokenError::Nested),
        ("nested by cty in full", member("cty", json!("application/at+jwt")), TokenError::Nested),
        ("nested payload", signed(Algorithm::Es256, &h().to_string(), &good()), TokenError::Nested),
        ("alg missing", es256(&without(h(), "alg"), &claims()), TokenError::HeaderMalformed),
        ("alg a list", member("alg", json!(["ES256"])), TokenError::HeaderMalformed),
        ("header a list", signed(Algorithm::Es256, "[]", &claims().to_string()), TokenError::HeaderMalformed),
        (
            "header empty",
            signed_raw(Algorithm::Es256, "", &b64(claims().to_string())),
            TokenError::HeaderMalformed,
        ),
        (
            "text after the header",
            signed(Algorithm::Es256, &format!("{} x", h()), "{}"),
            TokenError::HeaderMalformed,
        ),
    ]);
}

#[test]
fn types_are_not_confused() {
    let typ = |t: &str| es256(&with(header(Algorithm::Es256), "typ", json!(t)), &claims());
    run(vec![
        ("ID token", typ("JWT"), TokenError::TypeMismatch),
        ("DPoP proof", typ("dpop+jwt"), TokenError::TypeMismatch),
        ("logout token", typ("logout+jwt"), TokenError::TypeMismatch),
        ("another tree", typ("text/at+jwt"), TokenError::TypeMismatch),
        ("two slashes", typ("application/x/at+jwt"), TokenError::TypeMismatch),
        ("absent", es256(&without(header(Algorithm::Es256), "typ"), &claims()), TokenError::TypeMismatch),
    ]);
    for same in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/at+JWT"] {
        assert!(verify(&typ(same)).is_ok(), "{same}: RFC 7515 section 4.1.9");
    }
}

#[test]
fn duplicate_members_have_no_first_and_no_last() {
    let (h, c) = (header(Algorithm::Es256).to_string(), claims().to_string());
    let twice = |json: &str, member: &str| format!("{},{member}}}", json.strip_suffix('}').unwrap());
    let es = |h: &str, c: &str| signed(Algorithm::Es256, h, c);
    run(vec![
        ("alg", es(&twice(&h, r#""alg":"ES256""#), &c), TokenError::DuplicateMember),
        (
            "alg written with an escape",
            es(&twice(&h, r#""\u0061lg":"none""#), &c),
            TokenError::DuplicateMember,
        ),
        ("kid", es(&twice(&h, r#""kid":"k""#), &c), TokenError::DuplicateMember),
        ("unknown header member", es(&twice(&h, r#""x":1,"x":1"#), &c), TokenError::DuplicateMember),
        ("sub", es(&h, &twice(&c, r#""sub":"admin""#)), TokenError::DuplicateMember),
        ("exp", es(&h, &twice(&c, r#""exp":9999999999"#)), TokenError::DuplicateMember),
        ("unknown claim", es(&h, &twice(&c, r#""x":1,"x":2"#)), TokenError::DuplicateMember),
        ("within a claim", es(&h, &twice(&c, r#""x":{"a":1,"a":2}"#)), TokenError::DuplicateMember),
        ("within cnf", es(&h, &twice(&c, r#""cnf":{"jkt":"a","jkt":"b"}"#)), TokenError::DuplicateMember),
    ]);
}

#[test]
fn signatures_that_are_none() {
    let token = good();
    let (input, sig) = token.rsplit_once('.').unwrap();
    let raw = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, sig).unwrap();
    let (r, s) = raw.split_at(32);
    let with_sig = |bytes: &[u8]| format!("{input}.{}", b64(bytes));
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let integer = |n: &[u8]| {
        let n = [&[0][..], n].concat();
        [&[2, u8::try_from(n.len()).unwrap()][..], &n].concat()
    };
    let der = [integer(r), integer(s)].concat();
    let der = [&[0x30, u8::try_from(der.len()).unwrap()][..], &der].concat();
    let other = es256(&header(Algorithm::Es256), &with(claims(), "sub", json!("admin")));
    let spliced = format!("{}.{sig}", other.rsplit_once('.').unwrap().0);
    run(vec![
        ("r = s = 0", with_sig(&[0; 64]), TokenError::Signature),
        ("r = 0", with_sig(&[&[0; 32], s].concat()), TokenError::Signature),
        ("s = 0", with_sig(&[r, &[0; 32]].concat()), TokenError::Signature),
        ("r = s = 1", with_sig(&[&[0; 31][..], &[1], &[0; 31], &[1]].concat()), TokenError::Signature),
        ("r = order", with_sig(&[&order[..], s].concat()), TokenError::Signature),
        ("s = order", with_sig(&[r, &order[..]].concat()), TokenError::Signature),
        ("all ones", with_sig(&[0xff; 64]), TokenError::Signature),
        ("r and s swapped", with_sig(&[s, r].concat()), TokenError::Signature),
        ("DER form", with_sig(&der), TokenError::Signature),
        ("one byte short", with_sig(&raw[..63]), TokenError::Signature),
        ("one byte long", with_sig(&[&raw[..], &[0]].concat()), TokenError::Signature),
        ("twice", with_sig(&[&raw[..], &raw].concat()), TokenError::Signature),
        ("another payload under it", spliced, TokenError::Signature),
    ]);
}

#[test]
fn claims_out_of_range() {
    let claim =
        |name: &str, value: serde_json::Value| es256(&header(Algorithm::Es256), &with(claims(), name, value));
    let raw = |exp: &str| {
        let text = claims().to_string().replace(&format!("\"exp\":{}", NOW + 600), &format!("\"exp\":{exp}"));
        signed(Algorithm::Es256, &header(Algorithm::Es256).to_string(), &text)
    };
    let lacks = |name: &str| es256(&header(Algorithm::Es256), &without(claims(), name));
    let many: Vec<String> = (0..33).map(|i| i.to_string()).collect();
    let actors = (0..5).fold(json!({"sub": "a"}), |inner, _| json!({"sub": "a", "act": inner}));
    run(vec![
        ("no iss", lacks("iss"), TokenError::ClaimMissing("iss")),
        ("no sub", lacks("sub"), TokenError::ClaimMissing("sub")),
        ("no exp", lacks("exp"), TokenError::ClaimMissing("exp")),
        ("no aud", lacks("aud"), TokenError::ClaimMissing("aud")),
        ("no iat", lacks("iat"), TokenError::ClaimMissing("iat")),
        ("no jti", lacks("jti"), TokenError::ClaimMissing("jti")),
        ("no client_id", lacks("client_id"), TokenError::ClaimMissing("client_id")),
        ("another issuer", claim("iss", json!("https://sts.example.attacker.example")), TokenError::Issuer),
        ("issuer with a slash", claim("iss", json!("https://sts.example/")), TokenError::Issuer),
        ("issuer in capitals", claim("iss", json!("https://STS.example")), TokenError::Issuer),
        ("issuer with a look-alike", claim("iss", json!("https://ѕts.example")), TokenError::Issuer),
        (
            "issuer with a zero-width space",
            claim("iss", json!("https://sts.example\u{200b}")),
            TokenError::ClaimMalformed("iss"),
        ),
        ("issuer a list", claim("iss", json!([ISSUER])), TokenError::ClaimMalformed("iss")),
        ("another audience", claim("aud", json!("https://other.example")), TokenError::Audience),
        ("audience empty list", claim("aud", json!([])), TokenError::ClaimMissing("aud")),
        ("audience a prefix", claim("aud", json!("https://api.exampl")), TokenError::Audience),
        ("audience a number", claim("aud", json!([1])), TokenError::ClaimMalformed("aud")),
        ("too many audiences", claim("aud", json!(many)), TokenError::ClaimMalformed("aud")),
        ("exp passed", claim("exp", json!(NOW - 10)), TokenError::Expired),
        ("exp text", claim("exp", json!((NOW + 600).to_string())), TokenError::ClaimMalformed("exp")),
        ("exp null", claim("exp", json!(null)), TokenError::ClaimMalformed("exp")),
        ("exp negative", claim("exp", json!(-1)), TokenError::ClaimMalformed("exp")),
        ("exp zero", claim("exp", json!(0)), TokenError::Expired),
        ("exp in milliseconds", claim("exp", json!((NOW + 600) * 1000)), TokenError::ClaimMalformed("exp")),
        ("exp over 64 bits", raw("99999999999999999999999"), TokenError::ClaimMalformed("exp")),
        ("exp 1e400", raw("1e400"), TokenError::ClaimsMalformed),
        ("exp Infinity", raw("Infinity"), TokenError::ClaimsMalformed),
        ("exp hexadecimal", raw("0x7fffffff"), TokenError::ClaimsMalformed),
        ("exp true", raw("true"), TokenError::ClaimMalformed("exp")),
        ("exp far away", claim("exp", json!(NOW + 3_601)), TokenError::LifetimeTooLong),
        ("nbf in the future", claim("nbf", json!(NOW + 11)), TokenError::NotYetValid),
        ("nbf text", claim("nbf", json!("0")), TokenError::ClaimMalformed("nbf")),
        ("iat in the future", claim("iat", json!(NOW + 11)), TokenError::IssuedInFuture),
        ("iat hides a long life", claim("iat", json!(NOW - 3_001)), TokenError::LifetimeTooLong),
        ("sub empty", claim("sub", json!("")), TokenError::ClaimMalformed("sub")),
        ("sub with a newline", claim("sub", json!("a\nb")), TokenError::ClaimMalformed("sub")),
        ("sub turned around", claim("sub", json!("nimda\u{202e}")), TokenError::ClaimMalformed("sub")),
        ("sub with tag characters", claim("sub", json!("a\u{e0041}")), TokenError::ClaimMalformed("sub")),
        ("sub too long", claim("sub", json!("s".repeat(513))), TokenError::ClaimMalformed("sub")),
        ("jti a number", claim("jti", json!(1)), TokenError::ClaimMalformed("jti")),
        ("scope a list", claim("scope", json!(["a"])), TokenError::ClaimMalformed("scope")),
        ("scope with two spaces", claim("scope", json!("a  b")), TokenError::ClaimMalformed("scope")),
        ("scope with a quote", claim("scope", json!("a\"b")), TokenError::ClaimMalformed("scope")),
        ("roles text", claim("roles", json!("admin")), TokenError::ClaimMalformed("roles")),
        ("too many roles", claim("roles", json!(many)), TokenError::ClaimMalformed("roles")),
        ("cnf text", claim("cnf", json!("x")), TokenError::ClaimMalformed("cnf")),
        (
            "cnf of a short thumbprint",
            claim("cnf", json!({"jkt": "AAAA"})),
            TokenError::ClaimMalformed("cnf"),
        ),
        ("act chain too long", claim("act", actors), TokenError::ClaimMalformed("act")),
        ("act without sub", claim("act", json!({})), TokenError::ClaimMalformed("act")),
        (
            "payload a list",
            signed(Algorithm::Es256, &header(Algorithm::Es256).to_string(), "[]"),
            TokenError::ClaimsMalformed,
        ),
        (
            "payload empty",
            signed_raw(Algorithm::Es256, &b64(header(Algorithm::Es256).to_string()), ""),
            TokenError::ClaimsMalformed,
        ),
        (
            "payload not UTF-8",
            signed_raw(
                Algorithm::Es256,
                &b64(header(Algorithm::Es256).to_string()),
                &b64(b"{\"a\":\"\xff\"}"),
            ),
            TokenError::ClaimsMalformed,
        ),
    ]);
}

#[test]
fn time_is_judged_to_the_second_and_with_the_leeway() {
    let token =
        |name: &str, value: serde_json::Value| es256(&header(Algorithm::Es256), &with(claims(), name, value));
    for (label, text, taken) in [
        ("exp just within the leeway", token("exp", json!(NOW - 9)), true),
        ("exp on the edge", token("exp", json!(NOW - 10)), false),
        ("exp with a fraction, within", token("exp", json!(NOW as f64 - 9.5)), true),
        ("exp with a fraction, past", token("exp", json!(NOW as f64 - 10.5)), false),
        ("nbf at the leeway", token("nbf", json!(NOW + 10)), true),
        ("nbf with a fraction past the leeway", token("nbf", json!(NOW as f64 + 10.5)), false),
        ("iat at the leeway", token("iat", json!(NOW + 10)), true),
        ("an hour's life", token("exp", json!(NOW + 3_600)), true),
    ] {
        assert_eq!(verify(&text).is_ok(), taken, "{label}");
    }
}

#[test]
fn every_error_has_a_word_of_its_own() {
    let words = [
        TokenError::Oversize,
        TokenError::JsonSerialization,
        TokenError::Encrypted,
        TokenError::NotCompact,
        TokenError::Base64,
        TokenError::HeaderMalformed,
        TokenError::DuplicateMember,
        TokenError::AlgorithmNone,
        TokenError::AlgorithmNotAllowed,
        TokenError::EmbeddedKey,
        TokenError::CriticalHeader,
        TokenError::UnencodedPayload,
        TokenError::Nested,
        TokenError::TypeMismatch,
        TokenError::KeyIdMissing,
        TokenError::UnknownKey,
        TokenError::KeyMismatch,
        TokenError::SignatureEmpty,
        TokenError::Signature,
        TokenError::ClaimsMalformed,
        TokenError::ClaimMissing("x"),
        TokenError::ClaimMalformed("x"),
        TokenError::Issuer,
        TokenError::Audience,
        TokenError::Expired,
        TokenError::NotYetValid,
        TokenError::IssuedInFuture,
        TokenError::LifetimeTooLong,
        TokenError::BindingMissing,
        TokenError::BindingMismatch,
        TokenError::BindingUnknown,
        TokenError::Revoked,
        TokenError::Replayed,
        TokenError::Subject,
    ]
    .map(TokenError::as_str);
    assert_eq!(words.iter().collect::<std::collections::BTreeSet<_>>().len(), words.len());
    assert!(
        words.iter().all(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
    );
}
