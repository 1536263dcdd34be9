//! Who issues: this service, and those whose users' tokens it takes in.

use std::fmt;

use portcullis_base::Clock;
use portcullis_token::{
    Algorithm, Audience, CachePolicy, CachedVerifier, IssuerPolicy, JwksSource, PolicyError, TokenType,
    Verifier,
};
use serde::Deserialize;
use url::{Host, Url};

/// The issuer identifier (RFC 8414 section 2): an `https` URL without query and fragment, and here without a slash at its
/// end. `http` is taken for this machine alone, for the local stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// Reads an issuer.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn parse(text: &str) -> Result<Self, IssuerError> {
        let url = Url::parse(text).map_err(|_| IssuerError)?;
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && here);
        let plain = !text.contains(['?', '#', '@', '\\']) && !text.ends_with('/') && text.len() <= MAX_ISSUER;
        if scheme && plain && url.host().is_some() { Ok(Self(text.to_owned())) } else { Err(IssuerError) }
    }

    /// Its text: compared byte for byte.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of an endpoint.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not an issuer identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an https url without query, fragment and slash at its end")]
pub struct IssuerError;

/// An issuer whose users' tokens are exchanged: Cognito, Keycloak.
#[derive(Debug, Clone)]
pub struct UserIssuer {
    /// What the subjects of internal tokens begin with: `cognito:2f1c…`. No identity is called so, for none has a colon.
    pub name: String,
    /// What is demanded of its tokens.
    pub policy: IssuerPolicy,
    /// Where its keys are.
    pub jwks_uri: String,
}

/// The issuers whose users' tokens are exchanged.
pub struct UserIssuers<S, C> {
    names: Vec<(String, String)>,
    verifier: Option<CachedVerifier<S, C>>,
}

impl<S: JwksSource, C: Clock> UserIssuers<S, C> {
    /// These issuers, their key sets from there. There may be none.
    ///
    /// # Errors
    /// When two are of one issuer, or the leeway is over a minute.
    pub fn new(
        issuers: Vec<UserIssuer>,
        source: S,
        clock: C,
        leeway_seconds: u8,
    ) -> Result<Self, PolicyError> {
        let names = issuers.iter().map(|i| (i.policy.issuer().to_owned(), i.name.clone())).collect();
        let policies: Vec<_> = issuers.into_iter().map(|issuer| issuer.policy).collect();
        let verifier = match &*policies {
            [] => None,
            _ => Some(CachedVerifier::new(
                Verifier::new(policies, leeway_seconds)?,
                source,
                clock,
                CachePolicy::default(),
            )),
        };
        Ok(Self { names, verifier })
    }

    /// The name of an issuer, if it is one of these.
    pub(crate) fn name_of(&self, issuer: &str) -> Option<&str> {
        self.names.iter().find(|(known, _)| known == issuer).map(|(_, name)| name.as_str())
    }

    pub(crate) const fn verifier(&self) -> Option<&CachedVerifier<S, C>> {
        self.verifier.as_ref()
    }
}

impl<S, C> fmt::Debug for UserIssuers<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names.iter().map(|(issuer, _)| issuer)).finish()
    }
}

/// Reads the setting `USER_ISSUERS`: a YAML or JSON list of
/// `{name, issuer, audiences: [...] | client_ids: [...], algorithms: [RS256], token_type: access_token | jwt | any, jwks_uri}`.
/// Without `token_type` it is `any`, without `jwks_uri` `<issuer>/.well-known/jwks.json`, as at Cognito.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse_user_issuers(yaml: &str) -> Result<Vec<UserIssuer>, UserIssuersError> {
    let entries: Vec<Entry> = serde_norway::from_str(yaml).map_err(|_| UserIssuersError::Form)?;
    let issuers = entries.into_iter().map(Entry::read).collect::<Result<Vec<_>, _>>()?;
    let twice = |i: &UserIssuer| issuers.iter().filter(|j| j.name == i.name).count() > 1;
    if issuers.iter().any(twice) { Err(UserIssuersError::Name) } else { Ok(issuers) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    issuer: String,
    audiences: Option<Vec<String>>,
    client_ids: Option<Vec<String>>,
    algorithms: Vec<Algorithm>,
    #[serde(default)]
    token_type: Typ,
    jwks_uri: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Typ {
    AccessToken,
    Jwt,
    #[default]
    Any,
}

impl Entry {
    fn read(self) -> Result<UserIssuer, UserIssuersError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.bytes().all(word) {
            return Err(UserIssuersError::Name);
        }
        // Its keys come from there: over anything but TLS they would be anybody's.
        Issuer::parse(self.issuer.trim_end_matches('/')).map_err(|_| UserIssuersError::Issuer)?;
        let default = || format!("{}/.well-known/jwks.json", self.issuer.trim_end_matches('/'));
        let jwks_uri = self.jwks_uri.unwrap_or_else(default);
        Issuer::parse(jwks_uri.trim_end_matches('/')).map_err(|_| UserIssuersError::Issuer)?;
        let audience = match (self.audiences, self.client_ids) {
            (Some(names), None) => Audience::AnyOf(names),
            (None, Some(names)) => Audience::ClientIdAnyOf(names),
            _ => return Err(UserIssuersError::Audience),
        };
        let typ = match self.token_type {
            Typ::AccessToken => TokenType::AccessToken,
            Typ::Jwt => TokenType::Jwt,
            Typ::Any => TokenType::JwtOrAbsent,
        };
        let policy = IssuerPolicy::new(self.issuer, audience, &self.algorithms)?
            .with_token_type(typ)
            .with_max_lifetime(MAX_USER_TOKEN_SECONDS);
        Ok(UserIssuer { name: self.name, policy, jwks_uri })
    }
}

/// What is wrong with the user issuers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserIssuersError {
    /// It is no list of issuers.
    #[error("not a list of issuers")]
    Form,
    /// A name is malformed, or there twice.
    #[error("an issuer's name is not 1 to 32 lower-case letters, digits and hyphens, or is there twice")]
    Name,
    /// An issuer is not an `https` URL.
    #[error("an issuer is not an https url")]
    Issuer,
    /// Not exactly one of `audiences` and `client_ids`.
    #[error("an issuer needs either audiences or client_ids")]
    Audience,
    /// The policy makes no sense.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

const MAX_ISSUER: usize = 256;
const MAX_USER_TOKEN_SECONDS: u32 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_https_urls_without_extras() {
        for (text, good) in [
            ("https://id.example", true),
            ("https://id.example:8443", true),
            ("https://abc.execute-api.eu-west-1.amazonaws.com/prod", true),
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("http://id.example", false),
            ("http://localhost.example", false),
            ("https://id.example/", false),
            ("https://id.example?x", false),
            ("https://id.example#x", false),
            ("https://user@id.example", false),
            ("https:id.example\\x", false),
            ("ftp://id.example", false),
            ("id.example", false),
            ("", false),
        ] {
            assert_eq!(Issuer::parse(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn user_issuers_are_read_strictly() {
        const ONE: &str =
            "- {name: cognito, issuer: 'https://idp.example/pool', client_ids: [app], algorithms: [RS256]}";
        let one = parse_user_issuers(ONE).unwrap().remove(0);
        assert_eq!(
            (one.name.as_str(), one.jwks_uri.as_str()),
            ("cognito", "https://idp.example/pool/.well-known/jwks.json")
        );
        for (label, yaml) in [
            ("not a list", "name: x".to_owned()),
            ("unknown member", ONE.replace("name:", "admin: true, name:")),
            ("a name with a colon", ONE.replace("cognito", "'a:b'")),
            ("no name", ONE.replace("cognito", "''")),
            ("plain http", ONE.replace("https", "http")),
            ("no audience", ONE.replace("client_ids: [app], ", "")),
            ("an empty audience", ONE.replace("[app]", "[]")),
            ("both", ONE.replace("client_ids:", "audiences: [a], client_ids:")),
            ("no algorithm", ONE.replace("[RS256]", "[]")),
            ("a symmetric algorithm", ONE.replace("RS256", "HS256")),
            ("a name twice", format!("{ONE}\n{ONE}")),
        ] {
            assert!(parse_user_issuers(&yaml).is_err(), "{label}");
        }
    }
}
