//! Single-use approvals.
//!
//! 1. The approver exchanges its own access token for an approval: `requested_token_type` is
//!    `urn:portcullis:params:oauth:token-type:approval`, `resource` the plan (`urn:portcullis:plan:<id>`), `audience` the actor.
//!    The approver needs the scope `write:approvals`, and the actor must be in its `may_act`.
//! 2. The actor exchanges the approval, naming the same plan, for an access token that allows `execute:external` alone and
//!    says in the claim `approval` which plan, who approved, and by which approval. That uses the approval up: of two who
//!    try at once, one is refused. No other grant gives that scope, whatever the actor's role allows.
//!
//! Losing a race, a failing store or a crash between the two costs the approver a second approval, never a second execution.

use std::collections::BTreeMap;

use portcullis_audit::Kind;
use portcullis_lambda::ProxyResponse;
use portcullis_token::{Approval, Approvals as _, IssuedType, NumericDate, Scope};
use serde_json::json;

use super::exchange::{ACCESS_TOKEN, APPROVAL, NOT_TAKEN, own, refused};
use crate::Ports;
use crate::binding::Binding;
use crate::client::Client;
use crate::context::Context;
use crate::form::Form;
use crate::issue::{APPROVAL_ONLY as EXECUTE, Draft, TokenAnswer, narrow_approved, sign};
use crate::own_tokens::OwnType;
use crate::refusal::Refusal;

/// Gives an approval.
pub(super) async fn give<P: Ports>(
    context: &mut Context<'_, P>,
    form: &Form<'_>,
    client: &Client<'_>,
    binding: &Binding,
    subject_token: &str,
    subject_type: &str,
) -> Result<ProxyResponse, Refusal> {
    if subject_type != ACCESS_TOKEN {
        return Err(Refusal::InvalidRequest("an approval is given with an access token"));
    }
    let approver = &client.identity.id;
    let claims = own(context, OwnType::Access, binding, subject_token).await?;
    if claims.sub != *approver || claims.act.is_some() || !claims.scope.contains(APPROVE) {
        return Err(refused(context, "may-not-approve"));
    }
    let plan = plan(form)?;
    let actor = form.value("audience").ok_or(Refusal::InvalidTarget("audience names the actor"))?;
    let known = context.parts.identities.find(actor).is_some_and(|a| a.scope().contains(EXECUTE));
    if !known || !client.identity.may_act.iter().any(|id| id == actor) {
        return Err(Refusal::InvalidTarget("that actor may not act for this client"));
    }
    let draft = Draft {
        typ: IssuedType::Approval,
        audience: context.parts.settings.issuer.as_str().to_owned(),
        scope: Scope::default(),
        lifetime: context.parts.settings.approval_lifetime,
        other: BTreeMap::from([
            ("plan".to_owned(), json!(plan)),
            ("may_act".to_owned(), json!({"sub": actor})),
        ]),
        ..Draft::of_client(client, binding, String::new(), Scope::default(), "token-exchange")
    };
    let lifetime = draft.lifetime;
    let issued = sign(context, Kind::ApprovalIssued, draft).await?;
    let issued_at = NumericDate::of(context.now).millis();
    let approval = Approval {
        id: issued.jti,
        plan: plan.to_owned(),
        approver: approver.clone(),
        actor: actor.to_owned(),
        issued_at,
        expires_at: issued_at.saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(0)),
    };
    if let Err(error) = context.parts.approvals.add(&approval).await {
        // The trail says already that it was signed; without a record it is worth nothing, and nobody gets it.
        not_taken(context, &approval.id, plan, "not-kept");
        return Err(error.into());
    }
    TokenAnswer {
        access_token: issued.token,
        issued_token_type: Some(APPROVAL),
        // It is no access token (RFC 8693 section 2.2.1).
        token_type: "N_A",
        expires_in: issued.expires_in,
        refresh_token: None,
        scope: None,
    }
    .to_response()
}

/// Takes an approval for a token that executes its plan.
pub(super) async fn execute<P: Ports>(
    context: &mut Context<'_, P>,
    form: &Form<'_>,
    client: &Client<'_>,
    binding: &Binding,
    approval_token: &str,
    issued_type: &str,
) -> Result<ProxyResponse, Refusal> {
    let (actor, plan) = (&client.identity.id, plan(form)?);
    let executes = client.identity.scope().narrowed_to(&Scope::parse(EXECUTE).unwrap_or_default());
    let scope = narrow_approved(&executes, form.value("scope"))?;
    if scope.is_empty() {
        return Err(Refusal::InvalidScope);
    }
    // `resource` names the plan; the token itself is for the API and for nobody else.
    let audience = context.parts.settings.audience.clone();
    if form.value("audience").is_some_and(|asked| asked != audience) {
        return Err(Refusal::InvalidTarget("an approval is executed at the API alone"));
    }
    // An approval may be bound to its approver's key, which the actor cannot show: the record says whose it is to use.
    let claims =
        match context.own.inspect(context.parts, OwnType::Approval, approval_token, context.now).await {
            Ok(claims) => claims,
            Err(crate::own_tokens::NotTaken::Ours(refusal)) => return Err(refusal),
            Err(crate::own_tokens::NotTaken::Token(error)) => {
                return Err(not_taken(context, "", plan, error.as_str()));
            }
        };
    let id = claims.jti.unwrap_or_default();
    // Before it is used up: a slip of the pen does not cost the approval.
    if claims.other.get("plan").and_then(|p| p.as_str()) != Some(plan) {
        return Err(not_taken(context, &id, plan, "another-plan"));
    }
    let Some(approval) = context.parts.approvals.take(&id, actor, context.now).await? else {
        return Err(not_taken(context, &id, plan, "not-open"));
    };
    // What the record says is what counts; that it says the same as the token is what signing it was for.
    if approval.plan != plan || approval.approver != claims.sub {
        return Err(not_taken(context, &id, plan, "record-differs"));
    }
    let event = context.event(Kind::ApprovalConsumed, actor).actor(&approval.approver);
    context.note(event.resource("plan", plan).detail("approval", &id));
    let other = json!({"id": id, "plan": plan, "approver": approval.approver});
    let draft = Draft {
        other: BTreeMap::from([(CLAIM.to_owned(), other)]),
        ..Draft::of_client(client, binding, audience, scope.clone(), "token-exchange")
    };
    let issued = sign(context, Kind::TokenExchanged, draft).await?;
    TokenAnswer {
        access_token: issued.token,
        issued_token_type: Some(issued_type),
        token_type: binding.token_type(),
        expires_in: issued.expires_in,
        refresh_token: None,
        scope: Some(scope.to_string()),
    }
    .to_response()
}

fn plan<'f>(form: &'f Form<'_>) -> Result<&'f str, Refusal> {
    let resource = form.value("resource").ok_or(Refusal::InvalidTarget("resource names the plan"))?;
    let plan = resource.strip_prefix(PLAN).filter(|plan| Approval::is_plan_name(plan));
    plan.ok_or(Refusal::InvalidTarget("resource is not a plan"))
}

fn not_taken<P: Ports>(context: &mut Context<'_, P>, id: &str, plan: &str, reason: &'static str) -> Refusal {
    let event = context.event(Kind::ApprovalRefused, &context.caller).reason(reason);
    context.note(event.resource("plan", plan).detail("approval", id));
    NOT_TAKEN
}

/// The claim of an access token that came of an approval.
pub(super) const CLAIM: &str = "approval";
const PLAN: &str = "urn:portcullis:plan:";
const APPROVE: &str = "write:approvals";
