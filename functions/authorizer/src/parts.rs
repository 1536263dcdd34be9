//! What the function is made of.

use portcullis_access::{ApiKeyStore, Identities, Rates, RouteGuard};
use portcullis_audit::{AuditSink, Auditor};
use portcullis_base::Clock;
use portcullis_lambda::Metrics;
use portcullis_limit::{LeasedLimiter, LimitStore};
use portcullis_secrets::SecretSource;
use portcullis_token::{CachedVerifier, JwksSource, ReplayWindow, RevocationFollower, RevocationStore};

use crate::{ApiKeyMode, ApiKeys, Issuers, KeySource, MtlsMode};

/// The adapters that the function runs on.
pub trait Ports: Send + Sync + 'static {
    /// Key sets of issuers.
    type Jwks: JwksSource;
    /// Revocations.
    type Revocations: RevocationStore;
    /// What may be used once: proofs of possession.
    type Replay: ReplayWindow;
    /// API keys.
    type ApiKeys: ApiKeyStore;
    /// The secret that API keys are hashed with.
    type Secrets: SecretSource;
    /// Rate limits.
    type Limits: LimitStore;
    /// The audit trail.
    type Audit: AuditSink;
    /// The time.
    type Clock: Clock;
}

/// The function's parts, wired.
pub struct Parts<P: Ports> {
    /// Whose tokens are taken.
    pub issuers: Issuers,
    /// Verifies tokens with key sets that it keeps; made with [`Issuers::verifier`] and [`Issuers::key_source`].
    pub verifier: CachedVerifier<KeySource<P::Jwks>, P::Clock>,
    /// Revocations, followed.
    pub revocations: RevocationFollower<P::Revocations, P::Clock>,
    /// What may be used once.
    pub replay: P::Replay,
    /// API keys; not asked in [`ApiKeyMode::Off`].
    pub api_keys: ApiKeys<P::ApiKeys, P::Secrets, P::Clock>,
    /// The identities: certificates, owners of API keys, rates.
    pub identities: Identities,
    /// Policies and routes.
    pub guard: RouteGuard,
    /// Rates of addresses, tiers, and principals that have none.
    pub rates: Rates,
    /// Rate limits.
    pub limiter: LeasedLimiter<P::Limits, P::Clock>,
    /// The audit trail.
    pub auditor: Auditor<P::Audit, P::Clock>,
    /// The time.
    pub clock: P::Clock,
    /// Where metrics go.
    pub metrics: Metrics,
    /// What the function is set to.
    pub settings: AuthorizerSettings,
}

/// What the function is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizerSettings {
    /// What API keys are good for.
    pub api_keys: ApiKeyMode,
    /// The header that API keys come in. Not `x-api-key`, which the gateway takes for its own usage plans.
    pub api_key_header: String,
    /// What client certificates are for.
    pub mtls: MtlsMode,
    /// A header that names the viewer's address, where the API takes requests from CloudFront alone.
    pub viewer_address_header: Option<String>,
    /// The base of the URIs that clients write, where that is not the gateway's own: proofs of possession name them.
    pub public_url: Option<String>,
    /// How old a proof of possession may be, in seconds.
    pub dpop_max_age_seconds: u16,
    /// How often what was granted is recorded.
    pub grants: GrantRecords,
    /// What the gateway is told when a limit refuses.
    pub rate_answer: RateAnswer,
    /// Whether the gateway keeps answers (see [`crate`]): then no token is taken that is bound to a key or a certificate.
    pub answers_are_kept: bool,
    /// What the gateway counts requests on, where it has a usage plan.
    pub usage_key: Option<UsageKey>,
}

impl Default for AuthorizerSettings {
    fn default() -> Self {
        Self {
            api_keys: ApiKeyMode::Off,
            api_key_header: "x-portcullis-key".to_owned(),
            mtls: MtlsMode::Off,
            viewer_address_header: None,
            public_url: None,
            dpop_max_age_seconds: 60,
            grants: GrantRecords::Once,
            rate_answer: RateAnswer::Error,
            answers_are_kept: false,
            usage_key: None,
        }
    }
}

/// The value of the gateway's API key that the requests of all callers count on, told as `usageIdentifierKey` with every
/// policy. No secret: a gateway that asks the authorizer for it (`x-amazon-apigateway-api-key-source`) takes it from nobody
/// else. <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-key-source.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageKey(String);

impl UsageKey {
    /// Reads the setting `USAGE_KEY`: letters, digits, `.`, `_` and `-`, of them 20 to 128, which are the gateway's bounds.
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-key-file-format.html>
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        ((20..=128).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// As the gateway knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How often what was granted is recorded in the audit trail. What was refused is recorded every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GrantRecords {
    /// Once for each token and route in each container, so that a warm request calls no store. `once`, the default.
    #[default]
    Once,
    /// For every request: one call of the audit store each. `every`.
    Every,
}

impl GrantRecords {
    /// Reads the setting `AUDIT_GRANTS`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "once" => Some(Self::Once),
            "every" => Some(Self::Every),
            _ => None,
        }
    }
}

/// What the gateway is told when a limit refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateAnswer {
    /// The error `TooManyRequests`, which the gateway never keeps. Its gateway response is `AUTHORIZER_FAILURE`: with
    /// `StatusCode: 429` and the fixed header `Retry-After: '1'` clients get what RFC 6585 says. An authorizer that
    /// failed for another reason is then 429 as well: try again is right for both. `error`, the default.
    #[default]
    Error,
    /// A denial of all routes with `retryAfter` in its context. Its gateway response is `ACCESS_DENIED`, whose status is
    /// the same for what is forbidden (403); it can show `Retry-After` as `context.authorizer.retryAfter`. The gateway
    /// keeps a denial as it keeps any policy: only with a time to live of 0. `deny`.
    Deny,
}

impl RateAnswer {
    /// Reads the setting `RATE_ANSWER`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "error" => Some(Self::Error),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }
}
