//! `POST /sts/rotate-keys`: a new signing key now, or a compromised one out at once. `GET /sts/keys`: where each key is in
//! its life. For security admins.

use portcullis_audit::Kind;
use portcullis_lambda::ProxyResponse;
use portcullis_token::{KeeperError, KeyStatus, RingChange, RingError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Context;
use crate::refusal::Refusal;
use crate::{Ports, bearer, limits, request};

/// Rotates. The gateway's authorizer has judged the caller by policy; the token is verified here again, because this
/// function may be invoked in other ways too.
pub(crate) async fn rotate<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    let caller = bearer::authorize(context, SCOPE).await?.sub;
    let order = order(context)?;
    let keeper = &context.parts.keeper;
    let changes = match &order.compromised {
        None => keeper.rotate().await,
        Some(kid) => keeper.compromise(kid).await,
    };
    let changes = match changes {
        Err(KeeperError::Ring(RingError::Unknown)) => {
            return Err(Refusal::InvalidRequest("there is no such key"));
        }
        changes => changes?,
    };
    let rotated = context.event(Kind::KeysRotated, &caller).reason(match order.compromised {
        None => "rotation",
        Some(_) => "compromise",
    });
    context.note(rotated);
    // With what was done before and is not on record, as by an order of which this is the repetition.
    let owed = keeper.unrecorded().await?;
    for change in &owed {
        let (kind, kid) = match change {
            RingChange::Published { kid, .. } => (Kind::KeyPublished, kid),
            RingChange::Destroyed { kid } | RingChange::Compromised { kid } => (Kind::KeyRetired, kid),
        };
        let event = if changes.contains(change) {
            context.event(kind, &caller)
        } else {
            context.event(kind, "").reason("found-unrecorded")
        };
        context.note(event.resource("signing-key", kid));
    }
    context.record().await?;
    if let Err(error) = keeper.recorded(&owed).await {
        tracing::warn!(%error, "changes of signing keys will be recorded once more");
    }
    context.count("KeysRotated");
    let keys = keeper.list().await?;
    let body = json!({
        "changes": changes.iter().map(shown).collect::<Vec<_>>(),
        "keys": keys.iter().map(status).collect::<Vec<_>>(),
    });
    Ok(ProxyResponse::json(200, body.to_string()))
}

/// Lists the keys and their stages.
pub(crate) async fn list<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    bearer::authorize(context, SCOPE).await?;
    let keys = context.parts.keeper.list().await?;
    let body = json!({"keys": keys.iter().map(status).collect::<Vec<_>>()});
    Ok(ProxyResponse::json(200, body.to_string()))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Order {
    compromised: Option<String>,
}

/// No body, or `{"compromised": "<kid>"}`.
fn order<P: Ports>(context: &Context<'_, P>) -> Result<Order, Refusal> {
    let malformed = Refusal::InvalidRequest("the body must be empty, or an object with compromised");
    Ok(request::json(context.request, &context.request.body()?, malformed)?.unwrap_or_default())
}

fn shown(change: &RingChange) -> Value {
    match change {
        RingChange::Published { kid, algorithm, active_from } => {
            json!({"change": "published", "kid": kid, "alg": algorithm.as_str(), "active_from": active_from.as_second()})
        }
        RingChange::Destroyed { kid } => json!({"change": "destroyed", "kid": kid}),
        RingChange::Compromised { kid } => json!({"change": "compromised", "kid": kid}),
    }
}

fn status(key: &KeyStatus) -> Value {
    json!({
        "kid": key.kid,
        "alg": key.algorithm.as_str(),
        "stage": key.stage,
        "published_at": key.published_at.as_second(),
        "active_from": key.active_from.as_second(),
        "signs_until": key.signs_until.map(|at| at.as_second()),
    })
}

const SCOPE: &str = "rotate:keys";
