//! `POST /sts/revocations`: the end of everything that goes on in somebody's name, or of a client certificate. For whoever
//! may revoke any token.

use std::time::Duration;

use portcullis_audit::{CertificateRef, Kind, SecurityEvent};
use portcullis_base::Timestamp;
use portcullis_lambda::ProxyResponse;
use portcullis_token::{ClientCertificate, Revocation, RevocationStore as _, RevocationTarget, Thumbprint};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Context;
use crate::parts::MAX_TOKEN_LIFETIME;
use crate::refusal::Refusal;
use crate::{Ports, api_keys, bearer, limits, request};

/// What is to end: exactly one of these, but that `issuer` goes with `subject`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Order {
    /// Whose tokens and sessions: `sub`.
    subject: Option<String>,
    /// Of whose tokens: `iss`. This service's own where absent.
    issuer: Option<String>,
    /// A client certificate in PEM,
    certificate: Option<String>,
    /// or by its SHA-256 (`x5t#S256`).
    thumbprint: Option<String>,
}

/// Revokes. Every function honours it within seconds: the freshness of its copy of the revocations.
pub(crate) async fn add<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    let caller = bearer::authorize(context, SCOPE).await?.sub;
    let order: Option<Order> = request::json(context.request, &context.request.body()?, MALFORMED)?;
    let (revocation, event) = read(context, &caller, order.ok_or(MALFORMED)?)?;
    context.parts.revocations.store().add(&revocation).await?;
    context.note(event);
    let alias = alias(context, &caller, &revocation);
    if let Some((alias, event)) = &alias {
        context.parts.revocations.store().add(alias).await?;
        context.note(event.clone());
    }
    let ended = end_keys(context, &revocation.target).await?;
    context.count("Revocations");
    let mut body = described(&revocation.target);
    if let Value::Object(members) = &mut body {
        members.insert("until".to_owned(), revocation.until.as_second().into());
        members.extend(alias.map(|(alias, _)| ("also".to_owned(), described(&alias.target))));
        members.extend(ended.map(|count| ("api_keys".to_owned(), count.into())));
    }
    Ok(ProxyResponse::json(200, body.to_string()))
}

/// Users have two names, their issuer's and ours: sessions go on in the one and begin with the other, so they end together.
fn alias<P: Ports>(
    context: &Context<'_, P>,
    caller: &str,
    revocation: &Revocation,
) -> Option<(Revocation, SecurityEvent)> {
    let RevocationTarget::Subject { iss, sub, before } = &revocation.target else { return None };
    let own = context.parts.settings.issuer.as_str();
    let (iss, sub) = context.parts.user_issuers.alias(own, iss, sub)?;
    let event = of_subject(context, caller, &iss, &sub);
    let target = RevocationTarget::Subject { iss, sub, before: *before };
    Some((Revocation { target, until: revocation.until }, event))
}

fn of_subject<P: Ports>(context: &Context<'_, P>, caller: &str, iss: &str, sub: &str) -> SecurityEvent {
    let event = context.event(Kind::TokenRevoked, caller).reason("subject");
    event.resource("subject", sub).detail("issuer", iss)
}

/// An API key stands for its owner without a token: what ends the one ends the other. Where this fails, the caller asks
/// again, and what is ended already stays ended.
async fn end_keys<P: Ports>(
    context: &Context<'_, P>,
    target: &RevocationTarget,
) -> Result<Option<usize>, Refusal> {
    match target {
        RevocationTarget::Subject { iss, sub, .. } if *iss == context.parts.settings.issuer.as_str() => {
            Ok(Some(api_keys::end_all(context, sub).await?))
        }
        _ => Ok(None),
    }
}

fn read<P: Ports>(
    context: &Context<'_, P>,
    caller: &str,
    order: Order,
) -> Result<(Revocation, SecurityEvent), Refusal> {
    match order {
        Order { subject: Some(sub), issuer, certificate: None, thumbprint: None } => {
            let own = context.parts.settings.issuer.as_str();
            let iss = issuer.unwrap_or_else(|| own.to_owned());
            if ![&sub, &iss].into_iter().all(|text| is_name(text)) {
                return Err(Refusal::InvalidRequest("subject or issuer is not a name"));
            }
            let event = of_subject(context, caller, &iss, &sub);
            let target = RevocationTarget::Subject { iss, sub, before: later(context.now, SETTLED) };
            // Until the last refresh token that was given out before has ended, and the last access token of it.
            let until =
                later(context.now, context.parts.settings.family.lifetime + MAX_TOKEN_LIFETIME + LEEWAY);
            Ok((Revocation { target, until }, event))
        }
        Order { certificate: Some(pem), subject: None, issuer: None, thumbprint: None } => {
            let malformed = |_| Refusal::InvalidRequest("certificate is not a client certificate in PEM");
            let certificate = ClientCertificate::from_pem(&pem).map_err(malformed)?;
            let thumbprint = certificate.thumbprint();
            let named = CertificateRef::new(certificate.issuer(), certificate.serial())
                .sha256(&hex::encode(thumbprint.as_bytes()))
                .subject(certificate.spiffe_id().unwrap_or_default());
            let event = context.event(Kind::CertificateRevoked, caller).certificate(named);
            // Nobody takes it after its own end; tokens that are bound to it may live a little longer.
            let ends = certificate.expires_at().max(later(context.now, MAX_TOKEN_LIFETIME));
            Ok((of_certificate(thumbprint, later(ends, LEEWAY)), event))
        }
        Order { thumbprint: Some(text), subject: None, issuer: None, certificate: None } => {
            let malformed =
                Refusal::InvalidRequest("thumbprint is not the SHA-256 of a certificate in base64url");
            let thumbprint = Thumbprint::parse(&text).ok_or(malformed)?;
            let event = context.event(Kind::CertificateRevoked, caller);
            let event = event.resource("certificate", &hex::encode(thumbprint.as_bytes()));
            Ok((of_certificate(thumbprint, later(context.now, LONGEST_CERTIFICATE)), event))
        }
        _ => Err(MALFORMED),
    }
}

const fn of_certificate(thumbprint: Thumbprint, until: Timestamp) -> Revocation {
    Revocation { target: RevocationTarget::Certificate { thumbprint }, until }
}

fn described(target: &RevocationTarget) -> Value {
    match target {
        RevocationTarget::Subject { iss, sub, before } => {
            json!({"subject": sub, "issuer": iss, "before": before.as_second()})
        }
        RevocationTarget::Certificate { thumbprint } => json!({"thumbprint": thumbprint.to_string()}),
        RevocationTarget::Token { .. } | RevocationTarget::Family { .. } => json!({}),
    }
}

/// What `sub` and `iss` may be.
fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(millis)).unwrap_or(Timestamp::MAX)
}

const SCOPE: &str = "revoke:tokens";
const MALFORMED: Refusal =
    Refusal::InvalidRequest("the body must be an object with subject, certificate or thumbprint");
const MAX_NAME: usize = 512;
/// By then every container knows. What one that does not know yet gives out for an old session is dead as well.
const SETTLED: Duration = Duration::from_secs(5);
const LEEWAY: Duration = Duration::from_secs(60);
/// Of which only the thumbprint is known: longer than any CA of this project issues for, and what CAs may give at most.
const LONGEST_CERTIFICATE: Duration = Duration::from_secs(398 * 24 * 3600);
