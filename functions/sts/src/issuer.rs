//! Who issues: this service, and those whose users' tokens it takes in.

use std::fmt;

use portcullis_base::Clock;
use portcullis_token::{
    Algorithm, Audience, CachePolicy, CachedVerifier, Claims, IssuerPolicy, JwksSource, PolicyError,
    Presentation, TokenError, TokenType, Verifier,
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
    /// What its tokens are.
    pub tokens: UserTokens,
}

/// What the tokens of an issuer are, as whoever exchanges one must call it (`subject_token_type`, RFC 8693 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserTokens {
    /// Access tokens.
    Access,
    /// ID tokens (OpenID Connect Core section 2), of these clients and of nobody besides.
    Id {
        /// Their ids.
        clients: Vec<String>,
    },
}

/// What a subject token is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubjectType {
    AccessToken,
    IdToken,
    /// A JWT of either kind.
    Jwt,
}

impl UserTokens {
    /// Whether a verified token is what it is said to be. Many issuers sign tokens of both kinds with one key and one `typ`,
    /// so what only tokens of the other kind bear is looked for as well.
    fn check(&self, said: SubjectType, claims: &Claims) -> Result<(), TokenError> {
        let says = |name: &str, value: &str| claims.other.get(name).is_some_and(|found| found == value);
        let good = match self {
            Self::Access => {
                let hashes = ["at_hash", "c_hash"].into_iter().any(|name| claims.other.contains_key(name));
                // Cognito's word for it, and Keycloak's.
                said != SubjectType::IdToken && !hashes && !says("token_use", "id") && !says("typ", "ID")
            }
            Self::Id { clients } => {
                // Section 3.1.3.7: no other audience, and issued to one of them.
                let ours = |client: &str| clients.iter().any(|known| known == client);
                let party = claims.other.get("azp").is_none_or(|azp| azp.as_str().is_some_and(ours));
                let only = claims.aud.iter().all(|audience| ours(audience)) && party;
                let access = says("token_use", "access") || says("typ", "Bearer");
                said != SubjectType::AccessToken && only && claims.iat.is_some() && !access
            }
        };
        if good { Ok(()) } else { Err(TokenError::TypeMismatch) }
    }
}

/// The issuers whose users' tokens are exchanged.
pub struct UserIssuers<S, C> {
    known: Vec<Known>,
    verifier: Option<CachedVerifier<S, C>>,
}

struct Known {
    issuer: String,
    name: String,
    tokens: UserTokens,
}

impl Known {
    /// What our tokens call a user of this issuer.
    fn internal_subject(&self, subject: &str) -> String {
        format!("{}:{subject}", self.name)
    }
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
        let known = |i: &UserIssuer| Known {
            issuer: i.policy.issuer().to_owned(),
            name: i.name.clone(),
            tokens: i.tokens.clone(),
        };
        let known = issuers.iter().map(known).collect();
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
        Ok(Self { known, verifier })
    }

    /// The other name of a subject: of a user of these issuers the one that our tokens give it, and of that one the user's
    /// own, with the issuer before it. None of anybody else.
    pub(crate) fn alias(&self, own: &str, issuer: &str, subject: &str) -> Option<(String, String)> {
        if let Some(known) = self.known.iter().find(|known| known.issuer == issuer) {
            return Some((own.to_owned(), known.internal_subject(subject)));
        }
        let (name, user) = subject.split_once(':').filter(|_| issuer == own)?;
        let known = self.known.iter().find(|known| known.name == name)?;
        Some((known.issuer.clone(), user.to_owned()))
    }

    /// Verifies a token of a user of that issuer: what ours call the user, and what the token says.
    ///
    /// # Errors
    /// [`TokenError::Issuer`] where the issuer is none of these, and as [`CachedVerifier::verify`].
    pub(crate) async fn verify(
        &self,
        issuer: &str,
        text: &str,
        presented: Presentation<'_>,
        said: SubjectType,
    ) -> Result<(String, Claims), TokenError> {
        let known = self.known.iter().find(|known| known.issuer == issuer).ok_or(TokenError::Issuer)?;
        let verifier = self.verifier.as_ref().ok_or(TokenError::Issuer)?;
        let claims = verifier.verify(text, presented).await?.into_claims();
        known.tokens.check(said, &claims)?;
        Ok((known.internal_subject(&claims.sub), claims))
    }
}

impl<S, C> fmt::Debug for UserIssuers<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.iter().map(|known| &known.issuer)).finish()
    }
}

/// Reads the setting `USER_ISSUERS`: a YAML or JSON list of
/// `{name, issuer, audiences: [...] | client_ids: [...], algorithms: [RS256], token_type: access_token | jwt | any | id_token,
/// jwks_uri}`. `token_type` is what its tokens are: access tokens whose `typ` is `at+jwt`, `JWT`, or `JWT` or none; or ID
/// tokens for these `audiences`. Without it it is `any`, without `jwks_uri` `<issuer>/.well-known/jwks.json`, as at Cognito.
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
    IdToken,
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
        let (audience, tokens) = match (self.audiences, self.client_ids, &self.token_type) {
            (Some(names), None, Typ::IdToken) => {
                (Audience::AnyOf(names.clone()), UserTokens::Id { clients: names })
            }
            (Some(names), None, _) => (Audience::AnyOf(names), UserTokens::Access),
            // An ID token has no `client_id`.
            (None, Some(names), Typ::AccessToken | Typ::Jwt | Typ::Any) => {
                (Audience::ClientIdAnyOf(names), UserTokens::Access)
            }
            _ => return Err(UserIssuersError::Audience),
        };
        let typ = match self.token_type {
            Typ::AccessToken => TokenType::AccessToken,
            Typ::Jwt => TokenType::Jwt,
            Typ::Any | Typ::IdToken => TokenType::JwtOrAbsent,
        };
        let policy = IssuerPolicy::new(self.issuer, audience, &self.algorithms)?
            .with_token_type(typ)
            .with_max_lifetime(MAX_USER_TOKEN_SECONDS);
        Ok(UserIssuer { name: self.name, policy, jwks_uri, tokens })
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
    /// Not exactly one of `audiences` and `client_ids`, or `client_ids` for ID tokens.
    #[error("an issuer needs either audiences or client_ids, for id tokens audiences")]
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
            ("id tokens by client_id", ONE.replace("name:", "token_type: id_token, name:")),
            ("no algorithm", ONE.replace("[RS256]", "[]")),
            ("a symmetric algorithm", ONE.replace("RS256", "HS256")),
            ("a name twice", format!("{ONE}\n{ONE}")),
        ] {
            assert!(parse_user_issuers(&yaml).is_err(), "{label}");
        }
    }

    #[test]
    fn a_token_is_what_it_is_said_to_be() {
        const ONE: &str =
            "- {name: kc, issuer: 'https://idp.example/realm', audiences: [app], algorithms: [RS256]}";
        let of = |typ: &str| parse_user_issuers(&ONE.replace("name:", typ)).unwrap().remove(0).tokens;
        let (access, id) = (of("name:"), of("token_type: id_token, name:"));
        assert_eq!(of("token_type: access_token, name:"), UserTokens::Access);
        let claims = |other: serde_json::Value| {
            let other = serde_json::from_value(other).unwrap();
            let at = |s| portcullis_token::NumericDate::from_seconds(s).unwrap();
            Claims { iat: Some(at(1)), other, ..Claims::new("https://idp.example/realm", "u", "app", at(2)) }
        };
        use SubjectType::{AccessToken, IdToken, Jwt};
        for (label, other, as_access, as_id) in [
            ("nothing of either kind", serde_json::json!({}), true, true),
            ("Cognito's id token", serde_json::json!({"token_use": "id"}), false, true),
            ("Cognito's access token", serde_json::json!({"token_use": "access"}), true, false),
            ("Keycloak's id token", serde_json::json!({"typ": "ID", "azp": "app"}), false, true),
            ("Keycloak's access token", serde_json::json!({"typ": "Bearer", "azp": "app"}), true, false),
            ("with the hash of an access token", serde_json::json!({"at_hash": "x"}), false, true),
            ("with the hash of a code", serde_json::json!({"c_hash": "x"}), false, true),
            ("issued to another client", serde_json::json!({"azp": "other"}), true, false),
            ("issued to what is no client", serde_json::json!({"azp": ["app"]}), true, false),
        ] {
            let claims = claims(other);
            for (tokens, said, good) in [
                (&access, AccessToken, as_access),
                (&access, Jwt, as_access),
                (&access, IdToken, false),
                (&id, IdToken, as_id),
                (&id, Jwt, as_id),
                (&id, AccessToken, false),
            ] {
                assert_eq!(tokens.check(said, &claims).is_ok(), good, "{label}: {tokens:?} as {said:?}");
            }
        }
        let mut besides = claims(serde_json::json!({}));
        besides.aud.push("other".to_owned());
        assert!(id.check(IdToken, &besides).is_err() && access.check(AccessToken, &besides).is_ok());
        let undated = Claims { iat: None, ..claims(serde_json::json!({})) };
        assert!(id.check(IdToken, &undated).is_err());
    }
}
