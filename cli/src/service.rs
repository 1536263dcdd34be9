//! Calls of the API in the name of a service: what `portcullis` commands do against a running stack.

use std::path::{Path, PathBuf};

use portcullis_base::{ExposeSecret, SecretString};
use portcullis_client::{CertificateFolder, Client, ClientError, ClientSettings, Credential};
use portcullis_local::RootKey;
use zeroize::Zeroizing;

use crate::config::Environment;
use crate::failure::Failure;
use crate::input;
use crate::webhook::client_builder;

/// How a service shows who it is: a secret from a file, from `PORTCULLIS_CLIENT_SECRET`, or, for a stack on this machine,
/// from its root key; or a certificate.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CredentialArgs {
    /// File that holds the service's client secret.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Folder of the service's certificates (portcullis certs issue): its client certificate is shown, its CA alone is
    /// trusted, and without a secret it is the credential.
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
}

/// A client for the API at `url` (`http://127.0.0.1:8787`, `https://api.example/prod`) in the name of `service`.
pub(crate) fn connect(url: &str, service: &str, secret: SecretString) -> Result<Client, Failure> {
    let credential = Credential::Secret { client_id: service.to_owned(), secret };
    Client::new(settings(url, credential)?).map_err(|e| Failure::usage(format!("{url}: {e}")))
}

fn settings(url: &str, credential: Credential) -> Result<ClientSettings, Failure> {
    let base = url.trim_end_matches('/');
    ClientSettings::new(&format!("{base}/sts/token"), credential, [origin(base)])
        .map_err(|e| Failure::usage(format!("{url}: {e}")))
}

impl CredentialArgs {
    /// A client for the API at `url` in the name of `service`.
    pub(crate) fn connect(
        &self,
        url: &str,
        service: &str,
        root_key: Option<&Path>,
        environment: &Environment,
    ) -> Result<Client, Failure> {
        let client_id = service.to_owned();
        let credential = match self.secret(service, root_key, environment)? {
            Some(secret) => Credential::Secret { client_id, secret },
            None => Credential::Certificate { client_id },
        };
        let mut settings = settings(url, credential)?;
        if let Some(folder) = &self.certs {
            settings = settings.with_certificates(CertificateFolder::new(folder));
        }
        Client::new(settings).map_err(|e| Failure::usage(format!("{url}: {e}")))
    }

    /// The secret of a service; none where its certificate is the credential.
    pub(crate) fn secret(
        &self,
        service: &str,
        root_key: Option<&Path>,
        environment: &Environment,
    ) -> Result<Option<SecretString>, Failure> {
        match (&self.secret_file, &environment.client_secret, &self.certs) {
            (Some(file), _, _) => read_secret(file).map(Some),
            (None, Some(secret), _) => Ok(Some(secret.clone())),
            (None, None, Some(_)) => Ok(None),
            (None, None, None) => local_secret(service, root_key, environment).map(Some),
        }
    }

    /// An HTTP client with bounded waiting that shows the certificate, where there is one.
    pub(crate) fn http(&self) -> Result<reqwest::Client, Failure> {
        let builder = client_builder();
        let builder = match &self.certs {
            None => builder,
            Some(folder) => {
                let wrong = |e: reqwest::Error| Failure::usage(format!("{}: {e}", folder.display()));
                let read = |name: &str| input::read(&folder.join(name), MAX_PEM).map(Zeroizing::new);
                let (ca, mut pem) = (read("ca.crt")?, read("client.crt")?);
                pem.extend_from_slice(&read("client.key")?);
                let ca = reqwest::Certificate::from_pem(&ca).map_err(wrong)?;
                let identity = reqwest::Identity::from_pem(&pem).map_err(wrong)?;
                builder.tls_certs_only([ca]).identity(identity)
            }
        };
        builder.build().map_err(|e| Failure::usage(format!("no HTTP client: {e}")))
    }
}

fn local_secret(
    service: &str,
    root_key: Option<&Path>,
    environment: &Environment,
) -> Result<SecretString, Failure> {
    let file = root_key.map(Path::to_path_buf).or_else(|| environment.root_key());
    let file =
        file.ok_or_else(|| Failure::usage("no secret: name a file with --secret-file or --root-key"))?;
    let root =
        RootKey::load(&file).map_err(|e| Failure::usage(format!("root key {}: {e}", file.display())))?;
    Ok(root.client_secret(service))
}

/// Says why a call came to nothing.
pub(crate) fn failed(url: &str, error: &ClientError) -> Failure {
    Failure::usage(format!("{url}: {error}"))
}

fn read_secret(file: &Path) -> Result<SecretString, Failure> {
    let bytes = Zeroizing::new(input::read(file, MAX_SECRET)?);
    let text = std::str::from_utf8(bytes.trim_ascii())
        .map_err(|_| Failure::usage(format!("{}: not text", file.display())))?;
    let secret = SecretString::from(text.to_owned());
    if secret.expose_secret().is_empty() {
        return Err(Failure::usage(format!("{}: no secret in it", file.display())));
    }
    Ok(secret)
}

/// Scheme, host and port.
fn origin(base: &str) -> String {
    let after = base.find("://").map_or(0, |at| at + 3);
    let end = base.get(after..).and_then(|rest| rest.find('/')).map_or(base.len(), |at| after + at);
    base.get(..end).unwrap_or(base).to_owned()
}

const MAX_SECRET: u64 = 4096;
const MAX_PEM: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_to_the_stack_it_is_for_alone() {
        for (url, expected) in [
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
            ("https://api.example/prod/eu", "https://api.example"),
            ("api.example/prod", "api.example"),
        ] {
            assert_eq!(origin(url), expected);
        }
    }
}
