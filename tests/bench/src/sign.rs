//! Claims of seven fields in, a token out; the key is parsed once and kept.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use portcullis_base::Timestamp;
use portcullis_token::{
    Algorithm, Audience, Claims, IssuedType, IssuerPolicy, Jwks, LocalSigner, NumericDate, Presentation,
    Scope, TokenType, Verifier,
};
use serde_json::json;

use crate::measure::Job;

pub(crate) const ISSUER: &str = "https://issuer.bench.example";
pub(crate) const AUDIENCE: &str = "bench-api";
const ISSUED: i64 = 1_700_000_000;
const EXPIRES: i64 = 4_070_908_800;

pub(crate) fn run(job: &Job, algorithm: Algorithm) {
    let signer = signer(job, algorithm);
    let (verifier, keys) = (verifier(algorithm), keys(job));
    let next = Cell::new(0_u64);
    job.run(
        &[(); 64],
        |()| 0,
        |()| {
            next.set(next.get() + 1);
            signer.issue_now(&claims(next.get()), IssuedType::Jwt).expect("a token")
        },
        |tokens| {
            let now = Timestamp::now();
            let good = tokens.filter(|t| verifier.verify(t, &keys, Presentation::default(), now).is_ok());
            json!({"verified": good.count()})
        },
    );
}

fn claims(number: u64) -> Claims {
    let date = |seconds| NumericDate::from_seconds(seconds).expect("a date");
    let mut claims = Claims::new(ISSUER, "user-00001", AUDIENCE, date(EXPIRES));
    claims.iat = Some(date(ISSUED));
    claims.jti = Some(format!("{number:024x}"));
    claims.scope = Scope::parse("messages:read messages:write").expect("scopes");
    claims
}

fn signer(job: &Job, algorithm: Algorithm) -> LocalSigner {
    let pem = String::from_utf8(job.read(&format!("sign-{algorithm}.pem"))).expect("text");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pkcs8 = BASE64_STANDARD.decode(body).expect("PEM");
    let kid = format!("{}-0", algorithm.as_str().to_ascii_lowercase());
    LocalSigner::from_pkcs8(algorithm, Some(&kid), &pkcs8).expect("a key")
}

pub(crate) fn keys(job: &Job) -> HashMap<String, Arc<Jwks>> {
    let set = Jwks::parse(&job.read("jwks.json")).expect("a key set");
    HashMap::from([(ISSUER.to_owned(), Arc::new(set))])
}

fn verifier(algorithm: Algorithm) -> Verifier {
    let audience = Audience::AnyOf(vec![AUDIENCE.to_owned()]);
    let policy = IssuerPolicy::new(ISSUER, audience, &[algorithm]).expect("a policy");
    let policy = policy.with_token_type(TokenType::Jwt).with_max_lifetime(u32::MAX);
    Verifier::new(vec![policy], 10).expect("a verifier")
}
