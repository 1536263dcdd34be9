//! `portcullis token inspect`.

use std::io::Write;
use std::path::PathBuf;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use portcullis_token::UnverifiedToken;
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// Shows what a token says, WITHOUT verifying it: anybody may have written it.
///
/// Prints one JSON object: "verified" (always false), "header", "claims" and, where this stack would refuse the token for
/// its form alone, "problem". The signature is not printed. For a verdict use `token verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  portcullis token get --service svc.actuator | portcullis token inspect")]
pub(crate) struct Args {
    /// File that holds the token, or - for standard input. Never the token itself: arguments are seen by every user.
    #[arg(default_value = "-")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Shown {
    verified: bool,
    header: Value,
    claims: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let bytes = input::read(&args.file, MAX_BYTES)?;
    let shown = std::str::from_utf8(bytes.trim_ascii()).ok().and_then(show);
    let shown = shown.ok_or_else(|| Failure::refused("this is no signed token of three parts"))?;
    warn();
    output.line(&shown, || format!("{:#}", serde_json::json!(shown)))
}

fn show(token: &str) -> Option<Shown> {
    let mut parts = token.split('.');
    let (header, claims, _signature) = (json(parts.next()?)?, json(parts.next()?)?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let problem = UnverifiedToken::parse(token).err().map(portcullis_token::TokenError::as_str);
    Some(Shown { verified: false, header, claims, problem })
}

fn json(part: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// On standard error, so that it is seen even where the answer goes into a pipe.
fn warn() {
    let _told = writeln!(
        std::io::stderr().lock(),
        "!! NOT VERIFIED: anybody may have written what follows. Believe only what `portcullis token verify` takes."
    );
}

/// Far more than any token that is taken, so that what is refused for its length can be looked into.
const MAX_BYTES: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(header: &str, payload: &str) -> String {
        let part = |text| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.AA", part(header), part(payload))
    }

    #[test]
    fn what_would_be_refused_is_shown_with_the_reason() {
        let claims = r#"{"iss":"i","sub":"s","aud":"a","exp":1}"#;
        for (header, problem) in [
            (r#"{"alg":"ES256"}"#, None),
            (r#"{"alg":"none"}"#, Some("algorithm-none")),
            (r#"{"alg":"ES256","alg":"none"}"#, Some("duplicate-member")),
            (r#"{"alg":"ES256","jwk":{}}"#, Some("embedded-key")),
        ] {
            let shown = show(&encoded(header, claims)).unwrap();
            assert_eq!((shown.problem, shown.verified), (problem, false), "{header}");
            assert_eq!(shown.claims["sub"], "s");
        }
    }

    #[test]
    fn what_is_no_token_is_not_shown() {
        for text in
            ["", "a.b", "e30.e30", "e30.e30.AA.AA.AA", "e30.!.AA", "e30=.e30.AA", "bm90IGpzb24.e30.AA"]
        {
            assert!(show(text).is_none(), "{text}");
        }
    }
}
