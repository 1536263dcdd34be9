//! Settings of the client: from the environment, all problems told at once.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_base::SecretString;
use portcullis_token::{Algorithm, LocalSigner, Scope};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use url::{Origin, Url};

use crate::client::{CertificateFolder, RetryPolicy};
use crate::endpoint::{self, UrlError};
use crate::files;
use crate::tokens::Credential;
use crate::transport::Transport;

/// What a [`crate::Client`] is made from.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    pub(crate) sts: Url,
    pub(crate) credential: Credential,
    pub(crate) scope: Option<String>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) transport: Transport,
    pub(crate) certificates: Option<CertificateFolder>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Duration,
    pub(crate) max_body: usize,
}

impl ClientSettings {
    /// Settings for the token endpoint at `sts`, and a token that is shown to `origins` (`https://host[:port]`) only.
    ///
    /// # Errors
    /// When a URL is neither `https` nor on a loopback address.
    pub fn new<O: AsRef<str>>(
        sts: &str,
        credential: Credential,
        origins: impl IntoIterator<Item = O>,
    ) -> Result<Self, UrlError> {
        let origins =
            origins.into_iter().map(|o| endpoint::parse_origin(o.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self {
            sts: endpoint::parse(sts)?,
            credential,
            scope: None,
            origins,
            transport: Transport::default(),
            certificates: None,
            retry: RetryPolicy::default(),
            timeout: TIMEOUT,
            max_body: MAX_BODY,
        })
    }

    /// Asks for these scopes (separated by spaces) in place of all that the client may have.
    #[must_use]
    pub fn with_scope(self, scope: impl Into<String>) -> Self {
        Self { scope: Some(scope.into()), ..self }
    }

    /// How connections are made.
    #[must_use]
    pub fn with_transport(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// Shows a client certificate.
    #[must_use]
    pub fn with_certificates(self, folder: CertificateFolder) -> Self {
        Self { certificates: Some(folder), ..self }
    }

    /// How often and how patiently a request is sent again.
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// The time of a whole call: token, attempts and pauses (30 s otherwise).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The largest body of an answer, in bytes (10 MiB otherwise).
    #[must_use]
    pub fn with_max_body(self, bytes: usize) -> Self {
        Self { max_body: bytes, ..self }
    }

    /// Reads the environment:
    ///
    /// | name | |
    /// |---|---|
    /// | `STS_URL` | the token endpoint |
    /// | `CLIENT_ID` | such as `svc.actuator` |
    /// | `CLIENT_SECRET` or `CLIENT_SECRET_FILE` | `client_secret_basic` |
    /// | `CLIENT_KEY_FILE` | `private_key_jwt`: PKCS#8 in PEM; with `CLIENT_KEY_ID`, `CLIENT_KEY_ALGORITHM` (`ES256`) and `STS_AUDIENCE` (`STS_URL`) |
    /// | `CERTS_DIR` | a folder of `portcullis certs`: its client certificate is shown; without secret and key it is the credential (`tls_client_auth`) |
    /// | `TLS_TRUST` | `own` (with `CERTS_DIR`: its `ca.crt` only) or `system` |
    /// | `ALLOWED_ORIGINS` | where the token may go: `https://host[:port]`, separated by commas |
    /// | `SCOPE` | the scopes to ask for; all of the role otherwise |
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    #[expect(clippy::disallowed_methods, reason = "the one place where the client reads its environment")]
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// The same from any table of names.
    ///
    /// # Errors
    /// As [`ClientSettings::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader { lookup, problems: Vec::new() };
        let settings = reader.settings();
        match (settings, reader.problems) {
            (Some(settings), problems) if problems.is_empty() => Ok(settings),
            (_, problems) => Err(SettingsError(problems)),
        }
    }
}

struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn settings(&mut self) -> Option<ClientSettings> {
        let (sts, origins) = (self.sts(), self.origins());
        let certificates = self.certificates();
        let credential = self.credential(certificates.is_some());
        let scope = self.optional("SCOPE");
        if scope.as_ref().is_some_and(|scope| Scope::parse(scope).is_err()) {
            self.problem("SCOPE is not valid");
        }
        let settings = ClientSettings::new(sts?.as_str(), credential?, Vec::<String>::new()).ok()?;
        Some(ClientSettings { origins, scope, certificates, ..settings })
    }

    fn sts(&mut self) -> Option<Url> {
        let text = self.required("STS_URL")?;
        endpoint::parse(&text).map_err(|error| self.problem(&format!("STS_URL: {error}"))).ok()
    }

    fn origins(&mut self) -> Vec<Origin> {
        let text = self.required("ALLOWED_ORIGINS").unwrap_or_default();
        let parsed: Result<Vec<_>, _> =
            text.split(',').map(str::trim).filter(|o| !o.is_empty()).map(endpoint::parse_origin).collect();
        parsed.map_err(|error| self.problem(&format!("ALLOWED_ORIGINS: {error}"))).unwrap_or_default()
    }

    fn certificates(&mut self) -> Option<CertificateFolder> {
        let folder = self.optional("CERTS_DIR").map(CertificateFolder::new);
        match (folder, self.optional("TLS_TRUST").as_deref()) {
            (folder, None | Some("own")) => folder,
            (folder, Some("system")) => folder.map(CertificateFolder::trusting_the_system),
            (folder, Some(_)) => {
                self.problem("TLS_TRUST is neither own nor system");
                folder
            }
        }
    }

    fn credential(&mut self, certificate: bool) -> Option<Credential> {
        let client_id = self.required("CLIENT_ID");
        let secret = self.optional("CLIENT_SECRET").map(SecretString::from);
        let secret_file = self.optional("CLIENT_SECRET_FILE");
        let key_file = self.optional("CLIENT_KEY_FILE");
        match (secret, secret_file, key_file) {
            (Some(secret), None, None) => Some(Credential::Secret { client_id: client_id?, secret }),
            (None, Some(file), None) => {
                let secret = self.secret(Path::new(&file))?;
                Some(Credential::Secret { client_id: client_id?, secret })
            }
            (None, None, Some(file)) => {
                let signer = self.signer(Path::new(&file))?;
                let audience = self.optional("STS_AUDIENCE").or_else(|| self.optional("STS_URL"))?;
                Some(Credential::PrivateKey { client_id: client_id?, signer, audience })
            }
            (None, None, None) if certificate => Some(Credential::Certificate { client_id: client_id? }),
            (None, None, None) => {
                self.problem("none of CLIENT_SECRET, CLIENT_SECRET_FILE, CLIENT_KEY_FILE, CERTS_DIR is set");
                None
            }
            _ => {
                self.problem("more than one of CLIENT_SECRET, CLIENT_SECRET_FILE, CLIENT_KEY_FILE is set");
                None
            }
        }
    }

    fn secret(&mut self, path: &Path) -> Option<SecretString> {
        let bytes = files::read(path).ok();
        let text = bytes.as_ref().and_then(|b| std::str::from_utf8(b).ok()).map(str::trim_end);
        let secret = text.filter(|t| !t.is_empty()).map(SecretString::from);
        if secret.is_none() {
            self.problem("CLIENT_SECRET_FILE cannot be read");
        }
        secret
    }

    fn signer(&mut self, path: &Path) -> Option<Arc<LocalSigner>> {
        let name = self.optional("CLIENT_KEY_ALGORITHM").unwrap_or_else(|| "ES256".to_owned());
        let Some(algorithm) = Algorithm::parse(&name) else {
            self.problem("CLIENT_KEY_ALGORITHM is not valid");
            return None;
        };
        let kid = self.optional("CLIENT_KEY_ID");
        let pem = files::read(path).ok();
        let der = pem.as_ref().and_then(|pem| PrivatePkcs8KeyDer::from_pem_slice(pem).ok());
        let signer = der
            .and_then(|der| LocalSigner::from_pkcs8(algorithm, kid.as_deref(), der.secret_pkcs8_der()).ok());
        if signer.is_none() {
            self.problem("CLIENT_KEY_FILE holds no PKCS#8 key for CLIENT_KEY_ALGORITHM");
        }
        signer.map(Arc::new)
    }

    fn required(&mut self, name: &str) -> Option<String> {
        let value = self.optional(name);
        if value.is_none() {
            self.problem(&format!("{name} is not set"));
        }
        value
    }

    fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn problem(&mut self, problem: &str) {
        self.problems.push(problem.to_owned());
    }
}

/// Settings that are missing or not valid. Names settings, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(Vec<String>);

impl SettingsError {
    /// One sentence a problem.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settings: {}", self.0.join("; "))
    }
}

impl std::error::Error for SettingsError {}

impl From<crate::client::ConnectionsError> for SettingsError {
    fn from(error: crate::client::ConnectionsError) -> Self {
        Self(vec![error.to_string()])
    }
}

impl From<UrlError> for SettingsError {
    fn from(error: UrlError) -> Self {
        Self(vec![error.to_string()])
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BODY: usize = 10 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("STS_URL", "https://sts.example/sts/token"),
        ("CLIENT_ID", "svc.actuator"),
        ("CLIENT_SECRET", "hunter2"),
        ("ALLOWED_ORIGINS", "https://a.example, http://127.0.0.1:8080"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<ClientSettings, SettingsError> {
        let all: Vec<_> = changes.iter().chain(&GOOD).copied().collect();
        ClientSettings::from_lookup(|name| {
            all.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_way_to_authenticate() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let signer = LocalSigner::generate(Algorithm::Es256).unwrap();
        let pem = pem(&signer.dangerous_private_pkcs8().unwrap());
        let (key, secret) = (path("key.pem", pem.as_bytes()), path("secret", b"s3cret\n"));
        for (label, changes, method) in [
            ("secret", vec![], "client_secret_basic"),
            (
                "secret from a file",
                vec![("CLIENT_SECRET", ""), ("CLIENT_SECRET_FILE", &*secret)],
                "client_secret_basic",
            ),
            ("key", vec![("CLIENT_SECRET", ""), ("CLIENT_KEY_FILE", &*key)], "private_key_jwt"),
            ("certificate", vec![("CLIENT_SECRET", ""), ("CERTS_DIR", "/certs/actuator")], "tls_client_auth"),
            ("secret over mTLS", vec![("CERTS_DIR", "/certs/actuator")], "client_secret_basic"),
        ] {
            let settings = read(&changes).unwrap();
            let shown = format!("{:?}", settings.credential);
            assert!(shown.contains(method) && shown.contains("svc.actuator"), "{label}: {shown}");
        }
    }

    #[test]
    fn every_problem_is_told_at_once_and_no_value_with_it() {
        let error =
            ClientSettings::from_lookup(|name| (name == "SCOPE").then(|| "a\"b".to_owned())).unwrap_err();
        let expected = "settings: STS_URL is not set; ALLOWED_ORIGINS is not set; CLIENT_ID is not set; \
            none of CLIENT_SECRET, CLIENT_SECRET_FILE, CLIENT_KEY_FILE, CERTS_DIR is set; SCOPE is not valid";
        assert_eq!(error.to_string(), expected);
        for (label, change, problem) in [
            (
                "plain http",
                ("STS_URL", "http://sts.example"),
                "STS_URL: url must be https, or http on a loopback address",
            ),
            (
                "origin with a path",
                ("ALLOWED_ORIGINS", "https://a/x"),
                "ALLOWED_ORIGINS: url is not of the form https://host[:port]/path",
            ),
            (
                "two credentials",
                ("CLIENT_KEY_FILE", "/k"),
                "more than one of CLIENT_SECRET, CLIENT_SECRET_FILE, CLIENT_KEY_FILE is set",
            ),
            ("trust", ("TLS_TRUST", "all"), "TLS_TRUST is neither own nor system"),
        ] {
            assert_eq!(read(&[change]).unwrap_err().problems(), [problem], "{label}");
        }
        let unreadable = read(&[("CLIENT_SECRET", ""), ("CLIENT_SECRET_FILE", "/nowhere")]).unwrap_err();
        assert_eq!(unreadable.problems(), ["CLIENT_SECRET_FILE cannot be read"]);
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        assert!(!format!("{:?}", read(&[]).unwrap()).contains("hunter2"));
    }

    fn pem(der: &[u8]) -> String {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    }
}
