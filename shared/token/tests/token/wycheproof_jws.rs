//! All of Project Wycheproof's JSON web signature, JSON web key and JSON web crypto vectors (`tests/vectors/README.md`).
//!
//! Each runs twice: through the judge of signatures alone, which knows every algorithm of RFC 7518, and through the keys
//! that verify tokens, which know four and no secret one.

use portcullis_token::{
    Algorithm, JwkError, Jwks, JwksError, SignatureKeys, TokenError, verify_signature_only,
};
use serde_json::{Value, json};

const SIGNATURE: &str = include_str!("../vectors/json_web_signature_test.json");
const KEY: &str = include_str!("../vectors/json_web_key_test.json");
const CRYPTO: &str = include_str!("../vectors/json_web_crypto_test.json");

struct Vector {
    id: u64,
    keys: Vec<u8>,
    jws: String,
    valid: bool,
    label: String,
}

fn vectors(file: &str) -> Vec<Vector> {
    let file: Value = serde_json::from_str(file).unwrap();
    let mut vectors = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        let keys = json!({"keys": group["keys"]}).to_string().into_bytes();
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            vectors.push(Vector {
                id,
                keys: keys.clone(),
                jws: test["jws"].as_str().unwrap().to_owned(),
                valid: match test["result"].as_str().unwrap() {
                    "valid" => true,
                    "invalid" => false,
                    other => panic!("{id}: {other}"),
                },
                label: format!("tcId {id}, {}, {}", group["comment"], test["comment"]),
            });
        }
    }
    assert_eq!(Some(vectors.len() as u64), file["numberOfTests"].as_u64(), "none is lost");
    vectors
}

fn judged(vector: &Vector) -> Result<(), String> {
    let keys = SignatureKeys::parse(&vector.keys).map_err(|e| e.to_string())?;
    verify_signature_only(&vector.jws, &keys).map_err(|e| e.to_string())
}

/// Every vector gets Wycheproof's verdict, but for those of `otherwise`, which get the other one.
fn all_as_published(file: &str, otherwise: &[(u64, &str)]) -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    for vector in vectors(file) {
        let excepted = otherwise.iter().find(|(id, _)| *id == vector.id);
        let result = judged(&vector);
        let expected = vector.valid != excepted.is_some();
        assert_eq!(result.is_ok(), expected, "{}: {result:?} {excepted:?}", vector.label);
        if vector.valid {
            valid += 1;
        } else {
            invalid += 1;
        }
    }
    (valid, invalid)
}

#[test]
fn json_web_signatures() {
    let otherwise = [
        (346, "the key is limited to PS256 and the header says PS384: RFC 7517 section 4.4"),
        (350, "the same with key_ops"),
        (367, "marked invalid, and letter by letter the valid vector 357"),
        (370, "the same"),
        (372, "marked valid with a `?` in the header, which RFC 7515 section 2 does not know"),
        (373, "the same in the payload"),
    ];
    assert_eq!(all_as_published(SIGNATURE, &otherwise), (46, 355));
}

#[test]
fn json_web_keys() {
    assert_eq!(all_as_published(KEY, &[]), (5, 21));
}

#[test]
fn json_web_crypto() {
    let otherwise = [(50, "a JWE: nothing is decrypted here"), (67, "a JWE: nothing is decrypted here")];
    assert_eq!(all_as_published(CRYPTO, &otherwise), (6, 77));
}

#[test]
fn encrypted_tokens_are_told_from_broken_ones() {
    for vector in vectors(CRYPTO).iter().filter(|v| v.id >= 50 && v.jws.matches('.').count() == 4) {
        let keys = SignatureKeys::parse(br#"{"keys":[]}"#).unwrap();
        assert_eq!(verify_signature_only(&vector.jws, &keys), Err(TokenError::Encrypted), "{}", vector.label);
    }
}

#[test]
fn key_sets_say_why_they_are_refused() {
    let set = |file, id| vectors(file).into_iter().find(|v| v.id == id).unwrap().keys;
    assert_eq!(SignatureKeys::parse(&set(KEY, 1)).unwrap_err(), JwksError::Mixed, "secret and public keys");
    assert_eq!(SignatureKeys::parse(&set(KEY, 4)).unwrap_err(), JwksError::DuplicateKid);
    let only = |id| {
        let keys: Value = serde_json::from_slice(&set(KEY, id)).unwrap();
        portcullis_token::Jwk::parse(keys["keys"][0].to_string().as_bytes()).unwrap_err()
    };
    for (id, why) in [
        (6, JwkError::Unsupported),
        (7, JwkError::Weak),
        (8, JwkError::Weak),
        (9, JwkError::Weak),
        (10, JwkError::Private),
        (19, JwkError::Unsupported),
        (21, JwkError::Unsupported),
        (22, JwkError::Malformed),
        (23, JwkError::Malformed),
        (24, JwkError::Malformed),
    ] {
        assert_eq!(only(id), why, "tcId {id}");
    }
}

/// What the keys say that verify tokens; `None` where the set, the key or the algorithm is not one of theirs.
fn verified(vector: &Vector) -> Option<bool> {
    let keys = Jwks::parse(&vector.keys).ok()?;
    let (input, signature) = vector.jws.rsplit_once('.')?;
    let header: Value = serde_json::from_slice(&decode(input.split_once('.')?.0)?).ok()?;
    let algorithm = Algorithm::parse(header["alg"].as_str()?)?;
    let key = keys.by_kid(header["kid"].as_str()?).filter(|key| key.supports(algorithm))?;
    Some(key.key().verifies(algorithm, input.as_bytes(), &decode(signature)?))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

#[test]
fn keys_that_verify_tokens_agree() {
    let (mut accepted, mut refused, mut out_of_reach) = (0, 0, 0);
    for vector in vectors(SIGNATURE) {
        match verified(&vector) {
            Some(true) => {
                assert!(vector.valid, "{}", vector.label);
                accepted += 1;
            }
            Some(false) => {
                assert!(!vector.valid, "{}", vector.label);
                refused += 1;
            }
            None => out_of_reach += 1,
        }
    }
    assert_eq!((accepted, refused, out_of_reach), (16, 287, 98));
}
