//! `portcullis token get`.

use std::path::PathBuf;

use portcullis_base::ExposeSecret;
use serde_json::Value;
use url::{Host, Url, form_urlencoded};
use zeroize::Zeroizing;

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::service::CredentialArgs;
use crate::webhook::unreachable_stack;

/// Asks the token service of a running stack for an access token and prints it.
///
/// The client's secret comes from --secret-file, else from PORTCULLIS_CLIENT_SECRET, else, for a stack on this machine,
/// from its root key. With --json the whole answer is printed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  curl -H \"Authorization: Bearer $(portcullis token get --service svc.actuator)\" http://127.0.0.1:8787/approvals"
)]
pub(crate) struct Args {
    /// The service that asks: its name in config/access/identities.yml.
    #[arg(long, value_name = "ID")]
    service: String,
    /// Where the stack is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8787")]
    url: Url,
    /// Scopes to ask for, separated by spaces; without it all that the service's role has.
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    #[command(flatten)]
    credential: CredentialArgs,
    /// Root key of the local stack. Default: portcullis/root.key in your configuration folder.
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args, output: &Output, environment: &Environment) -> Result<(), Failure> {
    let endpoint = endpoint(&args.url)?;
    let secret = args.credential.secret(&args.service, args.root_key.as_deref(), environment)?;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(scope) = &args.scope {
        form.append_pair("scope", scope);
    }
    let mut request = args.credential.http()?.post(endpoint.clone());
    match &secret {
        Some(secret) => {
            let (id, secret) = (encoded(&args.service), encoded(secret.expose_secret()));
            request = request.basic_auth(id.as_str(), Some(secret.as_str()));
        }
        // RFC 8705 section 2: the certificate says who it is, and the form which client that is.
        None => {
            form.append_pair("client_id", &args.service);
        }
    }
    let sent = request.header("Content-Type", "application/x-www-form-urlencoded").body(form.finish()).send();
    let unreachable = |e: &reqwest::Error| unreachable_stack(endpoint.as_str(), e);
    let answer = sent.await.map_err(|e| unreachable(&e))?;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    let token = body.get("access_token").and_then(Value::as_str).filter(|_| status.is_success());
    let Some(token) = token else { return Err(refused(status, &body)) };
    output.line(&body, || token.to_owned())
}

/// A secret travels in the request: over TLS, or to this machine.
fn endpoint(url: &Url) -> Result<Url, Failure> {
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && local) {
        return Err(Failure::usage(format!("{url}: a secret is sent over https, or http to this machine")));
    }
    let text = format!("{}/sts/token", url.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(|e| Failure::usage(format!("{text}: {e}")))
}

/// RFC 6749 section 2.3.1: both halves of the Basic credentials are encoded as in a form.
fn encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

/// The error by its registered name; what a server writes beside it is not repeated to a terminal.
fn refused(status: reqwest::StatusCode, body: &Value) -> Failure {
    let name = body.get("error").and_then(Value::as_str).unwrap_or("no OAuth answer");
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | ' ' | '-');
    let name: String = name.chars().filter(plain).take(64).collect();
    Failure::refused(format!("the token service refused: {} {name}", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_over_tls_or_stay_on_the_machine() {
        for (url, endpoint_of) in [
            ("http://127.0.0.1:8787", Some("http://127.0.0.1:8787/sts/token")),
            ("http://127.0.0.1:8787/", Some("http://127.0.0.1:8787/sts/token")),
            ("http://[::1]:1", Some("http://[::1]:1/sts/token")),
            ("http://localhost:1", Some("http://localhost:1/sts/token")),
            ("https://api.example.com/prod", Some("https://api.example.com/prod/sts/token")),
            ("http://api.example.com", None),
            ("http://127.0.0.1.example.com", None),
            ("http://localhost.example.com", None),
            ("ftp://127.0.0.1", None),
        ] {
            let found = endpoint(&Url::parse(url).unwrap());
            assert_eq!(found.as_ref().ok().map(Url::as_str), endpoint_of, "{url}");
        }
    }

    #[test]
    fn credentials_are_encoded_as_in_a_form() {
        assert_eq!(&*encoded("svc.actuator"), "svc.actuator");
        assert_eq!(&*encoded("a:b c%\u{e9}"), "a%3Ab+c%25%C3%A9");
    }

    #[test]
    fn an_answer_cannot_write_to_the_terminal() {
        let body = serde_json::json!({"error": "invalid_client\u{1b}[2J\n"});
        let said = refused(reqwest::StatusCode::UNAUTHORIZED, &body).to_string();
        assert_eq!(said, "the token service refused: 401 invalid_client2J");
    }
}
