//! Service identities: who may ask for tokens, how it shows who it is, and what its tokens are like.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use portcullis_limit::Quota;
use portcullis_token::{Algorithm, Jwks, Scope};
use serde::Deserialize;

use crate::{Action, FileError, Roles, file};

/// How a client shows at the token service who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// HTTP Basic (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// `client_id` and `client_secret` in the form (the same section).
    ClientSecretPost,
    /// `service_id` and `client_secret` in a JSON body: the source document's own.
    ClientSecretJson,
    /// A signed assertion (RFC 7523).
    PrivateKeyJwt,
    /// The client certificate (RFC 8705 section 2.1).
    TlsClientAuth,
}

impl AuthMethod {
    /// Its name in the file, and in RFC 8414 metadata where that knows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretJson => "client_secret_json",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
        }
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a client may exchange for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Grant {
    /// Its own credentials (RFC 6749 section 4.4).
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// A refresh token (RFC 6749 section 6).
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// Another token (RFC 8693).
    #[serde(rename = "token-exchange")]
    TokenExchange,
}

impl Grant {
    /// The value of `grant_type`.
    pub const fn grant_type(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.grant_type())
    }
}

/// A service, or an operator's tool, that has an identity of its own.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its `client_id`, and the `sub` of its tokens: `svc.actuator`.
    pub id: String,
    /// Its role.
    pub role: String,
    /// The role's scopes: the most that a token of it may carry.
    pub scopes: BTreeSet<Action>,
    /// Whom it may ask tokens for, besides the API itself.
    pub audiences: Vec<String>,
    /// How long its tokens live: 5 to 15 minutes.
    pub token_lifetime: Duration,
    /// How it may show who it is.
    pub auth_methods: BTreeSet<AuthMethod>,
    /// Its public keys, for [`AuthMethod::PrivateKeyJwt`].
    pub jwks: Option<Jwks>,
    /// The URI name in its certificate.
    pub spiffe_id: Option<String>,
    /// Its certificate's subject (RFC 4514), where there is no URI name.
    pub tls_subject_dn: Option<String>,
    /// Whether it is given refresh tokens.
    pub refresh: bool,
    /// What it may exchange for tokens.
    pub grants: BTreeSet<Grant>,
    /// Who may act for it by token exchange (RFC 8693 section 4.4): ids of identities.
    pub may_act: Vec<String>,
    /// Its limit at the gateway.
    pub rate: Quota,
    /// What its tokens are signed with; the token service's default where absent.
    pub signing_algorithm: Option<Algorithm>,
}

impl Identity {
    /// Its scopes as tokens carry them.
    pub fn scope(&self) -> Scope {
        let names: Vec<&str> = self.scopes.iter().map(Action::as_str).collect();
        Scope::parse(&names.join(" ")).unwrap_or_default()
    }
}

/// What is wrong with an identities file.
pub type IdentitiesError = FileError;

/// All identities.
#[derive(Debug, Clone)]
pub struct Identities(Vec<Identity>);

impl Identities {
    /// Reads a file of the form of `config/access/identities.yml`, with the shipped roles.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(yaml: &str) -> Result<Self, IdentitiesError> {
        Self::parse_with(yaml, &Roles::shipped()?)
    }

    /// The same with other roles.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse_with(yaml: &str, roles: &Roles) -> Result<Self, IdentitiesError> {
        let file: IdentitiesFile = file::read(yaml)?;
        file::check_version(file.version)?;
        let identities =
            file.identities.into_iter().map(|entry| identity(entry, roles)).collect::<Result<Vec<_>, _>>()?;
        file::unique(identities.iter().map(|i| i.id.clone()).collect())?;
        // One name in a certificate is one identity.
        file::unique(identities.iter().filter_map(|i| i.spiffe_id.clone()).collect())?;
        file::unique(identities.iter().filter_map(|i| i.tls_subject_dn.clone()).collect())?;
        let known = |id: &String| identities.iter().any(|i| i.id == *id);
        if let Some(stranger) = identities.iter().flat_map(|i| &i.may_act).find(|id| !known(id)) {
            return Err(FileError::entry(stranger, "may act for an identity, and is none"));
        }
        Ok(Self(identities))
    }

    /// The file that the stack ships.
    ///
    /// # Errors
    /// Never, as a test holds.
    pub fn shipped() -> Result<Self, IdentitiesError> {
        Self::parse(SHIPPED)
    }

    /// The identity of that id.
    pub fn find(&self, id: &str) -> Option<&Identity> {
        self.0.iter().find(|i| i.id == id)
    }

    /// The identity whose certificates bear that URI: equal, byte for byte.
    pub fn by_spiffe_id(&self, uri: &str) -> Option<&Identity> {
        self.0.iter().find(|i| i.spiffe_id.as_deref() == Some(uri))
    }

    /// The identity whose certificates bear that subject (RFC 4514): equal, byte for byte.
    pub fn by_subject_dn(&self, subject: &str) -> Option<&Identity> {
        self.0.iter().find(|i| i.tls_subject_dn.as_deref() == Some(subject))
    }

    /// All of them, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.0.iter()
    }
}

fn identity(entry: IdentityEntry, roles: &Roles) -> Result<Identity, FileError> {
    let wrong = |problem| Err(FileError::entry(&entry.id, problem));
    if !file::is_name(&entry.id) {
        return wrong("not an identity's name");
    }
    let Some(role) = roles.find(&entry.role) else { return wrong("its role is unknown") };
    if !LIFETIME_MINUTES.contains(&entry.token_lifetime_minutes) {
        return wrong("its tokens must live 5 to 15 minutes");
    }
    let auth_methods = file::unique(entry.auth_methods)?;
    let grants = file::unique(entry.grants)?;
    if auth_methods.is_empty() || grants.is_empty() {
        return wrong("needs a way to authenticate and a grant");
    }
    if entry.refresh != grants.contains(&Grant::RefreshToken) {
        return wrong("refresh and the grant refresh_token go together");
    }
    let audiences: Vec<String> = file::unique(entry.audiences)?.into_iter().collect();
    if audiences.iter().any(|a| a.is_empty() || a.len() > MAX_TEXT) {
        return wrong("an audience is empty or too long");
    }
    if entry.spiffe_id.as_deref().is_some_and(|id| !is_spiffe_id(id)) {
        return wrong("not a SPIFFE ID with a path");
    }
    if entry.tls_subject_dn.as_deref().is_some_and(|dn| dn.is_empty() || dn.len() > MAX_TEXT) {
        return wrong("its certificate's subject is empty or too long");
    }
    let Ok(jwks) = entry.jwks.as_ref().map(key_set).transpose() else {
        return wrong("jwks is not a set of sound public keys");
    };
    Ok(Identity {
        role: entry.role,
        scopes: role.scopes.clone(),
        audiences,
        token_lifetime: Duration::from_secs(u64::from(entry.token_lifetime_minutes) * 60),
        auth_methods,
        jwks,
        spiffe_id: entry.spiffe_id,
        tls_subject_dn: entry.tls_subject_dn,
        refresh: entry.refresh,
        grants,
        may_act: file::unique(entry.may_act)?.into_iter().collect(),
        rate: entry.rate,
        signing_algorithm: entry.signing_algorithm,
        id: entry.id,
    })
}

/// A key that cannot be used is a mistake here, where other sets may hold keys for others.
fn key_set(value: &serde_norway::Value) -> Result<Jwks, ()> {
    let json = serde_json::to_vec(value).map_err(drop)?;
    let set = Jwks::parse(&json).map_err(drop)?;
    if set.keys().is_empty() || !set.skipped().is_empty() { Err(()) } else { Ok(set) }
}

/// <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>, with a path that names a workload.
pub(crate) fn is_spiffe_id(text: &str) -> bool {
    let word = |w: &str, extra: &[u8]| {
        !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || extra.contains(&b))
    };
    let segment = |s: &str| {
        !s.is_empty()
            && s != "."
            && s != ".."
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    let Some((domain, path)) = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    text.len() <= MAX_SPIFFE && domain.len() <= 255 && word(domain, b"-._") && path.split('/').all(segment)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentitiesFile {
    version: u32,
    identities: Vec<IdentityEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityEntry {
    id: String,
    role: String,
    audiences: Vec<String>,
    token_lifetime_minutes: u8,
    auth_methods: Vec<AuthMethod>,
    jwks: Option<serde_norway::Value>,
    spiffe_id: Option<String>,
    tls_subject_dn: Option<String>,
    grants: Vec<Grant>,
    #[serde(default)]
    refresh: bool,
    #[serde(default)]
    may_act: Vec<String>,
    rate: Quota,
    signing_algorithm: Option<Algorithm>,
}

const SHIPPED: &str = include_str!("../../../config/access/identities.yml");
const LIFETIME_MINUTES: std::ops::RangeInclusive<u8> = 5..=15;
const MAX_TEXT: usize = 256;
// The standard's own bound.
const MAX_SPIFFE: usize = 2048;

#[cfg(test)]
mod tests;
