//! What the command takes from its environment.

use std::path::PathBuf;

use portcullis_base::SecretString;

/// The environment, read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `PORTCULLIS_SECRET_…`: secrets that replace the development ones.
    pub(crate) secrets: Vec<(String, String)>,
    /// `PORTCULLIS_CLIENT_SECRET`: the secret of the client that asks for a token.
    pub(crate) client_secret: Option<SecretString>,
    /// Where a user's settings live: the root key is kept there, apart from the data that it protects.
    pub(crate) config_home: Option<PathBuf>,
    /// How the command was called.
    pub(crate) program: String,
    /// `PORTCULLIS_LOG`: a `tracing` filter.
    pub(crate) log_level: String,
}

impl Environment {
    /// The file of the root key, unless another is named: `portcullis/root.key` in the folder of a user's settings.
    pub(crate) fn root_key(&self) -> Option<PathBuf> {
        self.config_home.as_ref().map(|home| home.join("portcullis").join("root.key"))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where the command reads its environment")]
    pub(crate) fn read() -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let config_home = var("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".config")));
        Self {
            secrets: std::env::vars().filter(|(name, _)| name.starts_with(SECRET_PREFIX)).collect(),
            client_secret: var("PORTCULLIS_CLIENT_SECRET").map(SecretString::from),
            config_home,
            program: std::env::args().next().unwrap_or_else(|| "portcullis".to_owned()),
            log_level: var("PORTCULLIS_LOG").unwrap_or_else(|| "warn".to_owned()),
        }
    }
}

/// Environment variables with this prefix are secrets.
pub(crate) const SECRET_PREFIX: &str = "PORTCULLIS_SECRET_";
