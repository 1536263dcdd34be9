//! No text is believed but what was signed: a token that verifies says what its signed bytes say, and no byte of it can
//! change. The input is a header, a payload and any text, a line each.
#![no_main]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use portcullis_base::Timestamp;
use portcullis_token::{
    Algorithm, Audience, IssuerPolicy, Jwks, LocalSigner, Presentation, SignatureKeys, UnverifiedToken,
    VerifiedToken, Verifier, verify_signature_only,
};
use serde_json::Value;

const NOW: i64 = 1_800_000_000;
// The private key is thirty-two sevens: it protects nothing, and seeds stay good.
const PKCS8: &[u8] =
    b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x2077777777777777777777777777777777";

struct Party {
    signer: LocalSigner,
    keys: HashMap<String, Arc<Jwks>>,
    bare: SignatureKeys,
    verifier: Verifier,
}

static PARTY: LazyLock<Party> = LazyLock::new(|| {
    let signer = LocalSigner::from_pkcs8(Algorithm::EdDsa, Some("k"), PKCS8).unwrap();
    let set = Jwks::new([signer.public().clone()]).unwrap();
    let policy = IssuerPolicy::new("https://i", Audience::AnyOf(vec!["a".into()]), &Algorithm::ALL).unwrap();
    Party {
        bare: SignatureKeys::parse(set.to_json().as_bytes()).unwrap(),
        keys: HashMap::from([("https://i".to_owned(), Arc::new(set))]),
        verifier: Verifier::new(vec![policy], 10).unwrap(),
        signer,
    }
});

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(3, |b| *b == b'\n');
    let (header, payload) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if let Ok(text) = std::str::from_utf8(lines.next().unwrap_or_default()) {
        let _shape = UnverifiedToken::parse(text);
        let _verdict = verify_signature_only(text, &PARTY.bare);
        if let Some(token) = verify(text) {
            check(text, &token);
        }
    }
    let token = signed(header, payload);
    if let Some(verified) = verify(&token) {
        assert!(verify_signature_only(&token, &PARTY.bare).is_ok());
        check(&token, &verified);
        nothing_can_change(&token, bytes.len());
    }
});

fn signed(header: &[u8], payload: &[u8]) -> String {
    let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = PARTY.signer.sign_now(token.as_bytes()).unwrap();
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    token
}

fn verify(text: &str) -> Option<VerifiedToken> {
    let now = Timestamp::from_second(NOW).unwrap();
    PARTY.verifier.verify(text, &PARTY.keys, Presentation::default(), now).ok()
}

/// A full parser reads the same in it, and every rule of the policy holds of that.
fn check(text: &str, token: &VerifiedToken) {
    let mut parts = text.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut part = || serde_json::from_slice::<Value>(&parts.next().unwrap()).unwrap();
    let (header, payload, claims) = (part(), part(), token.claims());
    assert_eq!(header["alg"], "EdDSA");
    for name in ["crit", "jwk", "jku", "x5u", "x5c", "enc"] {
        assert!(header.get(name).is_none(), "{name}");
    }
    assert_eq!((payload["iss"].as_str(), &*claims.iss), (Some("https://i"), "https://i"));
    assert_eq!(payload["sub"].as_str(), Some(&*claims.sub));
    assert!(claims.aud.iter().any(|a| a == "a"));
    assert!(payload["exp"].as_f64().unwrap() > (NOW - 10) as f64 && claims.cnf.is_none());
    assert_eq!(payload["jti"].as_str(), claims.jti.as_deref());
    let scopes = payload["scope"].as_str().unwrap_or_default();
    assert!(claims.scope.iter().all(|scope| scopes.split(' ').any(|s| s == scope)));
}

fn nothing_can_change(token: &str, seed: usize) {
    let mut changed = token.to_owned().into_bytes();
    let place = seed.wrapping_mul(2_654_435_761) % changed.len();
    changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
    assert!(verify(std::str::from_utf8(&changed).unwrap()).is_none(), "byte {place} is not protected");
    assert!(verify(&format!("{token}=")).is_none() && verify(&token[..token.len() - 1]).is_none());
}
