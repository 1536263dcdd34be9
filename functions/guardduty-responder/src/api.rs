//! The incident API: `GET /incidents`, `GET /incidents/{id}`, `POST /incidents/{id}/approve` and `…/release`.

use portcullis_audit::{Kind, SecurityEvent};
use portcullis_base::Problem;
use portcullis_lambda::{AttendError, Caller, ProxyEvent, ProxyResponse, Requester, ResponsePorts};
use portcullis_response::{IncidentId, IncidentStore, RespondError, Status};
use serde::Serialize;

use crate::view::{Incidents, Shown, ShownReleased};
use crate::{Parts, problems};

/// Answers a request. What is shown, done or refused is on record before the answer.
pub(crate) async fn answer<P: ResponsePorts>(parts: &Parts<P>, event: &ProxyEvent<'_>) -> ProxyResponse {
    let caller = Caller::of(&event.context);
    let outcome = match &caller {
        Some(caller) => route(parts, &requester(caller, event), event).await,
        None => Err(problems::UNAUTHENTICATED),
    };
    let outcome = match outcome {
        Err(problem) => refused(parts, caller.as_ref(), event, problem).await,
        answer => answer,
    };
    outcome.unwrap_or_else(|problem| {
        tracing::info!(status = problem.status(), problem = problem.slug(), "request refused");
        let retry = problem == problems::BUSY;
        let answer = ProxyResponse::problem(&problem);
        if retry { answer.with_header("Retry-After", "120") } else { answer }
    })
}

async fn route<P: ResponsePorts>(
    parts: &Parts<P>,
    by: &Requester<'_>,
    event: &ProxyEvent<'_>,
) -> Result<ProxyResponse, Problem> {
    match (event.method.as_ref(), Resource::of(&event.path)?) {
        ("GET", Resource::All) => list(parts, by, event).await,
        ("GET", Resource::One(id)) => show(parts, by, &id).await,
        ("POST", Resource::Approve(id)) => {
            may(by, &[&parts.roles.managers])?;
            let seen = event.query.value("revision").map(revision).transpose()?;
            let incident = parts.desk.approve(&id, by, seen).await.map_err(|error| problems::of(&error))?;
            json(&Shown::of(&incident))
        }
        ("POST", Resource::Release(id)) => {
            may(by, &[&parts.roles.managers])?;
            let released = parts.desk.release(&id, by).await.map_err(|error| problems::of(&error))?;
            json(&ShownReleased::of(&released))
        }
        (_, Resource::All | Resource::One(_)) => Ok(problems::method_not_allowed("GET")),
        (_, Resource::Approve(_) | Resource::Release(_)) => Ok(problems::method_not_allowed("POST")),
    }
}

async fn list<P: ResponsePorts>(
    parts: &Parts<P>,
    by: &Requester<'_>,
    event: &ProxyEvent<'_>,
) -> Result<ProxyResponse, Problem> {
    may(by, &[&parts.roles.readers, &parts.roles.managers])?;
    let status = event.query.value("status").map(status).transpose()?;
    let limit = event.query.value("limit").map_or(Ok(DEFAULT_LIMIT), limit)?;
    let found = parts.desk.responder.store.list(status, limit).await;
    let found = found.map_err(|error| problems::of(&AttendError::Respond(RespondError::Store(error))))?;
    let seen =
        SecurityEvent::new(Kind::IncidentRead, &by.caller.id).detail("found", &found.len().to_string());
    record(parts, by.on(seen)).await?;
    json(&Incidents::of(&found))
}

async fn show<P: ResponsePorts>(
    parts: &Parts<P>,
    by: &Requester<'_>,
    id: &IncidentId,
) -> Result<ProxyResponse, Problem> {
    may(by, &[&parts.roles.readers, &parts.roles.managers])?;
    let found = parts.desk.incident(id).await.map_err(|error| problems::of(&error))?;
    let incident = found.ok_or(problems::NOT_FOUND)?;
    let seen = SecurityEvent::new(Kind::IncidentRead, &by.caller.id).resource("incident", id.as_str());
    record(parts, by.on(seen)).await?;
    json(&Shown::of(&incident))
}

/// Puts a refusal on record. Without it the caller learns only that it is to try again.
async fn refused<P: ResponsePorts>(
    parts: &Parts<P>,
    caller: Option<&Caller>,
    event: &ProxyEvent<'_>,
    problem: Problem,
) -> Result<ProxyResponse, Problem> {
    let recorded = [
        problems::UNAUTHENTICATED,
        problems::FORBIDDEN,
        problems::BUSY,
        problems::CHANGED,
        problems::RELEASED,
    ];
    if recorded.contains(&problem) {
        let refusal = SecurityEvent::new(Kind::IncidentRefused, caller.map_or("", |caller| &caller.id));
        let refusal = match caller {
            Some(caller) => requester(caller, event).on(refusal),
            None => refusal.source(address(event)).operation(operation(event)),
        };
        record(parts, refusal.reason(problem.slug())).await?;
    }
    Err(problem)
}

async fn record<P: ResponsePorts>(parts: &Parts<P>, event: SecurityEvent) -> Result<(), Problem> {
    parts.desk.auditor.record(event).await.map_err(|_| problems::UNAVAILABLE)
}

fn may(by: &Requester<'_>, roles: &[&Vec<String>]) -> Result<(), Problem> {
    if roles.iter().any(|roles| by.caller.has_any(roles)) { Ok(()) } else { Err(problems::FORBIDDEN) }
}

/// What a path names.
enum Resource {
    All,
    One(IncidentId),
    Approve(IncidentId),
    Release(IncidentId),
}

impl Resource {
    fn of(path: &str) -> Result<Self, Problem> {
        if path == "/incidents" {
            return Ok(Self::All);
        }
        let rest = path.strip_prefix("/incidents/").ok_or(problems::NOT_FOUND)?;
        let (id, action) = rest.split_once('/').unwrap_or((rest, ""));
        let id = IncidentId::try_from(id.to_owned()).map_err(|_| problems::NOT_FOUND)?;
        match action {
            "" if !rest.contains('/') => Ok(Self::One(id)),
            "approve" => Ok(Self::Approve(id)),
            "release" => Ok(Self::Release(id)),
            _ => Err(problems::NOT_FOUND),
        }
    }
}

fn requester<'a>(caller: &'a Caller, event: &'a ProxyEvent<'_>) -> Requester<'a> {
    let request_id = event.context.request_id.as_deref().unwrap_or_default();
    Requester { caller, address: address(event), request_id, operation: operation(event) }
}

fn address<'a>(event: &'a ProxyEvent<'_>) -> &'a str {
    event.context.identity.source_ip.as_deref().unwrap_or_default()
}

fn operation(event: &ProxyEvent<'_>) -> &'static str {
    match (event.method.as_ref(), Resource::of(&event.path)) {
        ("GET", Ok(Resource::All)) => "GET /incidents",
        ("GET", Ok(Resource::One(_))) => "GET /incidents/{id}",
        ("POST", Ok(Resource::Approve(_))) => "POST /incidents/{id}/approve",
        ("POST", Ok(Resource::Release(_))) => "POST /incidents/{id}/release",
        _ => "/{unknown}",
    }
}

fn status(word: &str) -> Result<Status, Problem> {
    Status::ALL.into_iter().find(|status| status.to_string() == word).ok_or(problems::BAD_REQUEST)
}

fn limit(text: &str) -> Result<usize, Problem> {
    text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or(problems::BAD_REQUEST)
}

/// The revision of the incident that was shown to whoever asks.
fn revision(text: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(problems::BAD_REQUEST)
}

fn json(value: &impl Serialize) -> Result<ProxyResponse, Problem> {
    let body = serde_json::to_string(value).map_err(|_| problems::UNAVAILABLE)?;
    Ok(ProxyResponse::json(200, body))
}

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;
