//! Issuing: claims (RFC 9068), signature, answer.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use portcullis_audit::Kind;
use portcullis_base::Timestamp;
use portcullis_lambda::ProxyResponse;
use portcullis_token::{Actor, Claims, IssuedType, NumericDate, Scope, issue};
use serde::Serialize;

use crate::Ports;
use crate::binding::Binding;
use crate::client::Client;
use crate::context::Context;
use crate::parts::MAX_TOKEN_LIFETIME;
use crate::refusal::Refusal;

/// A token to be.
pub(crate) struct Draft<'c> {
    pub(crate) typ: IssuedType,
    /// Whom it is about: the client, or a user that it acts for.
    pub(crate) subject: String,
    pub(crate) client: &'c Client<'c>,
    pub(crate) audience: String,
    pub(crate) scope: Scope,
    pub(crate) lifetime: Duration,
    pub(crate) binding: &'c Binding,
    pub(crate) act: Option<Box<Actor>>,
    /// The refresh-token family that it stems from.
    pub(crate) sid: Option<String>,
    pub(crate) other: BTreeMap<String, serde_json::Value>,
    /// The grant, for the audit trail.
    pub(crate) grant: &'static str,
}

impl<'c> Draft<'c> {
    /// An access token of a client for itself.
    pub(crate) fn of_client(
        client: &'c Client<'c>,
        binding: &'c Binding,
        audience: String,
        scope: Scope,
        grant: &'static str,
    ) -> Self {
        Self {
            typ: IssuedType::AccessToken,
            subject: client.identity.id.clone(),
            client,
            audience,
            scope,
            lifetime: client.identity.token_lifetime,
            binding,
            act: None,
            sid: None,
            other: BTreeMap::new(),
            grant,
        }
    }
}

/// A token that was signed.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) jti: String,
    pub(crate) expires_in: u64,
}

/// Signs a token, and notes that it was issued.
pub(crate) async fn sign<P: Ports>(
    context: &mut Context<'_, P>,
    kind: Kind,
    draft: Draft<'_>,
) -> Result<Issued, Refusal> {
    let identity = draft.client.identity;
    let settings = &context.parts.settings;
    let lifetime = draft.lifetime.min(MAX_TOKEN_LIFETIME);
    let seconds = u32::try_from(lifetime.as_secs()).map_err(|_| Refusal::Internal)?;
    let (jti, iat) = (random_id()?, NumericDate::of(context.now));
    let exp = iat.plus_seconds(seconds);
    let claims = Claims {
        iat: Some(iat),
        jti: Some(jti.clone()),
        client_id: Some(identity.id.clone()),
        scope: draft.scope,
        roles: vec![identity.role.clone()],
        sid: draft.sid,
        cnf: draft.binding.confirmation(),
        act: draft.act,
        other: draft.other,
        ..Claims::new(settings.issuer.as_str(), draft.subject, draft.audience, exp)
    };
    let signer =
        context.parts.keeper.signer(identity.signing_algorithm.unwrap_or(settings.algorithm)).await?;
    let token = issue(&claims, draft.typ, &*signer).await?;
    let event = context
        .event(kind, &claims.sub)
        .roles(&claims.roles)
        .token(&jti, Timestamp::from_millisecond(exp.millis()).ok())
        .audience(claims.aud.first().map_or("", String::as_str))
        .privileges(claims.scope.iter())
        .detail("grant", draft.grant)
        .detail("auth_method", draft.client.method.as_str());
    context.note(if claims.sub == identity.id { event } else { event.actor(&identity.id) });
    context.count("TokensIssued");
    Ok(Issued { token, jti, expires_in: lifetime.as_secs() })
}

/// The answer of RFC 6749 section 5.1 (and RFC 8693 section 2.2.1).
// No Debug: it is the tokens.
#[derive(Serialize)]
pub(crate) struct TokenAnswer<'a> {
    pub(crate) access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issued_token_type: Option<&'a str>,
    pub(crate) token_type: &'a str,
    pub(crate) expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
}

impl TokenAnswer<'_> {
    pub(crate) fn to_response(&self) -> Result<ProxyResponse, Refusal> {
        let body = serde_json::to_string(self).map_err(|_| Refusal::Internal)?;
        Ok(ProxyResponse::json(200, body).with_header("Pragma", "no-cache"))
    }
}

/// The scope of a token: what was granted, or the part of it that was asked for. What takes an approval
/// ([`APPROVAL_ONLY`]) is in neither: a role that has it may execute an approval, and nothing else gives it.
pub(crate) fn narrow(granted: &Scope, asked: Option<&str>) -> Result<Scope, Refusal> {
    narrow_approved(&without_approval_only(granted)?, asked)
}

/// The same for the execution of an approval.
pub(crate) fn narrow_approved(granted: &Scope, asked: Option<&str>) -> Result<Scope, Refusal> {
    let Some(asked) = asked else { return Ok(granted.clone()) };
    let asked = Scope::parse(asked).map_err(|_| Refusal::InvalidScope)?;
    if asked.iter().all(|scope| granted.contains(scope)) { Ok(asked) } else { Err(Refusal::InvalidScope) }
}

fn without_approval_only(granted: &Scope) -> Result<Scope, Refusal> {
    let ordinary: Vec<_> = granted.iter().filter(|scope| *scope != APPROVAL_ONLY).collect();
    Scope::parse(&ordinary.join(" ")).map_err(|_| Refusal::Internal)
}

/// The scope that comes of an approval alone.
pub(crate) const APPROVAL_ONLY: &str = "execute:external";

/// A name that is never given twice: 128 random bits.
pub(crate) fn random_id() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| Refusal::Internal)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_takes_an_approval_is_in_no_other_token() {
        let granted = Scope::parse("read:approvals execute:external").unwrap();
        let narrowed = |asked| narrow(&granted, asked).map(|scope| scope.to_string());
        assert_eq!(narrowed(None), Ok("read:approvals".to_owned()));
        assert_eq!(narrowed(Some("read:approvals")), Ok("read:approvals".to_owned()));
        assert_eq!(narrowed(Some("execute:external")), Err(Refusal::InvalidScope));
        assert_eq!(narrowed(Some("read:approvals execute:external")), Err(Refusal::InvalidScope));
        let approved = narrow_approved(&granted, Some("execute:external"));
        assert_eq!(approved.map(|scope| scope.to_string()), Ok("execute:external".to_owned()));
    }

    proptest! {
        #[test]
        fn a_narrowed_scope_is_never_wider(
            granted in proptest::collection::vec("[a-e]:[x-z]", 0..8),
            asked in proptest::collection::vec("[a-e]:[x-z]", 1..8),
        ) {
            let granted = Scope::parse(&granted.join(" ")).unwrap();
            match narrow(&granted, Some(&asked.join(" "))) {
                Ok(scope) => prop_assert!(scope.iter().all(|s| granted.contains(s))),
                Err(_) => prop_assert!(asked.iter().any(|s| !granted.contains(s))),
            }
            prop_assert_eq!(narrow(&granted, None), Ok(granted));
        }
    }
}
