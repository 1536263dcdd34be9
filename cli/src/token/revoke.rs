//! `portcullis token revoke`: the end of everything in a name, or of a certificate.

use std::path::PathBuf;

use portcullis_base::Timestamp;
use serde_json::{Value, json};

use crate::api::ApiArgs;
use crate::config::Environment;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// Ends everything that goes on in a name (every token issued before now, also those that a service holds or uses in other
/// names, and the sessions that they stem from), or a client certificate and what is bound to it. Whoever it was may
/// authenticate anew after five seconds, with another certificate. A user whose tokens are exchanged ends under both names,
/// that of the issuer and ours.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis token revoke --subject svc.bff\n  portcullis token revoke --certificate stolen.crt"
)]
pub(crate) struct Args {
    #[command(flatten)]
    what: What,
    /// The issuer of the subject's tokens, where it is not this stack.
    #[arg(long, value_name = "URL", requires = "subject")]
    issuer: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Whose: the service or user as tokens name it (sub).
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// File of the client certificate, in PEM.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The client certificate by its SHA-256 in base64url (x5t#S256).
    #[arg(long, value_name = "SHA256")]
    thumbprint: Option<String>,
}

pub(super) async fn run(args: &Args, output: &Output, environment: &Environment) -> Result<(), Failure> {
    let order = order(args)?;
    let answer = args.api.connect(environment)?.post("/sts/revocations", Some(&order)).await?;
    output.line(&answer, || {
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let until = answer.get("until").and_then(Value::as_i64).and_then(|s| Timestamp::from_second(s).ok());
        let until = until.map_or_else(String::new, |until| format!(", remembered until {until}"));
        match (text("subject"), text("thumbprint")) {
            (Some(subject), _) => {
                let also = answer.pointer("/also/subject").and_then(Value::as_str);
                let names: Vec<_> =
                    std::iter::once(subject).chain(also).map(crate::table::printable).collect();
                format!("Revoked: what {} was given before now{until}.", names.join(" or "))
            }
            (None, thumbprint) => format!("Revoked: the certificate {}{until}.", thumbprint.unwrap_or("-")),
        }
    })
}

fn order(args: &Args) -> Result<Value, Failure> {
    let What { subject, certificate, thumbprint } = &args.what;
    Ok(match (subject, certificate, thumbprint) {
        (Some(subject), ..) => match &args.issuer {
            Some(issuer) => json!({"subject": subject, "issuer": issuer}),
            None => json!({"subject": subject}),
        },
        (None, Some(file), _) => json!({"certificate": first(&input::text(file, MAX_PEM)?)}),
        (None, None, thumbprint) => json!({"thumbprint": thumbprint}),
    })
}

/// A holder's file has its own certificate first, and may have those above it after.
fn first(pem: &str) -> &str {
    let end = pem.find(END).map_or(pem.len(), |at| at + END.len());
    pem.get(..end).unwrap_or(pem)
}

const END: &str = "-----END CERTIFICATE-----\n";
const MAX_PEM: u64 = 64 * 1024;
