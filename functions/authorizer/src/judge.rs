//! The order in which a request is judged.

use std::num::NonZeroU32;
use std::sync::Arc;

use portcullis_access::{ApiKey, Identity, Principal};
use portcullis_audit::{AuditUnavailable, Kind};
use portcullis_base::{Clock, Timestamp};
use portcullis_limit::{Basis, Decision, LimitKey, Quota};
use portcullis_token::{
    Claims, FollowError, Presentation, ProofExpectation, ReplayWindow, Scope, TokenError, VerifiedProof,
    verify_proof,
};

use crate::api_keys::KeyRefusal;
use crate::credentials::{self, Shown};
use crate::once::Once;
use crate::request::Single;
use crate::trail::NOBODY;
use crate::{ApiKeyMode, Grant, MtlsMode, Parts, Ports, Request, Verdict, address, certificate, verdict};

/// Judges requests.
pub(crate) struct Judge<P: Ports> {
    pub(crate) parts: Parts<P>,
    pub(crate) recorded: Once,
}

/// A caller that is known.
pub(crate) struct Who {
    pub(crate) principal: String,
    pub(crate) roles: Vec<String>,
    pub(crate) scopes: Scope,
    /// The identity behind it: the client of a token of ours, the owner of an API key.
    client: Option<String>,
    pub(crate) jti: Option<String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) actor: Option<String>,
    /// What names the credential in memory.
    pub(crate) credential: String,
    limit: LimitKey,
    quota: Quota,
}

impl Who {
    fn into_grant(self, context: Vec<(&'static str, String)>) -> Grant {
        Grant { principal: self.principal, roles: self.roles, scopes: self.scopes, context }
    }
}

/// Why a request goes no further.
enum Stop {
    Unauthorized,
    TooManyRequests(u64),
    Unavailable,
}

impl From<AuditUnavailable> for Stop {
    fn from(_: AuditUnavailable) -> Self {
        Self::Unavailable
    }
}

impl From<Stop> for Verdict {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Unauthorized => Self::Unauthorized,
            Stop::TooManyRequests(retry_after) => Self::TooManyRequests { retry_after },
            Stop::Unavailable => Self::Unavailable,
        }
    }
}

impl<P: Ports> Judge<P> {
    pub(crate) async fn judge(&self, request: &Request<'_>) -> Verdict {
        match self.decide(request).await {
            Ok(verdict) => verdict,
            Err(stop) => stop.into(),
        }
    }

    async fn decide(&self, request: &Request<'_>) -> Result<Verdict, Stop> {
        let viewer = self.parts.settings.viewer_address_header.as_deref();
        let address = address::limit_key(request, viewer);
        let _within = self.within(&address, &self.parts.rates.address, "address", NOBODY, request).await?;
        self.certificate_goes_on(request).await?;
        let key = self.api_key(request).await?;
        let who = self.caller(request, key.as_deref()).await?;
        self.check_certificate(&who, request).await?;
        let limit = self.within(&who.limit, &who.quota, "principal", &who.principal, request).await?;
        self.permission(who, &limit, request).await
    }

    /// Within a limit, or no further.
    async fn within(
        &self,
        key: &LimitKey,
        quota: &Quota,
        what: &'static str,
        subject: &str,
        request: &Request<'_>,
    ) -> Result<Decision, Stop> {
        let decision = self.parts.limiter.check(key, quota, NonZeroU32::MIN).await;
        if decision.basis == Basis::FailedClosed {
            self.count("Unavailable", "limits");
            return Err(Stop::Unavailable);
        }
        match decision.retry_after_secs() {
            None => Ok(decision),
            Some(seconds) => {
                self.record_rate(subject, what, seconds, request).await?;
                Err(Stop::TooManyRequests(seconds))
            }
        }
    }

    /// Whatever certificates are for here: one that was revoked lets nobody in, with a good token or without.
    async fn certificate_goes_on(&self, request: &Request<'_>) -> Result<(), Stop> {
        let Some(thumbprint) = certificate::thumbprint(request) else { return Ok(()) };
        match self.parts.revocations.check_certificate(&thumbprint).await {
            Ok(()) => Ok(()),
            Err(FollowError::Store(_)) => Err(self.unavailable("revocations")),
            Err(FollowError::Token(_)) => {
                let reference = certificate::reference(request);
                self.record_certificate(NOBODY, "certificate-revoked", reference, true, request).await?;
                Err(Stop::Unauthorized)
            }
        }
    }

    /// The API key, if one is asked for or may be shown.
    async fn api_key(&self, request: &Request<'_>) -> Result<Option<Arc<ApiKey>>, Stop> {
        let mode = self.parts.settings.api_keys;
        if mode == ApiKeyMode::Off {
            return Ok(None);
        }
        let text = match request.header(&self.parts.settings.api_key_header) {
            Single::One(text) => text,
            Single::Absent if mode == ApiKeyMode::Required => {
                self.count("Refused", "api-key-missing");
                return Err(Stop::Unauthorized);
            }
            Single::Absent => return Ok(None),
            Single::Repeated => {
                return Err(self.refused(Kind::ApiKeyRefused, "api-key-repeated", request).await);
            }
        };
        let key = match self.parts.api_keys.check(text).await {
            Ok(key) => key,
            Err(KeyRefusal::Key(error)) => {
                return Err(self.refused(Kind::ApiKeyRefused, error.as_str(), request).await);
            }
            Err(KeyRefusal::Unavailable) => return Err(self.unavailable("api-keys")),
        };
        let quota = self.parts.rates.of_tier(&key.tier);
        let limit = LimitKey::api_key(key.id.as_bytes());
        let _within = self.within(&limit, &quota, "api-key", &key.owner, request).await?;
        self.count_key(&key.tier);
        Ok(Some(key))
    }

    async fn caller(&self, request: &Request<'_>, key: Option<&ApiKey>) -> Result<Who, Stop> {
        let shown = match credentials::token(request) {
            Ok(shown) => shown,
            Err(reason) => return Err(self.refused(Kind::TokenRefused, reason, request).await),
        };
        match (shown, key) {
            (Shown::Nothing, Some(key)) if self.parts.settings.api_keys == ApiKeyMode::Alternative => {
                self.owner(key, request).await
            }
            (Shown::Nothing, _) => {
                self.count("Refused", "no-credentials");
                Err(Stop::Unauthorized)
            }
            (Shown::Bearer(token), key) => self.bearer(token, None, key, request).await,
            (Shown::Dpop(token, proof), key) => {
                let proof = self.proof(token, proof, request).await?;
                self.bearer(token, Some(&proof), key, request).await
            }
        }
    }

    /// Whoever an API key stands for.
    async fn owner(&self, key: &ApiKey, request: &Request<'_>) -> Result<Who, Stop> {
        let Some(identity) = self.parts.identities.find(&key.owner) else {
            return Err(self.refused(Kind::ApiKeyRefused, "api-key-owner", request).await);
        };
        Ok(Who {
            principal: identity.id.clone(),
            roles: vec![identity.role.clone()],
            scopes: self.known(identity.scope().narrowed_to(&key.scopes)),
            client: Some(identity.id.clone()),
            jti: None,
            expires_at: key.expires_at,
            actor: None,
            credential: format!("key\n{}", key.id),
            limit: LimitKey::principal(self.parts.issuers.own(), &identity.id),
            quota: identity.rate,
        })
    }

    async fn proof(&self, token: &str, proof: &str, request: &Request<'_>) -> Result<VerifiedProof, Stop> {
        let expected = ProofExpectation {
            method: &request.method,
            uri: &request.uri,
            access_token: Some(token),
            nonces: None,
            max_age_seconds: self.parts.settings.dpop_max_age_seconds,
        };
        match verify_proof(proof, &expected, self.parts.clock.now()) {
            Ok(proof) => Ok(proof),
            Err(error) => Err(self.refused(Kind::TokenRefused, error.as_str(), request).await),
        }
    }

    async fn bearer(
        &self,
        token: &str,
        proof: Option<&VerifiedProof>,
        key: Option<&ApiKey>,
        request: &Request<'_>,
    ) -> Result<Who, Stop> {
        let presented = Presentation { dpop: proof, certificate: certificate::thumbprint(request) };
        let claims = match self.parts.verifier.verify(token, presented).await {
            Ok(verified) => verified.into_claims(),
            Err(TokenError::KeysUnavailable) => return Err(self.unavailable("keys")),
            Err(error) => return Err(self.refused(Kind::TokenRefused, error.as_str(), request).await),
        };
        match self.parts.revocations.check(&claims).await {
            Ok(()) => {}
            Err(FollowError::Token(error)) => {
                return Err(self.refused(Kind::TokenRefused, error.as_str(), request).await);
            }
            Err(FollowError::Store(_)) => return Err(self.unavailable("revocations")),
        }
        // Whoever came next with the token alone would get the answer that is kept.
        if claims.cnf.is_some() && self.parts.settings.answers_are_kept {
            return Err(self.refused(Kind::TokenRefused, "bound-while-answers-are-kept", request).await);
        }
        if let Some(proof) = proof {
            self.first_use(proof, request).await?;
        }
        self.holder(claims, key, request).await
    }

    /// After all else is good: only the holder of the key can fill the window.
    async fn first_use(&self, proof: &VerifiedProof, request: &Request<'_>) -> Result<(), Stop> {
        let until = proof.replay_until(self.parts.settings.dpop_max_age_seconds);
        let scope = format!("dpop/api/{}", proof.jkt());
        match self.parts.replay.first_use(&scope, proof.jti(), until).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let reason = TokenError::Replayed.as_str();
                Err(self.refused(Kind::ReplayDetected, reason, request).await)
            }
            Err(_) => Err(self.unavailable("replay-window")),
        }
    }

    async fn holder(
        &self,
        mut claims: Claims,
        key: Option<&ApiKey>,
        request: &Request<'_>,
    ) -> Result<Who, Stop> {
        let issuers = &self.parts.issuers;
        let own = issuers.is_own(&claims);
        let client = own.then(|| claims.client_id.clone().unwrap_or_else(|| claims.sub.clone()));
        if key.is_some_and(|key| client.as_ref().is_some_and(|client| *client != key.owner)) {
            return Err(self.refused(Kind::ApiKeyRefused, "api-key-of-another", request).await);
        }
        let scopes = match key {
            Some(key) => claims.scope.narrowed_to(&key.scopes),
            None => std::mem::take(&mut claims.scope),
        };
        let identity: Option<&Identity> = if own { self.parts.identities.find(&claims.sub) } else { None };
        let expires_at = Timestamp::from_second(claims.exp.seconds()).ok();
        let credential = match &claims.jti {
            Some(jti) => [claims.iss.as_str(), jti].join("\n"),
            None => format!("{}\n{}\n{}", claims.iss, claims.sub, claims.exp.seconds()),
        };
        Ok(Who {
            principal: issuers.principal(&claims),
            roles: issuers.roles(&claims),
            scopes: self.known(scopes),
            client,
            expires_at,
            actor: claims.act.map(|actor| actor.sub),
            credential,
            limit: LimitKey::principal(&claims.iss, &claims.sub),
            quota: identity.map_or(self.parts.rates.principal, |identity| identity.rate),
            jti: claims.jti,
        })
    }

    /// Scopes of routes: what else a token names is nothing to the functions behind, and would fill the context.
    fn known(&self, scopes: Scope) -> Scope {
        let routes = self.parts.guard.routes();
        scopes.kept(|scope| routes.iter().any(|r| r.action().is_some_and(|a| a.as_str() == scope)))
    }

    /// Strict: the caller has a certificate, and it is its own. Permissive: reports who could not go on.
    async fn check_certificate(&self, who: &Who, request: &Request<'_>) -> Result<(), Stop> {
        let mode = self.parts.settings.mtls;
        if mode == MtlsMode::Off {
            return Ok(());
        }
        let holder = certificate::holder(request, &self.parts.identities, self.parts.clock.now());
        let problem = match holder.identity {
            Ok(identity) if who.client.as_deref() == Some(&*identity.id) => return Ok(()),
            Ok(_) => "certificate-of-another",
            Err(reason) => reason,
        };
        let strict = mode == MtlsMode::Strict;
        self.record_certificate(&who.principal, problem, holder.reference, strict, request).await?;
        if strict { Err(Stop::Unauthorized) } else { Ok(()) }
    }

    async fn permission(&self, who: Who, limit: &Decision, request: &Request<'_>) -> Result<Verdict, Stop> {
        let print = certificate::thumbprint(request).map(|print| print.to_string());
        let quota = who.quota.to_string();
        let context = verdict::context(
            &who.roles,
            &who.scopes,
            (&quota, limit),
            who.jti.as_deref(),
            who.actor.as_deref(),
            print,
        );
        let route = self.parts.guard.routes().find(&request.method, &request.path);
        let principal = Principal { id: &who.principal, roles: &who.roles, scopes: &who.scopes };
        let decision = route.and_then(|route| self.parts.guard.decide(&principal, route).zip(Some(route)));
        match decision {
            Some((decision, route)) if decision.allowed => {
                self.record_grant(&who, &decision, route, request).await?;
                Ok(Verdict::Allow(Box::new(who.into_grant(context))))
            }
            decision => {
                self.record_denial(&who, decision.as_ref().map(|(decision, _)| decision), request).await?;
                Ok(Verdict::Forbidden(Box::new(who.into_grant(context))))
            }
        }
    }

    /// Records, then refuses: what cannot be recorded is not answered as if it had been.
    async fn refused(&self, kind: Kind, reason: &'static str, request: &Request<'_>) -> Stop {
        match self.record_refusal(kind, reason, request).await {
            Ok(()) => Stop::Unauthorized,
            Err(unavailable) => unavailable.into(),
        }
    }

    fn unavailable(&self, what: &'static str) -> Stop {
        tracing::error!(what, "request cannot be judged");
        self.count("Unavailable", what);
        Stop::Unavailable
    }
}
