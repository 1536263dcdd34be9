//! `POST /events`: what EventBridge does in AWS. The local stack alone has this route.

use portcullis_base::{Clock, Problem};
use portcullis_detection::records;
use portcullis_lambda::{ProxyResponse, SystemClock};
use portcullis_response::{Finding, Incident, Signal, Target};
use serde::Deserialize;
use serde_json::json;

use super::response::Responders;

/// What became of events.
#[derive(Default)]
struct Received {
    judged: usize,
    unreadable: usize,
    unanswered: usize,
    incidents: Vec<Incident>,
}

/// Hands an EventBridge envelope, a log file, an array or lines of records, or a finding to its responder. Whatever they
/// name is there in the simulated account before.
pub(super) async fn receive(responders: &Responders, body: &[u8]) -> Result<ProxyResponse, Problem> {
    let received = match Finding::parse(body) {
        Ok(finding) => of_finding(responders, &finding, body).await?,
        Err(_) => of_records(responders, body).await?,
    };
    if received.judged == 0 {
        return Err(UNREADABLE);
    }
    let Received { judged, unreadable, unanswered, incidents } = received;
    let answer = json!({
        "judged": judged, "unreadable": unreadable, "unanswered": unanswered, "incidents": incidents,
    });
    Ok(ProxyResponse::json(200, answer.to_string()))
}

async fn of_finding(responders: &Responders, finding: &Finding, body: &[u8]) -> Result<Received, Problem> {
    let signal = Signal::of_finding(finding, &responders.types, SystemClock.now());
    let key = |target: &Target| {
        let Target::User { name } = target else { return None };
        let seen = finding.principals.iter().find(|principal| principal.name == *name)?;
        seen.access_key.clone().filter(|key| is_long_lived(key))
    };
    let things: Vec<_> = signal.targets.iter().map(|target| (target.clone(), key(target))).collect();
    responders.account.furnish(&things).await.map_err(|_| UNAVAILABLE)?;
    Ok(match responders.guardduty.receive(body).await {
        Ok(incident) => Received { judged: 1, incidents: vec![incident], ..Received::default() },
        Err(_) => Received { judged: 1, unanswered: 1, ..Received::default() },
    })
}

async fn of_records(responders: &Responders, body: &[u8]) -> Result<Received, Problem> {
    let mut things = Vec::new();
    for thing in records(body).flatten().filter_map(|record| actor(record.json())) {
        if !things.contains(&thing) {
            things.push(thing);
        }
    }
    responders.account.furnish(&things).await.map_err(|_| UNAVAILABLE)?;
    let cloudtrail_responder_function::Received {
        judged, unreadable, unanswered, damaged, incidents, ..
    } = responders.cloudtrail.receive(body).await;
    Ok(Received { judged, unreadable, unanswered: unanswered + damaged, incidents })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Caller {
    user_identity: Identity,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Identity {
    r#type: String,
    user_name: String,
    access_key_id: String,
    session_context: Session,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Session {
    session_issuer: Issuer,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Issuer {
    arn: String,
}

/// Who acted, and the key that signed, where it is one that lasts.
fn actor(record: &str) -> Option<(Target, Option<String>)> {
    let Identity { r#type, user_name, access_key_id, session_context } =
        serde_json::from_str::<Caller>(record).ok()?.user_identity;
    let issuer = session_context.session_issuer.arn;
    let target = match &*r#type {
        "IAMUser" if !user_name.is_empty() => Target::User { name: user_name },
        "AssumedRole" if !issuer.is_empty() => Target::role(&issuer),
        _ => Target::User { name: issuer.split_once(":user/")?.1.rsplit('/').next()?.to_owned() },
    };
    let key = matches!(target, Target::User { .. }) && is_long_lived(&access_key_id);
    Some((target, key.then_some(access_key_id)))
}

/// Keys of sessions begin otherwise, and are no user's.
///
/// Source: IAM User Guide, "IAM identifiers", unique ID prefixes.
fn is_long_lived(key: &str) -> bool {
    key.starts_with("AKIA")
}

const UNREADABLE: Problem =
    Problem::new(400, "unreadable-events", "Neither CloudTrail records nor a GuardDuty finding");
const UNAVAILABLE: Problem = Problem::new(503, "unavailable", "Try again later");

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn of(identity: &Value) -> Option<(String, Option<String>)> {
        let record = json!({ "userIdentity": identity, "eventName": "X" });
        actor(&record.to_string()).map(|(target, key)| (target.to_string(), key))
    }

    #[test]
    fn whoever_acted_is_there_with_the_key_that_lasts() {
        let role = "arn:aws:iam::111122223333:role/path/app";
        let user = "arn:aws:iam::111122223333:user/path/ana";
        let session = |kind: &str, issuer: &str| json!({"type": kind, "accessKeyId": "ASIA1", "sessionContext": {"sessionIssuer": {"arn": issuer}}});
        for (label, identity, expected) in [
            (
                "a user",
                json!({"type": "IAMUser", "userName": "ana", "accessKeyId": "AKIA1"}),
                Some(("user/ana", Some("AKIA1"))),
            ),
            ("in the console", json!({"type": "IAMUser", "userName": "ana"}), Some(("user/ana", None))),
            ("a session of a role", session("AssumedRole", role), Some(("role/app", None))),
            ("a session of a user", session("FederatedUser", user), Some(("user/ana", None))),
            ("root", json!({"type": "Root"}), None),
            ("a service", json!({"type": "AWSService", "invokedBy": "x"}), None),
        ] {
            let found = of(&identity);
            let found = found.as_ref().map(|(name, key)| (name.as_str(), key.as_deref()));
            assert_eq!(found, expected, "{label}");
        }
        assert_eq!(actor("{"), None);
    }
}
