//! `make bench`: tokens and limits, each piece by itself. Compare ratios within one run, never times of two.
#![expect(clippy::expect_used, reason = "benchmarks stop at what they did not expect")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use divan::{Bencher, black_box};
use futures_util::FutureExt;
use portcullis_base::{Clock, Timestamp};
use portcullis_lambda::SystemClock;
use portcullis_limit::{Bucket, LeasedLimiter, LimitKey, LimiterSettings, MemoryLimits, Quota};
use portcullis_token::{
    Algorithm, Audience, Claims, IssuedType, IssuerPolicy, Jwks, LocalSigner, NumericDate, Presentation,
    ProofExpectation, Scope, UnverifiedToken, Verifier, issue, verify_proof,
};

fn main() {
    divan::main();
}

const ISSUER: &str = "https://sts.example";
const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];
const NOW: i64 = 1_800_000_000;

/// A key for each algorithm: making RSA keys takes long.
static SIGNERS: LazyLock<Vec<LocalSigner>> =
    LazyLock::new(|| Algorithm::ALL.into_iter().map(|a| LocalSigner::generate(a).expect("a key")).collect());

fn signer(name: &str) -> &'static LocalSigner {
    SIGNERS.iter().find(|s| s.public().algorithm().is_some_and(|a| a.as_str() == name)).expect("a key")
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}

fn claims() -> Claims {
    let at = NumericDate::of(now());
    let mut claims = Claims::new(ISSUER, "svc.actuator", "portcullis", at.plus_seconds(600));
    claims.iat = Some(at);
    claims.jti = Some("0123456789abcdef0123456789abcdef".to_owned());
    claims.client_id = Some("svc.actuator".to_owned());
    claims.scope = Scope::parse("read:approvals execute:external").expect("scopes");
    claims.roles = vec!["actuator".to_owned()];
    claims
}

fn token(name: &str) -> String {
    signer(name).issue_now(&claims(), IssuedType::AccessToken).expect("a token")
}

#[divan::bench(args = ALGORITHMS)]
fn signature_verify_bare(bencher: Bencher<'_, '_>, name: &str) {
    let (signer, message) = (signer(name), [7; 600]);
    let algorithm = Algorithm::parse(name).expect("a name");
    let signature = signer.sign_now(&message).expect("a signature");
    bencher.bench_local(|| signer.public().key().verifies(algorithm, black_box(&message), &signature));
}

#[divan::bench(args = ALGORITHMS)]
fn token_verify(bencher: Bencher<'_, '_>, name: &str) {
    let token = token(name);
    let keys = Jwks::new([signer(name).public().clone()]).expect("a set");
    let keys = HashMap::from([(ISSUER.to_owned(), Arc::new(keys))]);
    let audience = Audience::AnyOf(vec!["portcullis".to_owned()]);
    let policy = IssuerPolicy::new(ISSUER, audience, &Algorithm::ALL).expect("a policy");
    let verifier = Verifier::new(vec![policy], 10).expect("a verifier");
    bencher.bench_local(|| {
        verifier.verify(black_box(&token), &keys, Presentation::default(), now()).expect("a good token")
    });
}

#[divan::bench]
fn token_read_without_verifying(bencher: Bencher<'_, '_>) {
    let token = token("ES256");
    bencher.bench_local(|| UnverifiedToken::parse(black_box(&token)).is_ok());
}

#[divan::bench(args = ALGORITHMS)]
fn signature_sign_bare(bencher: Bencher<'_, '_>, name: &str) {
    let (signer, message) = (signer(name), [7; 600]);
    bencher.bench_local(|| signer.sign_now(black_box(&message)).expect("a signature"));
}

#[divan::bench(args = ALGORITHMS)]
fn token_issue(bencher: Bencher<'_, '_>, name: &str) {
    let signer = signer(name);
    bencher.bench_local(|| {
        let issued = issue(&black_box(claims()), IssuedType::AccessToken, signer).now_or_never();
        issued.expect("at once").expect("a token")
    });
}

#[divan::bench]
fn dpop_proof_verify(bencher: Bencher<'_, '_>) {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    let signer = signer("ES256");
    let mut jwk = serde_json::to_value(signer.public()).expect("JSON");
    jwk.as_object_mut()
        .expect("an object")
        .retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
    let header = serde_json::json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}).to_string();
    let uri = "https://api.example/sts/token";
    let payload = serde_json::json!({"htm": "POST", "htu": uri, "iat": NOW, "jti": "proof-1"}).to_string();
    let part = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
    let input = format!("{}.{}", part(header), part(payload));
    let signature = signer.sign_now(input.as_bytes()).expect("a signature");
    let proof = format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
    let expected =
        ProofExpectation { method: "POST", uri, access_token: None, nonces: None, max_age_seconds: 60 };
    bencher.bench_local(|| verify_proof(black_box(&proof), &expected, now()).expect("a good proof"));
}

fn quota(text: &str) -> Quota {
    text.parse().expect("a quota")
}

#[divan::bench]
fn gcra_bucket_check(bencher: Bencher<'_, '_>) {
    let (mut bucket, quota) = (Bucket::default(), quota("1000000/s"));
    bencher.bench_local(|| bucket.check(&quota, NonZeroU32::MIN, SystemClock.now()));
}

#[divan::bench]
fn gcra_limiter_check_with_a_lease(bencher: Bencher<'_, '_>) {
    let quota = quota("1000000/s");
    let limiter = LeasedLimiter::new(MemoryLimits::new(1_000), SystemClock, LimiterSettings::default());
    let key = LimitKey::address(IpAddr::from([203, 0, 113, 7]));
    bencher.bench_local(|| {
        limiter.check(black_box(&key), &quota, NonZeroU32::MIN).now_or_never().expect("at once")
    });
}

#[divan::bench]
fn limit_key_of_a_principal(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| LimitKey::principal(black_box(ISSUER), black_box("svc.actuator")));
}
