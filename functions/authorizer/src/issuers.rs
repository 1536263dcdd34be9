//! Whose tokens are taken, and how far each issuer is believed.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use portcullis_token::{
    Algorithm, Audience, Claims, IssuerPolicy, Jwks, JwksSource, JwksSourceError, PolicyError, TokenType,
    Verifier,
};
use serde::Deserialize;

/// An issuer of tokens, as `ISSUERS` names them: a JSON array of objects with these members.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// Its `iss`.
    pub issuer: String,
    /// Where its key set is; or (for the stack's own token service also neither: its ring is in the tokens table)
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// its key set itself.
    #[serde(default)]
    pub jwks: Option<serde_json::Value>,
    /// The audiences of which a token must name one; or, where its tokens have none,
    #[serde(default)]
    pub audiences: Vec<String>,
    /// the clients, of which it must name one (Cognito).
    #[serde(default)]
    pub client_ids: Vec<String>,
    /// The algorithms that it signs with.
    pub algorithms: Vec<Algorithm>,
    /// The `typ` of its tokens: `at+jwt`, `jwt`, or `any` for `jwt` or none.
    #[serde(default)]
    pub typ: Option<String>,
    /// The longest life that is taken, in seconds; 3600 where absent.
    #[serde(default)]
    pub max_lifetime_seconds: Option<u32>,
    /// The roles that its tokens may give. What they name besides is not heard.
    #[serde(default)]
    pub roles: BTreeSet<String>,
}

/// The issuers whose tokens are taken.
pub struct Issuers {
    verifier: Verifier,
    uris: Vec<(String, String)>,
    inline: HashMap<String, Jwks>,
    roles: HashMap<String, BTreeSet<String>>,
    own: String,
}

/// What is wrong with the issuers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuersError {
    /// Not a JSON array of issuers.
    #[error("issuers are not a JSON array of issuers")]
    Malformed,
    /// It has neither a key set nor the address of one, or has both.
    #[error("issuer {0} needs jwks_uri or jwks, and not both")]
    Keys(String),
    /// Its key set cannot be read.
    #[error("issuer {0} has a malformed key set")]
    Jwks(String),
    /// It has neither audiences nor clients, or has both.
    #[error("issuer {0} needs audiences or client_ids, and not both")]
    Audience(String),
    /// Its `typ` is none that is known.
    #[error("issuer {0} has an unknown typ")]
    Type(String),
    /// As [`PolicyError`].
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl IssuerSettings {
    /// Reads the setting `ISSUERS`.
    ///
    /// # Errors
    /// [`IssuersError::Malformed`].
    pub fn parse_list(json: &str) -> Result<Vec<Self>, IssuersError> {
        // Objects only: serde would also take an issuer for an array of its members.
        let list: Vec<serde_json::Value> = serde_json::from_str(json).map_err(|_| IssuersError::Malformed)?;
        let one = |value: serde_json::Value| {
            if !value.is_object() {
                return Err(IssuersError::Malformed);
            }
            serde_json::from_value(value).map_err(|_| IssuersError::Malformed)
        };
        list.into_iter().map(one).collect()
    }

    fn policy(&self) -> Result<IssuerPolicy, IssuersError> {
        let named = || self.issuer.clone();
        let audience = match (self.audiences.is_empty(), self.client_ids.is_empty()) {
            (false, true) => Audience::AnyOf(self.audiences.clone()),
            (true, false) => Audience::ClientIdAnyOf(self.client_ids.clone()),
            _ => return Err(IssuersError::Audience(named())),
        };
        let typ = match self.typ.as_deref() {
            None | Some("at+jwt") => TokenType::AccessToken,
            Some("jwt") => TokenType::Jwt,
            Some("any") => TokenType::JwtOrAbsent,
            Some(_) => return Err(IssuersError::Type(named())),
        };
        let policy = IssuerPolicy::new(named(), audience, &self.algorithms)?.with_token_type(typ);
        Ok(match self.max_lifetime_seconds {
            Some(seconds) => policy.with_max_lifetime(seconds),
            None => policy,
        })
    }
}

impl Issuers {
    /// The stack's own token service and the others.
    ///
    /// # Errors
    /// See [`IssuersError`].
    pub fn new(
        own: &IssuerSettings,
        others: &[IssuerSettings],
        leeway_seconds: u8,
    ) -> Result<Self, IssuersError> {
        let (mut policies, mut uris) = (Vec::new(), Vec::new());
        let (mut inline, mut roles) = (HashMap::new(), HashMap::new());
        for issuer in std::iter::once(own).chain(others) {
            policies.push(issuer.policy()?);
            match (&issuer.jwks_uri, &issuer.jwks) {
                (None, None) if issuer.issuer == own.issuer => {}
                (Some(uri), None) => uris.push((issuer.issuer.clone(), uri.clone())),
                (None, Some(set)) => {
                    let set = Jwks::parse(set.to_string().as_bytes())
                        .map_err(|_| IssuersError::Jwks(issuer.issuer.clone()))?;
                    inline.insert(issuer.issuer.clone(), set);
                }
                _ => return Err(IssuersError::Keys(issuer.issuer.clone())),
            }
            roles.insert(issuer.issuer.clone(), issuer.roles.clone());
        }
        let verifier = Verifier::new(policies, leeway_seconds)?;
        Ok(Self { verifier, uris, inline, roles, own: own.issuer.clone() })
    }

    /// The verifier of their tokens.
    pub fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    /// The issuers whose key sets are fetched, with their addresses.
    pub fn uris(&self) -> &[(String, String)] {
        &self.uris
    }

    /// A source of all their key sets, of which `fetched` has those that are fetched.
    pub fn key_source<S>(&self, fetched: S) -> KeySource<S> {
        KeySource { inline: self.inline.clone(), fetched }
    }

    /// Whether the own issuer's keys are those of the ring, since the settings name no others.
    pub fn own_keys_are_of_the_ring(&self) -> bool {
        !self.inline.contains_key(&self.own) && self.uris.iter().all(|(issuer, _)| *issuer != self.own)
    }

    /// Whether a token is of the stack's own token service: only that one names our identities.
    pub(crate) fn is_own(&self, claims: &Claims) -> bool {
        claims.iss == self.own
    }

    /// The own issuer's name.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The roles of a token that its issuer may give.
    pub(crate) fn roles(&self, claims: &Claims) -> Vec<String> {
        let Some(trusted) = self.roles.get(&claims.iss) else { return Vec::new() };
        claims.roles.iter().filter(|role| trusted.contains(*role)).cloned().collect()
    }

    /// The principal that a token is about. Subjects of other issuers are told from our identities by the issuer's name.
    pub(crate) fn principal(&self, claims: &Claims) -> String {
        if self.is_own(claims) { claims.sub.clone() } else { format!("{}|{}", claims.iss, claims.sub) }
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuers").field("issuers", &self.verifier.issuers().collect::<Vec<_>>()).finish()
    }
}

/// Key sets from the settings, and from another source for all other issuers.
#[derive(Debug)]
pub struct KeySource<S> {
    inline: HashMap<String, Jwks>,
    fetched: S,
}

impl<S: JwksSource> JwksSource for KeySource<S> {
    async fn fetch(&self, issuer: &str) -> Result<Jwks, JwksSourceError> {
        match self.inline.get(issuer) {
            Some(set) => Ok(set.clone()),
            None => self.fetched.fetch(issuer).await,
        }
    }
}

/// The own issuer's key set from its ring, and those of all other issuers from elsewhere.
#[derive(Debug)]
pub struct OwnKeys<O, S> {
    issuer: String,
    own: O,
    fetched: S,
}

impl<O, S> OwnKeys<O, S> {
    /// `own` has the keys of `issuer`, where there is such a source; `fetched` all others.
    pub fn new(issuer: &str, own: O, fetched: S) -> Self {
        Self { issuer: issuer.to_owned(), own, fetched }
    }
}

impl<O: JwksSource, S: JwksSource> JwksSource for OwnKeys<Option<O>, S> {
    async fn fetch(&self, issuer: &str) -> Result<Jwks, JwksSourceError> {
        match &self.own {
            Some(own) if issuer == self.issuer => own.fetch(issuer).await,
            _ => self.fetched.fetch(issuer).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_token::NumericDate;

    use super::*;

    const USERS: &str = r#"[{"issuer":"https://users.example","jwks_uri":"https://users.example/keys",
        "client_ids":["web"],"algorithms":["RS256"],"typ":"jwt","roles":["svc.bff"]}]"#;

    fn own() -> IssuerSettings {
        let own = r#"[{"issuer":"https://sts.example","jwks":{"keys":[]},"audiences":["api"],
            "algorithms":["ES256"],"roles":["svc.bff","security-admin"]}]"#;
        IssuerSettings::parse_list(own).unwrap().remove(0)
    }

    fn claims(issuer: &str) -> Claims {
        let mut claims = Claims::new(issuer, "svc.bff", "api", NumericDate::from_seconds(1).unwrap());
        claims.roles = vec!["security-admin".to_owned(), "svc.bff".to_owned(), "root".to_owned()];
        claims
    }

    #[test]
    fn an_issuer_gives_only_the_roles_that_it_may() {
        let issuers = Issuers::new(&own(), &IssuerSettings::parse_list(USERS).unwrap(), 5).unwrap();
        assert_eq!(issuers.roles(&claims("https://sts.example")), ["security-admin", "svc.bff"]);
        assert_eq!(issuers.roles(&claims("https://users.example")), ["svc.bff"]);
        assert!(issuers.roles(&claims("https://other.example")).is_empty());
    }

    #[test]
    fn a_user_named_like_a_service_is_not_that_service() {
        let issuers = Issuers::new(&own(), &IssuerSettings::parse_list(USERS).unwrap(), 5).unwrap();
        assert_eq!(issuers.principal(&claims("https://sts.example")), "svc.bff");
        assert_eq!(issuers.principal(&claims("https://users.example")), "https://users.example|svc.bff");
        assert_eq!(
            issuers.uris(),
            [("https://users.example".to_owned(), "https://users.example/keys".to_owned())]
        );
    }

    /// Names the issuers that it was asked for.
    struct Asked(&'static str);

    impl JwksSource for Asked {
        async fn fetch(&self, issuer: &str) -> Result<Jwks, JwksSourceError> {
            assert!(issuer.contains(self.0), "{issuer}");
            Ok(Jwks::default())
        }
    }

    #[tokio::test]
    async fn own_keys_come_from_the_ring_unless_the_settings_name_others() {
        let others = IssuerSettings::parse_list(USERS).unwrap();
        for (label, jwks, uri, ring) in [
            ("neither", None, None, true),
            ("a set", Some(serde_json::json!({"keys": []})), None, false),
            ("an address", None, Some("https://sts.example/keys".to_owned()), false),
        ] {
            let own = IssuerSettings { jwks, jwks_uri: uri, ..own() };
            let issuers = Issuers::new(&own, &others, 5).unwrap();
            assert_eq!(issuers.own_keys_are_of_the_ring(), ring, "{label}");
        }
        let ring = OwnKeys::new("https://sts.example", Some(Asked("sts.example")), Asked("users.example"));
        ring.fetch("https://sts.example").await.unwrap();
        ring.fetch("https://users.example").await.unwrap();
        let fetched = OwnKeys::new("https://sts.example", None::<Asked>, Asked("sts.example"));
        fetched.fetch("https://sts.example").await.unwrap();
    }

    #[test]
    fn issuers_that_cannot_be_meant_are_refused() {
        for (label, json) in [
            ("not JSON", "x".to_owned()),
            ("not an array", "{}".to_owned()),
            ("an array for an issuer", r#"[["https://a","https://a/k"]]"#.to_owned()),
            ("an unknown member", USERS.replace("\"typ\"", "\"trust\"")),
            ("an unknown algorithm", USERS.replace("RS256", "HS256")),
        ] {
            assert!(IssuerSettings::parse_list(&json).is_err(), "{label}");
        }
        for (label, json) in [
            ("no keys", USERS.replace("\"jwks_uri\":\"https://users.example/keys\",", "")),
            ("keys twice", USERS.replace("\"jwks_uri\"", "\"jwks\":{\"keys\":[]},\"jwks_uri\"")),
            ("no audience", USERS.replace("\"client_ids\":[\"web\"],", "")),
            ("both", USERS.replace("\"client_ids\"", "\"audiences\":[\"api\"],\"client_ids\"")),
            ("an unknown typ", USERS.replace("\"jwt\"", "\"id\"")),
            ("no algorithm", USERS.replace("\"RS256\"", "")),
            ("an issuer twice", USERS.replace("https://users.example\"", "https://sts.example\"")),
            (
                "a broken key set",
                USERS.replace("\"jwks_uri\":\"https://users.example/keys\"", "\"jwks\":{\"keys\":1}"),
            ),
        ] {
            let others = IssuerSettings::parse_list(&json).unwrap();
            assert!(Issuers::new(&own(), &others, 5).is_err(), "{label}");
        }
    }
}
