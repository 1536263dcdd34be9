//! Tokens of this service, shown to it.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_access::Identities;
use portcullis_token::{
    Audience, Claims, FollowError, IssuerPolicy, Jwks, PolicyError, Presentation, TokenError, TokenType,
    UnverifiedToken, Verifier,
};

use crate::parts::MAX_TOKEN_LIFETIME;
use crate::refusal::Refusal;
use crate::{Parts, Ports, StsSettings};

/// Verifies what this service issued.
pub(crate) struct OwnTokens {
    access: Verifier,
    approvals: Verifier,
}

/// Which of its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnType {
    Access,
    Approval,
}

/// Why a token of ours is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Token(TokenError),
    /// It could not be judged.
    Ours(Refusal),
}

impl OwnTokens {
    pub(crate) fn new(settings: &StsSettings, identities: &Identities) -> Result<Self, PolicyError> {
        let issuer = settings.issuer.as_str();
        let mut audiences = vec![settings.audience.clone()];
        audiences.extend(identities.iter().flat_map(|identity| identity.audiences.iter().cloned()));
        let seconds = u32::try_from(MAX_TOKEN_LIFETIME.as_secs()).unwrap_or(u32::MAX);
        let verifier = |audience, typ| {
            let policy = IssuerPolicy::new(issuer, audience, &portcullis_token::Algorithm::ALL)?
                .with_token_type(typ)
                .with_max_lifetime(seconds);
            Verifier::new(vec![policy], settings.leeway_seconds)
        };
        Ok(Self {
            access: verifier(Audience::AnyOf(audiences), TokenType::AccessToken)?,
            // An approval is for this service alone.
            approvals: verifier(Audience::AnyOf(vec![issuer.to_owned()]), TokenType::Approval)?,
        })
    }

    /// Verifies a token that its holder shows: signature, claims, binding, revocation.
    pub(crate) async fn verify<P: Ports>(
        &self,
        parts: &Parts<P>,
        typ: OwnType,
        text: &str,
        presented: Presentation<'_>,
        now: portcullis_base::Timestamp,
    ) -> Result<Claims, NotTaken> {
        let keys = keys(parts).await?;
        let token = UnverifiedToken::parse(text)?;
        let verified = self.verifier(typ).verify_parsed(token, &keys, presented, now)?;
        not_revoked(parts, verified.into_claims()).await
    }

    /// Verifies a token that somebody asks about. Its binding is not judged: it opens nothing here.
    pub(crate) async fn inspect<P: Ports>(
        &self,
        parts: &Parts<P>,
        typ: OwnType,
        text: &str,
        now: portcullis_base::Timestamp,
    ) -> Result<Claims, NotTaken> {
        let keys = keys(parts).await?;
        let token = UnverifiedToken::parse(text)?;
        let verified = self.verifier(typ).verify_unpresented(token, &keys, now)?;
        not_revoked(parts, verified.into_claims()).await
    }

    const fn verifier(&self, typ: OwnType) -> &Verifier {
        match typ {
            OwnType::Access => &self.access,
            OwnType::Approval => &self.approvals,
        }
    }
}

async fn keys<P: Ports>(parts: &Parts<P>) -> Result<HashMap<String, Arc<Jwks>>, NotTaken> {
    let keys = parts.keeper.jwks().await.map_err(|error| NotTaken::Ours(error.into()))?;
    Ok(HashMap::from([(parts.settings.issuer.as_str().to_owned(), Arc::new(keys))]))
}

async fn not_revoked<P: Ports>(parts: &Parts<P>, claims: Claims) -> Result<Claims, NotTaken> {
    match parts.revocations.check(&claims).await {
        Ok(()) => Ok(claims),
        Err(FollowError::Token(error)) => Err(NotTaken::Token(error)),
        Err(FollowError::Store(error)) => Err(NotTaken::Ours(error.into())),
    }
}

impl From<TokenError> for NotTaken {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}
