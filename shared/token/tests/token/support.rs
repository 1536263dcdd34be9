use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_base::Timestamp;
use portcullis_token::*;
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://sts.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

pub(crate) fn now() -> Timestamp {
    at(NOW)
}

/// One key per algorithm for all tests: making RSA keys takes long.
pub(crate) fn signer(algorithm: Algorithm) -> &'static LocalSigner {
    static SIGNERS: OnceLock<Vec<LocalSigner>> = OnceLock::new();
    let all = SIGNERS
        .get_or_init(|| Algorithm::ALL.into_iter().map(|a| LocalSigner::generate(a).unwrap()).collect());
    all.iter().find(|s| s.algorithm() == algorithm).unwrap()
}

pub(crate) fn all_keys() -> Jwks {
    Jwks::new(Algorithm::ALL.map(|a| signer(a).public().clone())).unwrap()
}

pub(crate) fn keys(set: Jwks) -> HashMap<String, Arc<Jwks>> {
    HashMap::from([(ISSUER.to_owned(), Arc::new(set))])
}

pub(crate) fn policy(algorithms: &[Algorithm]) -> IssuerPolicy {
    IssuerPolicy::new(ISSUER, Audience::AnyOf(vec![AUDIENCE.into()]), algorithms).unwrap()
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new(vec![policy(&Algorithm::ALL)], 10).unwrap()
}

/// Claims that every rule allows.
pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "svc.bff", "aud": AUDIENCE, "exp": NOW + 600, "iat": NOW, "jti": "t-1",
           "client_id": "svc.bff", "scope": "conversations:read", "roles": ["bff"]})
}

pub(crate) fn header(algorithm: Algorithm) -> Value {
    json!({"alg": algorithm, "typ": "at+jwt", "kid": signer(algorithm).kid()})
}

pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

pub(crate) fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token over any text of header and payload, truly signed.
pub(crate) fn signed(algorithm: Algorithm, header: &str, payload: &str) -> String {
    signed_raw(algorithm, &b64(header), &b64(payload))
}

/// The same over parts as they are.
pub(crate) fn signed_raw(algorithm: Algorithm, header: &str, payload: &str) -> String {
    let input = format!("{header}.{payload}");
    let signature = signer(algorithm).sign_now(input.as_bytes()).unwrap();
    format!("{input}.{}", b64(signature))
}

pub(crate) fn es256(header: &Value, payload: &Value) -> String {
    signed(Algorithm::Es256, &header.to_string(), &payload.to_string())
}

pub(crate) fn good() -> String {
    es256(&header(Algorithm::Es256), &claims())
}

pub(crate) fn verify(token: &str) -> Result<VerifiedToken, TokenError> {
    verifier().verify(token, &keys(all_keys()), Presentation::default(), now())
}
