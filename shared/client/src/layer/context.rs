//! Who calls: what a handler learns of a verified token.

use portcullis_base::Timestamp;
use portcullis_token::{Claims, Scope, VerifiedToken};

use super::refusal::Forbidden;
use crate::peer::PeerCertificate;

/// Which plan was approved, by whom, and by which approval: the claim `approval` of a verified token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanApproval<'c> {
    /// The approval, which is never given twice.
    pub id: &'c str,
    /// The plan that may be executed, and no other.
    pub plan: &'c str,
    /// Who approved it.
    pub approver: &'c str,
}

/// The verified caller of a request. Only [`super::SecurityLayer`] makes one; handlers find it among the request's extensions.
#[derive(Debug, Clone)]
pub struct SecurityContext {
    claims: Claims,
    certificate: Option<PeerCertificate>,
}

impl SecurityContext {
    pub(super) fn new(token: VerifiedToken, certificate: Option<PeerCertificate>) -> Self {
        Self { claims: token.into_claims(), certificate }
    }

    /// Whom the token is about: the service, or the user for whom one acts.
    pub fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// The client that the token was issued to.
    pub fn client_id(&self) -> Option<&str> {
        self.claims.client_id.as_deref()
    }

    /// The issuer of the token.
    pub fn issuer(&self) -> &str {
        &self.claims.iss
    }

    /// The roles of the subject.
    pub fn roles(&self) -> &[String] {
        &self.claims.roles
    }

    /// What the token may be used for.
    pub const fn scopes(&self) -> &Scope {
        &self.claims.scope
    }

    /// The token's own name (`jti`), for the audit log.
    pub fn token_id(&self) -> Option<&str> {
        self.claims.jti.as_deref()
    }

    /// The approval that the token came of, if it came of one.
    ///
    /// A token that allows `execute:external` is for one plan, once. The handler checks that the plan that it is about to
    /// execute is [`PlanApproval::plan`], and notes [`PlanApproval::id`] in a [`portcullis_token::ReplayWindow`] until
    /// [`SecurityContext::expires_at`] and a minute more: whoever notes it first executes, everybody after that does not.
    pub fn approval(&self) -> Option<PlanApproval<'_>> {
        let claim = self.claims.other.get("approval")?;
        let text = |name| claim.get(name).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
        Some(PlanApproval { id: text("id")?, plan: text("plan")?, approver: text("approver")? })
    }

    /// Who acts for the subject, where somebody does (RFC 8693 section 4.1).
    pub fn actor(&self) -> Option<&str> {
        self.claims.act.as_ref().map(|actor| actor.sub.as_str())
    }

    /// When the token ends.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.claims.exp.millis()).unwrap_or(Timestamp::MAX)
    }

    /// The client certificate of the connection, where it has one.
    pub const fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_ref()
    }

    /// Demands a scope.
    ///
    /// # Errors
    /// When the token does not have it: an answer for the caller, with status 403.
    pub fn require(&self, scope: &str) -> Result<(), Forbidden> {
        if self.scopes().contains(scope) { Ok(()) } else { Err(Forbidden::new(scope)) }
    }
}
