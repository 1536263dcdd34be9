//! A proof that verifies is for this method, this address and this time, by the key that it carries, and no byte of it
//! can change. The input is a header, a payload and any text, a line each.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use portcullis_base::Timestamp;
use portcullis_token::{Algorithm, LocalSigner, ProofError, ProofExpectation, VerifiedProof, verify_proof};
use serde_json::Value;

const NOW: i64 = 1_800_000_000;
const MAX_AGE: u16 = 60;
// The private key is thirty-two sevens: it protects nothing, and seeds stay good.
const PKCS8: &[u8] =
    b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x2077777777777777777777777777777777";

static SIGNER: LazyLock<LocalSigner> =
    LazyLock::new(|| LocalSigner::from_pkcs8(Algorithm::EdDsa, Some("k"), PKCS8).unwrap());

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(3, |b| *b == b'\n');
    let (header, payload) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if let Ok(text) = std::str::from_utf8(lines.next().unwrap_or_default()) {
        let _verdict = verify(text);
    }
    let proof = signed(header, payload);
    let Ok(verified) = verify(&proof) else { return };
    // Signed by our key, so it can only be our key that it carries.
    assert_eq!(verified.jkt(), SIGNER.public().key().thumbprint());
    let claims: Value = serde_json::from_slice(payload).expect("JSON");
    assert_eq!(claims["htm"], "POST");
    assert_eq!(claims["jti"].as_str(), Some(verified.jti()));
    let age = NOW as f64 - claims["iat"].as_f64().expect("a time");
    assert!((-6.0..=61.0).contains(&age));
    let host = claims["htu"].as_str().expect("an address").to_ascii_lowercase();
    assert!(host.contains("sts.example"));
    let mut changed = proof.clone().into_bytes();
    let place = bytes.len().wrapping_mul(2_654_435_761) % changed.len();
    changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
    let changed = std::str::from_utf8(&changed).unwrap();
    assert!(verify(changed).is_err(), "byte {place} is not protected");
});

fn signed(header: &[u8], payload: &[u8]) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = SIGNER.sign_now(input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn verify(text: &str) -> Result<VerifiedProof, ProofError> {
    let expected = ProofExpectation {
        method: "POST",
        uri: "https://sts.example/sts/token?x=1",
        access_token: None,
        nonces: None,
        max_age_seconds: MAX_AGE,
    };
    verify_proof(text, &expected, Timestamp::from_second(NOW).unwrap())
}
