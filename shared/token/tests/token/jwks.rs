//! Key sets: what is read, skipped and refused, and what is written.

use portcullis_token::*;
use serde_json::{Value, json};

use crate::support::*;

fn jwk(algorithm: Algorithm) -> Value {
    serde_json::to_value(signer(algorithm).public()).unwrap()
}

fn parse(keys: &[Value]) -> Result<Jwks, JwksError> {
    Jwks::parse(json!({"keys": keys}).to_string().as_bytes())
}

#[test]
fn written_set_is_read_back() {
    let set = Jwks::parse(all_keys().to_json().as_bytes()).unwrap();
    assert_eq!(set.keys().len(), 4);
    assert!(set.skipped().is_empty());
    for algorithm in Algorithm::ALL {
        let key = set.by_kid(signer(algorithm).kid()).unwrap();
        assert_eq!(key.algorithm(), Some(algorithm));
        assert_eq!(key.key().thumbprint(), signer(algorithm).public().key().thumbprint());
        let signature = signer(algorithm).sign_now(b"message").unwrap();
        assert!(key.key().verifies(algorithm, b"message", &signature));
        assert!(!key.key().verifies(algorithm, b"massage", &signature));
    }
    assert!(!all_keys().to_json().contains("\"d\""));
}

#[test]
fn keys_of_no_use_are_skipped_and_the_rest_stays_usable() {
    let es = || jwk(Algorithm::Es256);
    let n = |bits: usize| {
        let mut bytes = vec![0xff; bits / 8];
        bytes[0] = 0x80;
        json!({"kty": "RSA", "n": b64(bytes), "e": "AQAB"})
    };
    let rsa = |name: &str, value: &str| with(without(jwk(Algorithm::Rs256), "kid"), name, json!(value));
    let mut off_curve = es();
    off_curve["y"] = off_curve["x"].clone();
    let padded_n = {
        let n = jwk(Algorithm::Rs256)["n"].as_str().unwrap().to_owned();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, n).unwrap();
        b64([&[0][..], &bytes].concat())
    };
    use JwkError::{Malformed, Unsupported, Weak};
    for (label, key, why) in [
        ("unknown type", json!({"kty": "AKP"}), Unsupported),
        ("no type", json!({"n": "AQAB"}), Malformed),
        ("type in lower case", with(es(), "kty", json!("ec")), Unsupported),
        ("for encryption", with(es(), "use", json!("enc")), Unsupported),
        ("use unknown", with(es(), "use", json!("x")), Unsupported),
        ("operations without verify", with(es(), "key_ops", json!(["encrypt"])), Unsupported),
        ("operations of a private key", with(es(), "key_ops", json!(["sign", "verify"])), Unsupported),
        ("operations not a list", with(es(), "key_ops", json!("verify")), Malformed),
        ("algorithm unknown", with(es(), "alg", json!("ES256K")), Unsupported),
        ("algorithm of another type", with(es(), "alg", json!("RS256")), Unsupported),
        ("algorithm for encryption", with(es(), "alg", json!("ECDH-ES")), Unsupported),
        ("P-384", json!({"kty": "EC", "crv": "P-384", "x": b64([1; 48]), "y": b64([1; 48])}), Unsupported),
        ("secp256k1", with(es(), "crv", json!("secp256k1")), Unsupported),
        ("not on the curve", off_curve, Malformed),
        ("coordinate short", with(es(), "x", json!(b64([1; 31]))), Malformed),
        ("coordinate long", with(es(), "x", json!(b64([0; 33]))), Malformed),
        ("coordinate missing", without(es(), "y"), Malformed),
        ("coordinate padded", with(es(), "x", json!(format!("{}=", b64([1; 32])))), Malformed),
        ("X25519", with(jwk(Algorithm::EdDsa), "crv", json!("X25519")), Unsupported),
        ("Ed448", with(jwk(Algorithm::EdDsa), "crv", json!("Ed448")), Unsupported),
        ("Ed25519 short", with(jwk(Algorithm::EdDsa), "x", json!(b64([1; 31]))), Malformed),
        ("RSA 1024", n(1024), Weak),
        ("RSA 2040", n(2040), Weak),
        ("RSA 8200", n(8200), Weak),
        ("RSA exponent 1", rsa("e", "AQ"), Weak),
        ("RSA exponent even", rsa("e", "AQAC"), Weak),
        ("RSA exponent huge", rsa("e", "AQAAAAAB"), Weak),
        ("RSA exponent empty", rsa("e", ""), Malformed),
        ("RSA exponent with a leading zero", rsa("e", "AAEAAQ"), Malformed),
        ("RSA modulus with a leading zero", rsa("n", &padded_n), Malformed),
        ("RSA modulus very long", rsa("n", &"A".repeat(1_371)), Malformed),
        ("PEM", json!({"kty": "RSA", "key": "-----BEGIN PUBLIC KEY-----"}), Malformed),
        ("name empty", with(es(), "kid", json!("")), Malformed),
        ("name a number", with(es(), "kid", json!(1)), Malformed),
        ("name too long", with(es(), "kid", json!("k".repeat(257))), Malformed),
    ] {
        let set = parse(&[key, jwk(Algorithm::EdDsa)]).unwrap_or_else(|e| panic!("{label}: {e}"));
        assert_eq!((set.keys().len(), set.skipped()), (1, &[why][..]), "{label}");
    }
}

#[test]
fn members_that_do_not_matter_are_left_alone() {
    let key = with(with(jwk(Algorithm::Rs256), "x5c", json!(["MIIB"])), "x5t", json!("abc"));
    assert_eq!(parse(&[key]).unwrap().keys().len(), 1);
    let named = with(jwk(Algorithm::EdDsa), "alg", json!("Ed25519"));
    assert_eq!(parse(&[named]).unwrap().keys()[0].algorithm(), Some(Algorithm::EdDsa));
    let free = without(without(jwk(Algorithm::Rs256), "alg"), "use");
    let free = &parse(&[free]).unwrap().keys()[0].clone();
    assert!(free.supports(Algorithm::Rs256) && free.supports(Algorithm::Ps256));
    assert!(!free.supports(Algorithm::Es256));
}

#[test]
fn sets_that_are_refused_whole() {
    let es = || jwk(Algorithm::Es256);
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let got = parse(&[jwk(Algorithm::EdDsa), with(es(), member, json!("AAAA"))]);
        assert_eq!(got.unwrap_err(), JwksError::Private, "{member}");
    }
    let secret = json!({"kty": "oct", "k": b64([1; 32])});
    assert_eq!(parse(&[without(secret.clone(), "kty")]).unwrap_err(), JwksError::Private, "and no type");
    assert_eq!(parse(&[secret]).unwrap_err(), JwksError::Private);
    let same_name = with(jwk(Algorithm::EdDsa), "kid", es()["kid"].clone());
    assert_eq!(parse(&[es(), same_name]).unwrap_err(), JwksError::DuplicateKid);
    let many: Vec<Value> = (0..33).map(|i| with(es(), "kid", json!(i.to_string()))).collect();
    assert_eq!(parse(&many).unwrap_err(), JwksError::TooLarge);
    let parse = |text: &str| Jwks::parse(text.as_bytes()).unwrap_err();
    for (label, text, why) in [
        ("empty", "", JwksError::Malformed),
        ("list", "[]", JwksError::Malformed),
        ("no keys", "{}", JwksError::Malformed),
        ("keys an object", r#"{"keys":{}}"#, JwksError::Malformed),
        ("key a text", r#"{"keys":["x"]}"#, JwksError::Malformed),
        ("keys twice", r#"{"keys":[],"keys":[]}"#, JwksError::DuplicateMember),
        ("member twice", r#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#, JwksError::DuplicateMember),
        ("too long", &*" ".repeat(Jwks::MAX_BYTES + 1), JwksError::TooLarge),
    ] {
        assert_eq!(parse(text), why, "{label}");
    }
}
