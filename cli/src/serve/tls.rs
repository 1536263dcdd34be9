//! Serving over mutual TLS.

use std::path::PathBuf;
use std::sync::Arc;

use authorizer_function::MtlsMode;
use base64::prelude::{BASE64_STANDARD, Engine};
use portcullis_client::mtls::{Finding, Mode, MtlsServer, ServerSettings};
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;

/// Whether TLS is spoken, and who is let in.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TlsArgs {
    /// Speak TLS with the certificate in this folder: portcullis certs issue makes one (certs/gateway, say).
    #[arg(long, value_name = "DIR", conflicts_with = "demo")]
    certs: Option<PathBuf>,
    /// What becomes of callers without a good client certificate.
    #[arg(long, value_enum, default_value_t = Callers::Strict, requires = "certs")]
    mtls: Callers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Callers {
    /// They are not let in.
    Strict,
    /// They are let in, and listed: who would break under strict, and why.
    Permissive,
}

impl TlsArgs {
    /// The server that shakes hands; none where TLS is not spoken.
    pub(crate) fn server(&self) -> Result<Option<Arc<MtlsServer>>, Failure> {
        let Some(folder) = &self.certs else { return Ok(None) };
        let mode = if self.mtls == Callers::Strict { Mode::Strict } else { Mode::Permissive };
        MtlsServer::new(ServerSettings::new(folder).with_mode(mode))
            .map(|server| Some(Arc::new(server)))
            .map_err(|e| Failure::usage(format!("{}: {e}", folder.display())))
    }

    /// The same for the authorizer.
    pub(crate) fn mode(&self) -> MtlsMode {
        match (&self.certs, self.mtls) {
            (None, _) => MtlsMode::Off,
            (Some(_), Callers::Strict) => MtlsMode::Strict,
            (Some(_), Callers::Permissive) => MtlsMode::Permissive,
        }
    }
}

/// Lists who would be kept out by strict mode.
pub(crate) fn findings(output: &Output, found: &[Finding]) -> Result<(), Failure> {
    for finding in found {
        let Finding { peer, claimed, path, why, requests } = finding;
        let line = json!({
            "event": "would_break",
            "peer": peer.to_string(),
            "claimed": claimed,
            "path": path,
            "why": why.as_str(),
            "requests": requests,
        });
        let who = claimed.as_deref().unwrap_or("a caller without a name");
        output.line(&line, || {
            format!("Strict mode would keep out {who} from {peer}: {why}, {requests} requests for {path}")
        })?;
    }
    Ok(())
}

/// A certificate in PEM, as the gateway hands it on.
pub(crate) fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
