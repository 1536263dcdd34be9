//! Sends events to a running stack, and reads what it made of them.

use portcullis_base::{Clock, Timestamp};
use portcullis_detection::records;
use portcullis_lambda::SystemClock;
use portcullis_response::{Finding, Incident};
use serde_json::Value;

use super::attack::Attack;
use crate::api::Api;
use crate::failure::Failure;
use crate::incident;

/// What the stack made of events.
#[derive(Debug)]
pub(crate) struct Played {
    /// When they were sent.
    pub(crate) sent_at: Timestamp,
    /// The incidents that they belong to, in the order in which they were opened.
    pub(crate) incidents: Vec<Incident>,
    /// The same as the stack said it.
    pub(crate) answers: Vec<Value>,
    /// Hits that were not answered to their end.
    pub(crate) unanswered: u64,
}

pub(super) async fn play(api: &Api, attack: &Attack) -> Result<Played, Failure> {
    let now = SystemClock.now();
    let played = Played { sent_at: now, ..send(api, attack.body(now)?).await? };
    if played.unanswered == 0 {
        return Ok(played);
    }
    Err(Failure::usage(format!("{}: the stack did not come to an end with it: see its log", attack.name)))
}

/// Sends records or a finding, in parts where there is much of it.
pub(crate) async fn send(api: &Api, events: Vec<u8>) -> Result<Played, Failure> {
    let mut played =
        Played { sent_at: SystemClock.now(), incidents: Vec::new(), answers: Vec::new(), unanswered: 0 };
    for part in parts(events) {
        let answer = api.send("/events", part).await?;
        played.unanswered += answer.get("unanswered").and_then(Value::as_u64).unwrap_or_default();
        for incident in answer.get("incidents").and_then(Value::as_array).into_iter().flatten() {
            let known = incident::read(incident)?;
            // A later event of the same incident says how it stands now.
            match played.incidents.iter().position(|seen| seen.id == known.id) {
                Some(at) => {
                    played.incidents.splice(at..=at, [known]);
                    played.answers.splice(at..=at, [incident.clone()]);
                }
                None => {
                    played.incidents.push(known);
                    played.answers.push(incident.clone());
                }
            }
        }
    }
    Ok(played)
}

/// A finding as it is; records as lines, as many as the stack takes at once.
fn parts(events: Vec<u8>) -> Vec<Vec<u8>> {
    if Finding::parse(&events).is_ok() {
        return vec![events];
    }
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for record in records(&events).flatten() {
        let json = record.json().as_bytes();
        match parts.last_mut().filter(|part| part.len() + json.len() < MAX_PART) {
            Some(part) => part.extend_from_slice(json),
            None => parts.push(json.to_vec()),
        }
        if let Some(part) = parts.last_mut() {
            part.push(b'\n');
        }
    }
    parts
}

/// Small enough to be answered well within the gateway's time.
const MAX_PART: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_record_is_lost_between_the_parts() {
        let record = |n: usize| {
            format!(
                r#"{{"eventID":"{n}","eventTime":"2026-03-03T10:00:00Z","eventName":"X","pad":"{}"}}"#,
                "x".repeat(10_000)
            )
        };
        let all: Vec<String> = (0..100).map(record).collect();
        let parts = parts(format!("[{}]", all.join(",")).into_bytes());
        assert!(parts.len() > 2 && parts.iter().all(|part| part.len() < MAX_PART + 20_000));
        let found: Vec<String> =
            parts.iter().flat_map(|part| records(part).map(|r| r.unwrap().id().to_owned())).collect();
        assert_eq!(found, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}
