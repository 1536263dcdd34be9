//! The function's settings, from its environment.

use std::collections::BTreeSet;

use portcullis_access::{Identities, Rates, Roles};
use portcullis_lambda::{AuditConfig, LimitsConfig, Settings, SettingsError};
use portcullis_token::Algorithm;

use crate::{
    ApiKeyMode, AuthorizerSettings, GrantRecords, IssuerSettings, Issuers, MtlsMode, RateAnswer, UsageKey,
};

/// The settings of the authorizer.
#[derive(Debug)]
pub struct Config {
    /// `ISSUER` and `AUDIENCE` of the stack's own tokens, signed with one of `ISSUER_ALGORITHMS` (default
    /// `RS256 ES256 EdDSA`), their keys those of the ring in `TOKENS_TABLE` (or, where the token service is elsewhere, at
    /// `JWKS_URI` or in `JWKS` itself); no token of theirs lives longer than 15 minutes; and
    /// `ISSUERS`, a JSON array of others ([`IssuerSettings`]). `LEEWAY_SECONDS` (default 5) for clocks that disagree.
    pub issuers: Issuers,
    /// `TOKENS_TABLE`: the ring of signing keys, revocations and the replay window.
    pub tokens_table: String,
    /// `CREDENTIALS_TABLE`: API keys.
    pub credentials_table: String,
    /// `CREDENTIALS_KEY_SECRET`: the secret that API keys are hashed with. Both are needed unless `API_KEYS` is `off`.
    pub credentials_key_secret: String,
    /// Where rate limits are, and what happens while they fail.
    pub limits: LimitsConfig,
    /// Where security events go.
    pub audit: AuditConfig,
    /// `IDENTITIES`: an identities file as YAML; the shipped one where absent.
    pub identities: Identities,
    /// `RATES`: a file of rates as YAML; the shipped one where absent.
    pub rates: Rates,
    /// `API_KEYS`, `API_KEY_HEADER`, `MTLS_MODE`, `VIEWER_ADDRESS_HEADER`, `PUBLIC_URL`, `DPOP_MAX_AGE_SECONDS`,
    /// `AUDIT_GRANTS`, `RATE_ANSWER`, `ANSWERS_ARE_KEPT` (`true` where the gateway's time to live is not 0; `false` where
    /// absent; not with `API_KEYS` or `MTLS_MODE`), `USAGE_KEY` ([`UsageKey`]; only where the gateway has a usage plan).
    pub authorizer: AuthorizerSettings,
    /// `LOG_LEVEL`: a `tracing` filter; `info` where absent.
    pub log_level: String,
}

impl Config {
    /// Reads the process environment.
    ///
    /// # Errors
    /// Everything that is missing or not valid, at once.
    #[expect(clippy::disallowed_methods, reason = "the one place where this function reads its environment")]
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads settings from `lookup`.
    ///
    /// # Errors
    /// Everything that is missing or not valid, at once.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut s = Settings::new(lookup);
        let authorizer = authorizer(&mut s);
        let keys = authorizer.api_keys != ApiKeyMode::Off;
        let for_keys = |s: &mut Settings<_>, name| {
            if keys { s.required(name) } else { s.optional(name).unwrap_or_default() }
        };
        let issuers = issuers(&mut s);
        let identities = file(&mut s, "IDENTITIES", Identities::parse, Identities::shipped);
        let rates = file(&mut s, "RATES", Rates::parse, Rates::shipped);
        let credentials_table = for_keys(&mut s, "CREDENTIALS_TABLE");
        let credentials_key_secret = for_keys(&mut s, "CREDENTIALS_KEY_SECRET");
        let tokens_table = s.required("TOKENS_TABLE");
        let limits = LimitsConfig::read(&mut s);
        let audit = AuditConfig::read(&mut s);
        let log_level = s.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
        // What is not there was told to be wrong.
        let (Some(issuers), Some(identities), Some(rates)) = (issuers, identities, rates) else {
            return Err(s.into_error());
        };
        s.finish()?;
        Ok(Self {
            issuers,
            tokens_table,
            credentials_table,
            credentials_key_secret,
            limits,
            audit,
            identities,
            rates,
            authorizer,
            log_level,
        })
    }
}

fn authorizer<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> AuthorizerSettings {
    let defaults = AuthorizerSettings::default();
    let settings = AuthorizerSettings {
        api_keys: word(s, "API_KEYS", ApiKeyMode::parse),
        api_key_header: s.parsed("API_KEY_HEADER", defaults.api_key_header, |name: &String| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !name.eq_ignore_ascii_case("authorization")
        }),
        mtls: word(s, "MTLS_MODE", MtlsMode::parse),
        viewer_address_header: s.optional("VIEWER_ADDRESS_HEADER"),
        public_url: public_url(s),
        dpop_max_age_seconds: s
            .parsed("DPOP_MAX_AGE_SECONDS", defaults.dpop_max_age_seconds, |n| (5..=300).contains(n)),
        grants: word(s, "AUDIT_GRANTS", GrantRecords::parse),
        rate_answer: word(s, "RATE_ANSWER", RateAnswer::parse),
        answers_are_kept: s.parsed("ANSWERS_ARE_KEPT", defaults.answers_are_kept, |_| true),
        usage_key: word(s, "USAGE_KEY", |text| UsageKey::parse(text).map(Some)),
    };
    let token_alone = settings.api_keys == ApiKeyMode::Off && settings.mtls == MtlsMode::Off;
    if settings.answers_are_kept && !token_alone {
        s.problem(
            "ANSWERS_ARE_KEPT needs API_KEYS and MTLS_MODE to be off: answers are kept by the token alone",
        );
    }
    settings
}

fn public_url<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Option<String> {
    let url = s.optional("PUBLIC_URL")?;
    if !is_https(&url) {
        s.problem("PUBLIC_URL is not an https URL");
    }
    Some(url)
}

fn issuers<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Option<Issuers> {
    let (issuer, audience) = (s.required("ISSUER"), s.required("AUDIENCE"));
    let algorithms = algorithms(s);
    let leeway = s.parsed("LEEWAY_SECONDS", 5_u8, |seconds| *seconds <= 60);
    let jwks = s.optional("JWKS").and_then(|json| {
        let set = serde_json::from_str(&json);
        if set.is_err() {
            s.problem("JWKS is not JSON");
        }
        set.ok()
    });
    let uri = s.optional("JWKS_URI");
    let others = IssuerSettings::parse_list(&s.optional("ISSUERS").unwrap_or_else(|| "[]".to_owned()));
    let others = others.map_err(|error| s.problem(format!("ISSUERS: {error}"))).ok()?;
    if issuer.is_empty() || audience.is_empty() {
        return None;
    }
    // Where keys come from over the network decides who is believed.
    let fetched = others.iter().filter_map(|o| o.jwks_uri.as_ref()).chain(&uri);
    if !is_https(&issuer) || !fetched.clone().all(|uri| is_https(uri) || is_loopback(uri)) {
        s.problem("issuers and their key sets must be https URLs");
        return None;
    }
    let own = IssuerSettings {
        jwks_uri: uri,
        issuer,
        jwks,
        audiences: vec![audience],
        client_ids: Vec::new(),
        algorithms,
        typ: None,
        max_lifetime_seconds: Some(OWN_LIFETIME_SECONDS),
        roles: own_roles(),
    };
    Issuers::new(&own, &others, leeway).map_err(|error| s.problem(error.to_string())).ok()
}

/// The stack's own token service gives the roles that there are.
fn own_roles() -> BTreeSet<String> {
    Roles::shipped().map(|roles| roles.iter().map(|role| role.name.clone()).collect()).unwrap_or_default()
}

fn algorithms<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Vec<Algorithm> {
    let text = s.optional("ISSUER_ALGORITHMS").unwrap_or_else(|| "RS256 ES256 EdDSA".to_owned());
    let read: Option<Vec<Algorithm>> = text.split_ascii_whitespace().map(Algorithm::parse).collect();
    read.unwrap_or_else(|| {
        s.problem("ISSUER_ALGORITHMS is not a list of RS256, PS256, ES256, EdDSA");
        Vec::new()
    })
}

/// One of a few words; the default where absent.
fn word<L: Fn(&str) -> Option<String>, T: Default>(
    s: &mut Settings<L>,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> T {
    let Some(text) = s.optional(name) else { return T::default() };
    parse(&text).unwrap_or_else(|| {
        s.problem(format!("{name} is not valid"));
        T::default()
    })
}

/// A file in a setting, or the shipped one.
fn file<L: Fn(&str) -> Option<String>, T, E: std::fmt::Display>(
    s: &mut Settings<L>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, E>,
    shipped: impl Fn() -> Result<T, E>,
) -> Option<T> {
    let read = s.optional(name).map_or_else(shipped, |yaml| parse(&yaml));
    read.map_err(|error| s.problem(format!("{name}: {error}"))).ok()
}

fn is_https(url: &str) -> bool {
    url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// For the local stack and tests: nobody stands between.
fn is_loopback(url: &str) -> bool {
    ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|start| url.starts_with(start))
}

// What the token service issues for the most, and what revocations and recorded grants are kept for.
const OWN_LIFETIME_SECONDS: u32 = 900;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use portcullis_audit::OnAuditFailure;
    use portcullis_base::Timestamp;
    use portcullis_limit::OnStoreFailure;
    use portcullis_token::{
        Claims, IssuedType, Jwks, LocalSigner, NumericDate, Presentation, TokenError, issue,
    };

    use super::*;

    fn complete(name: &str) -> Option<String> {
        let value = match name {
            "ISSUER" => "https://id.example",
            "AUDIENCE" => "https://api.example",
            "TOKENS_TABLE" => "tokens",
            "LIMITS_TABLE" => "limits",
            "AUDIT_TABLE" => "audit",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn with(name: &'static str, value: &'static str) -> Result<Config, SettingsError> {
        Config::from_lookup(|n| if n == name { Some(value.to_owned()) } else { complete(n) })
    }

    #[test]
    fn defaults_refuse_what_cannot_be_checked() {
        let config = Config::from_lookup(complete).unwrap();
        assert_eq!(config.limits.on_failure, OnStoreFailure::Refuse);
        assert_eq!(config.audit.on_failure, OnAuditFailure::Refuse);
        assert_eq!(config.authorizer, AuthorizerSettings::default());
        assert!(config.issuers.uris().is_empty(), "the own issuer's keys are not fetched");
        assert!(config.issuers.own_keys_are_of_the_ring());
    }

    #[test]
    fn every_missing_setting_is_named_at_once() {
        let error =
            Config::from_lookup(|name| (name == "API_KEYS").then(|| "required".to_owned())).unwrap_err();
        for name in [
            "ISSUER",
            "AUDIENCE",
            "TOKENS_TABLE",
            "LIMITS_TABLE",
            "AUDIT_TABLE",
            "CREDENTIALS_TABLE",
            "CREDENTIALS_KEY_SECRET",
        ] {
            assert!(error.to_string().contains(&format!("{name} is not set")), "{name}: {error}");
        }
    }

    #[test]
    fn values_that_cannot_be_meant_are_refused() {
        for (name, value) in [
            ("API_KEYS", "on"),
            ("API_KEY_HEADER", "Authorization"),
            ("API_KEY_HEADER", "a b"),
            ("MTLS_MODE", "Strict"),
            ("AUDIT_GRANTS", "never"),
            ("RATE_ANSWER", "allow"),
            ("LIMITS_ON_FAILURE", "ignore"),
            ("LIMITS_ON_FAILURE", "0"),
            ("AUDIT_ON_FAILURE", "ignore"),
            ("DPOP_MAX_AGE_SECONDS", "86400"),
            ("LEEWAY_SECONDS", "61"),
            ("ISSUER_ALGORITHMS", "none"),
            ("ISSUER_ALGORITHMS", "HS256"),
            ("ISSUERS", "{}"),
            ("IDENTITIES", "version: 2"),
            ("RATES", "version: 1"),
            ("JWKS", "{"),
            ("PUBLIC_URL", "http://api.example"),
            ("ANSWERS_ARE_KEPT", "300"),
            ("USAGE_KEY", "nineteen-characters"),
            ("USAGE_KEY", "quota of all the callers"),
            ("USAGE_KEY", "quota-of-all-the-callers!"),
            ("USAGE_KEY", "quota-of-all-the-cällers"),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(error.to_string().contains(name), "{name}={value}: {error}");
        }
        for (name, value) in [("ISSUER", "http://id.example"), ("JWKS_URI", "http://id.example/keys")] {
            assert!(with(name, value).unwrap_err().to_string().contains("https"), "{name}={value}");
        }
    }

    #[test]
    fn answers_are_kept_only_where_the_token_says_all() {
        assert!(!Config::from_lookup(complete).unwrap().authorizer.answers_are_kept);
        assert!(with("ANSWERS_ARE_KEPT", "true").unwrap().authorizer.answers_are_kept);
        for (name, value) in [("API_KEYS", "alternative"), ("MTLS_MODE", "permissive")] {
            let lookup = |asked: &str| match asked {
                "ANSWERS_ARE_KEPT" => Some("true".to_owned()),
                "CREDENTIALS_TABLE" | "CREDENTIALS_KEY_SECRET" => Some("credentials".to_owned()),
                _ if asked == name => Some(value.to_owned()),
                _ => complete(asked),
            };
            let error = Config::from_lookup(lookup).unwrap_err().to_string();
            assert!(error.contains("ANSWERS_ARE_KEPT needs"), "{name}: {error}");
        }
    }

    #[tokio::test]
    async fn own_tokens_live_fifteen_minutes_at_most() {
        let signer = LocalSigner::generate(Algorithm::Es256).unwrap();
        let keys = Arc::new(Jwks::new([signer.public().clone()]).unwrap());
        let keys = HashMap::from([("https://id.example".to_owned(), keys)]);
        let verifier = Config::from_lookup(complete).unwrap().issuers.verifier();
        let second = |s| NumericDate::from_seconds(s).unwrap();
        for (life, expected) in [(900, Ok(())), (901, Err(TokenError::LifetimeTooLong))] {
            let claims = Claims {
                iat: Some(second(1_000)),
                jti: Some("t-1".to_owned()),
                client_id: Some("svc.bff".to_owned()),
                ..Claims::new("https://id.example", "svc.bff", "https://api.example", second(1_000 + life))
            };
            let token = issue(&claims, IssuedType::AccessToken, &signer).await.unwrap();
            let now = Timestamp::from_second(1_001).unwrap();
            let verdict = verifier.verify(&token, &keys, Presentation::default(), now);
            assert_eq!(verdict.map(|_| ()), expected, "{life} s");
        }
    }

    #[test]
    fn settings_are_taken_over() {
        assert_eq!(with("MTLS_MODE", "strict").unwrap().authorizer.mtls, MtlsMode::Strict);
        for key in ["twenty-characters-20", "a.B_c-0123456789abcdefghi"] {
            assert_eq!(with("USAGE_KEY", key).unwrap().authorizer.usage_key.unwrap().as_str(), key);
        }
        let longest = "k".repeat(128);
        assert_eq!(UsageKey::parse(&longest).unwrap().as_str(), longest);
        assert_eq!(UsageKey::parse(&"k".repeat(129)), None);
        assert_eq!(with("RATE_ANSWER", "deny").unwrap().authorizer.rate_answer, RateAnswer::Deny);
        assert_eq!(with("AUDIT_GRANTS", "every").unwrap().authorizer.grants, GrantRecords::Every);
        let allow = OnStoreFailure::Allow { containers: 10 };
        assert_eq!(with("LIMITS_ON_FAILURE", "10").unwrap().limits.on_failure, allow);
        assert!(!with("JWKS", "{\"keys\":[]}").unwrap().issuers.own_keys_are_of_the_ring());
        assert_eq!(
            with("JWKS_URI", "http://127.0.0.1:9/k").unwrap().issuers.uris()[0].1,
            "http://127.0.0.1:9/k"
        );
    }
}
