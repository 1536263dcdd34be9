//! `portcullis token verify`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use portcullis_base::Clock;
use portcullis_token::{
    Algorithm, Audience, IssuerPolicy, Jwks, Presentation, SignatureKeys, TokenError, TokenType, Verifier,
    verify_signature_only,
};
use serde_json::json;

use super::lines::{self, Line};
use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// Judges tokens, one a line, against a key set.
///
/// Prints a JSON verdict for each line, in order: {"valid": true}, or {"valid": false, "error": why}. No part of a token
/// is printed. Exit code 0 when all are valid, 1 when one is not, 2 when nothing could be judged. What only the running
/// stack knows is not asked: revocation, and whether the presenter holds the key of a bound token ("binding-missing").
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  curl -s http://127.0.0.1:8787/sts/jwks > jwks.json\n  portcullis token get --service svc.actuator | portcullis token verify --jwks jwks.json --issuer http://127.0.0.1:8787 --audience portcullis"
)]
pub(crate) struct Args {
    /// Key set (RFC 7517) of the issuer.
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// Whose tokens: `iss` must be exactly this.
    #[arg(long, value_name = "ISSUER", required_unless_present = "signature_only")]
    issuer: Option<String>,
    /// Whom they are for: `aud` must hold one of these.
    #[arg(long, value_name = "AUDIENCE", required_unless_present = "signature_only")]
    audience: Vec<String>,
    /// Judge the JWS alone, by RFC 7515: claims and `typ` may be anything, and every algorithm of RFC 7518 counts, HMAC
    /// with a set of secret keys included.
    #[arg(long, conflicts_with_all = ["issuer", "audience", "typ", "algorithm", "leeway", "max_lifetime"])]
    signature_only: bool,
    /// What the header's `typ` must be.
    #[arg(long, value_enum, default_value_t = Typ::AtJwt)]
    typ: Typ,
    /// Algorithms that the issuer signs with.
    #[arg(long, value_name = "ALG", value_delimiter = ',', value_parser = algorithm, default_value = "RS256,PS256,ES256,EdDSA")]
    algorithm: Vec<Algorithm>,
    /// How far clocks may disagree, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u8).range(..=60))]
    leeway: u8,
    /// The longest life of a token, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    max_lifetime: u32,
    /// File of tokens, or - for standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// What a token's header must say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Typ {
    /// An access token of RFC 9068, with all its claims.
    #[value(name = "at+jwt")]
    AtJwt,
    /// Any JWT that says so.
    Jwt,
    /// Any JWT.
    JwtOrAbsent,
}

/// What tokens are judged by.
enum Judge {
    Policy(Box<Verifier>, HashMap<String, Arc<Jwks>>),
    Signature(SignatureKeys),
}

pub(crate) fn run(args: &Args, output: &Output, clock: &impl Clock) -> Result<(), Failure> {
    let judge = Judge::new(args, output)?;
    let (mut reader, _) = input::open(&args.file)?;
    let (mut all, mut invalid) = (0_u64, 0_u64);
    while let Some(line) =
        lines::next(&mut *reader, MAX_LINE).map_err(|e| input::unreadable(&args.file, &e))?
    {
        all += 1;
        let verdict = match judge.judge(&line, clock) {
            Ok(()) => json!({"valid": true}),
            Err(why) => {
                invalid += 1;
                json!({"valid": false, "error": why.as_str()})
            }
        };
        output.text(&verdict.to_string())?;
    }
    match (all, invalid) {
        (0, _) => Err(Failure::usage("there is no token to judge")),
        (_, 0) => Ok(()),
        _ => Err(Failure::refused(format!("{invalid} of {all} tokens are not valid"))),
    }
}

impl Judge {
    fn new(args: &Args, output: &Output) -> Result<Self, Failure> {
        let set = input::read(&args.jwks, Jwks::MAX_BYTES as u64)?;
        let no_set = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", args.jwks.display()));
        if args.signature_only {
            return SignatureKeys::parse(&set).map(Self::Signature).map_err(|why| no_set(&why));
        }
        let keys = Jwks::parse(&set).map_err(|why| no_set(&why))?;
        for why in keys.skipped() {
            output.error(&Failure::usage(format!("{}: one key is not used: {why}", args.jwks.display())));
        }
        let issuer = args.issuer.clone().unwrap_or_default();
        let verifier = policy(args, &issuer)
            .and_then(|policy| Verifier::new(vec![policy], args.leeway))
            .map_err(|why| Failure::usage(why.to_string()))?;
        Ok(Self::Policy(Box::new(verifier), HashMap::from([(issuer, Arc::new(keys))])))
    }

    fn judge(&self, line: &Line, clock: &impl Clock) -> Result<(), TokenError> {
        let Line::Whole(line) = line else { return Err(TokenError::Oversize) };
        let token = std::str::from_utf8(line).map_err(|_| TokenError::Base64)?;
        match self {
            Self::Signature(keys) => verify_signature_only(token, keys),
            Self::Policy(verifier, keys) => {
                verifier.verify(token, keys, Presentation::default(), clock.now()).map(drop)
            }
        }
    }
}

fn policy(args: &Args, issuer: &str) -> Result<IssuerPolicy, portcullis_token::PolicyError> {
    let typ = match args.typ {
        Typ::AtJwt => TokenType::AccessToken,
        Typ::Jwt => TokenType::Jwt,
        Typ::JwtOrAbsent => TokenType::JwtOrAbsent,
    };
    let audience = Audience::AnyOf(args.audience.clone());
    let policy = IssuerPolicy::new(issuer, audience, &args.algorithm)?;
    Ok(policy.with_token_type(typ).with_max_lifetime(args.max_lifetime))
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    let names = || Algorithm::ALL.map(Algorithm::as_str).join(", ");
    Algorithm::parse(name).ok_or_else(|| format!("not one of {}", names()))
}

/// As much as the judge of signatures reads; the policy's own bound is narrower.
const MAX_LINE: u64 = 1024 * 1024;
