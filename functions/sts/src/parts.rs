//! What the function is made of.

use std::time::Duration;

use portcullis_access::{ApiKeyStore, Identities};
use portcullis_audit::{AuditSink, Auditor};
use portcullis_base::Clock;
use portcullis_lambda::Metrics;
use portcullis_limit::{LeasedLimiter, LimitStore, Quota};
use portcullis_token::{
    Algorithm, Approvals, ClientSecretStore, FamilyPolicy, JwksSource, KeyKeeper, KeyRingStore,
    LockoutPolicy, Lockouts, RefreshFamilies, RefreshTokens, ReplayWindow, RevocationFollower,
    RevocationStore, SecretHasher, SigningKeys,
};

use crate::{Issuer, UserIssuers};

/// The adapters that the function runs on.
pub trait Ports: Send + Sync + 'static {
    /// Hashes of client secrets.
    type Secrets: ClientSecretStore;
    /// API keys.
    type ApiKeys: ApiKeyStore;
    /// Failed authentications.
    type Lockouts: Lockouts;
    /// Refresh-token families.
    type Families: RefreshFamilies;
    /// Revocations.
    type Revocations: RevocationStore;
    /// What may be used once.
    type Replay: ReplayWindow;
    /// Approvals.
    type Approvals: Approvals;
    /// The key ring.
    type Ring: KeyRingStore;
    /// Private signing keys: sealed ones, or those of KMS.
    type Keys: SigningKeys;
    /// Key sets of the issuers whose users' tokens are exchanged.
    type Issuers: JwksSource;
    /// Rate limits.
    type Limits: LimitStore;
    /// The audit trail.
    type Audit: AuditSink;
    /// The time.
    type Clock: Clock;
}

/// The function's parts, wired.
pub struct Parts<P: Ports> {
    /// The clients.
    pub identities: Identities,
    /// Hashes of client secrets.
    pub secrets: P::Secrets,
    /// API keys.
    pub api_keys: P::ApiKeys,
    /// Hashes what clients show, and API keys.
    pub hasher: SecretHasher,
    /// Failed authentications.
    pub lockouts: P::Lockouts,
    /// Refresh-token families.
    pub families: P::Families,
    /// Makes and reads refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Revocations, followed.
    pub revocations: RevocationFollower<P::Revocations, P::Clock>,
    /// What may be used once.
    pub replay: P::Replay,
    /// Approvals.
    pub approvals: P::Approvals,
    /// The signing keys.
    pub keeper: KeyKeeper<P::Ring, P::Keys, P::Clock>,
    /// Whose users' tokens are exchanged.
    pub user_issuers: UserIssuers<P::Issuers, P::Clock>,
    /// Rate limits.
    pub limiter: LeasedLimiter<P::Limits, P::Clock>,
    /// The audit trail.
    pub auditor: Auditor<P::Audit, P::Clock>,
    /// The time.
    pub clock: P::Clock,
    /// Where metrics go.
    pub metrics: Metrics,
    /// What the function is set to.
    pub settings: StsSettings,
}

/// What the function is set to.
#[derive(Debug, Clone)]
pub struct StsSettings {
    /// The issuer of the tokens, under which the endpoints are.
    pub issuer: Issuer,
    /// The API that tokens are for unless a client asks for another audience.
    pub audience: String,
    /// What tokens are signed with unless the identity says otherwise.
    pub algorithm: Algorithm,
    /// How many requests of one address are judged.
    pub address_rate: Quota,
    /// How many requests of one authenticated client are answered.
    pub client_rate: Quota,
    /// When failures lock.
    pub lockout: LockoutPolicy,
    /// How refresh-token families live.
    pub family: FamilyPolicy,
    /// How long an approval is good: at most 15 minutes.
    pub approval_lifetime: Duration,
    /// How old a DPoP proof may be, in seconds.
    pub dpop_max_age_seconds: u16,
    /// The longest life of a client's assertion, in seconds.
    pub assertion_max_lifetime_seconds: u16,
    /// For clocks that disagree, in seconds.
    pub leeway_seconds: u8,
    /// The header in which CloudFront says the viewer's address. `None`: nobody stands between.
    pub viewer_address_header: Option<String>,
}

impl StsSettings {
    /// The defaults for an issuer and the API's audience.
    ///
    /// # Errors
    /// Never, as a test holds: the default quotas are sound.
    pub fn new(issuer: Issuer, audience: impl Into<String>) -> Result<Self, portcullis_limit::QuotaError> {
        Ok(Self {
            issuer,
            audience: audience.into(),
            algorithm: Algorithm::Es256,
            address_rate: ADDRESS_RATE.parse()?,
            client_rate: CLIENT_RATE.parse()?,
            lockout: LockoutPolicy::default(),
            family: FamilyPolicy {
                lifetime: Duration::from_secs(30 * 24 * 3600),
                idle: Duration::from_secs(7 * 24 * 3600),
                grace: Duration::from_secs(10),
            },
            approval_lifetime: MAX_TOKEN_LIFETIME,
            dpop_max_age_seconds: 60,
            assertion_max_lifetime_seconds: 300,
            leeway_seconds: 5,
            viewer_address_header: None,
        })
    }
}

/// The longest life of a token that this service issues: 15 minutes. For [`portcullis_token::RingPolicy`].
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(900);

/// Requests to the token service from one address: many services may share one, so it bounds floods and guessing only.
pub const ADDRESS_RATE: &str = "600/m burst 120";
/// Requests of one client: each container of it asks every few minutes.
pub const CLIENT_RATE: &str = "120/m burst 60";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound() {
        let issuer = Issuer::parse("https://id.example").unwrap();
        let settings = StsSettings::new(issuer, "https://api.example").unwrap();
        assert_eq!(settings.approval_lifetime.as_secs(), 900);
    }
}
