//! Any bytes are a key set or are refused; what is taken has no private part and no name twice, and reads back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_token::{Jwk, Jwks, SignatureKeys, verify_signature_only};
use serde_json::Value;

const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fuzz_target!(|bytes: &[u8]| {
    let _single = Jwk::parse(bytes);
    if let Ok(keys) = SignatureKeys::parse(bytes) {
        assert!(verify_signature_only("e30.e30.AA", &keys).is_err());
    }
    let Ok(set) = Jwks::parse(bytes) else { return };
    let value: Value = serde_json::from_slice(bytes).expect("JSON");
    let items = value["keys"].as_array().expect("a list");
    assert_eq!(items.len(), set.keys().len() + set.skipped().len());
    assert!(items.iter().all(|item| PRIVATE.iter().all(|name| item.get(name).is_none())));
    for key in set.keys() {
        let same_name = |other: &&Jwk| key.kid().is_some() && other.kid() == key.kid();
        assert!(set.keys().iter().filter(same_name).count() <= 1);
        assert!(items.iter().any(|item| item["kid"].as_str() == key.kid()));
    }
    let again = Jwks::parse(set.to_json().as_bytes()).expect("what is written can be read");
    assert!(again.skipped().is_empty() && again.keys().len() == set.keys().len());
    for (one, other) in set.keys().iter().zip(again.keys()) {
        assert_eq!(one.key().thumbprint(), other.key().thumbprint());
        assert_eq!((one.kid(), one.algorithm()), (other.kid(), other.algorithm()));
    }
});
