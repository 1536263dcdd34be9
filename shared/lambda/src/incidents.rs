//! What the answer to an incident tells: metrics and security events, by comparing what was kept before with what is kept
//! after it.

use portcullis_audit::{Kind, SecurityEvent};
use portcullis_detection::IncidentType;
use portcullis_response::{Incident, Signal, Source, Status};

use crate::Reading;

/// An incident before and after somebody worked on it.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    /// As whoever worked on it last left it in order; `None` where nobody did. What a crash left was never told.
    before: Option<&'a Incident>,
    after: &'a Incident,
}

impl<'a> Work<'a> {
    pub(crate) fn new(before: Option<&'a Incident>, after: &'a Incident) -> Self {
        Self { before: before.filter(|incident| incident.lease.is_none()), after }
    }

    /// Counts and times, in CloudWatch's words.
    pub(crate) fn readings(self) -> Vec<Reading> {
        let (times, was) = (&self.after.times, self.before.map(|before| &before.times));
        let mut readings = Vec::new();
        if self.is_new() {
            readings.push(Reading::count("IncidentsOpened", 1.0));
            if self.after.signal.incident_type == IncidentType::DataExfiltration && !self.after.signal.sample
            {
                readings.push(Reading::count("DataBreachIncidents", 1.0));
            }
            readings.push(time("TimeToDetect", times.happened, times.detected));
        }
        for (status, name) in [
            (Status::Contained, "IncidentsContained"),
            (Status::Partial, "IncidentsPartial"),
            (Status::AwaitingApproval, "ApprovalsAwaited"),
        ] {
            if self.became(status) {
                readings.push(Reading::count(name, 1.0));
            }
        }
        // On somebody's word: also the way in which a false alarm ends.
        if let (None, Some(_)) = (was.and_then(|was| was.released), times.released) {
            readings.push(Reading::count("IncidentsReleased", 1.0));
        }
        for (name, before, after) in [
            ("TimeToNotify", was.and_then(|was| was.notified), times.notified),
            ("TimeToContain", was.and_then(|was| was.contained), times.contained),
            ("TimeToRecover", was.and_then(|was| was.released), times.released),
        ] {
            if let (None, Some(at)) = (before, after) {
                readings.push(time(name, times.detected, at));
            }
        }
        readings
    }

    /// What the audit trail lacks of it. That is told by what was recorded, not by what it was before: a record may have
    /// failed after the change was saved.
    pub(crate) fn events(self) -> Vec<SecurityEvent> {
        let (now, recorded) = (self.after.to_record(), self.after.recorded);
        let kind = match now.status {
            Status::Contained => Some(Kind::IncidentContained),
            Status::Partial => Some(Kind::IncidentPartial),
            Status::Released if self.after.times.released.is_some() => Some(Kind::IncidentReleased),
            _ => None,
        };
        let became = kind.filter(|_| recorded.is_none_or(|recorded| recorded.status != now.status));
        let ended = now.ended > recorded.map_or(0, |recorded| recorded.ended);
        let kinds = became.into_iter().chain(ended.then_some(Kind::IncidentExpired));
        kinds.map(|kind| event(kind, self.after)).collect()
    }

    /// Whether nobody had come to the end of anything with it.
    fn is_new(self) -> bool {
        self.before.is_none() && self.after.round == 0
    }

    fn became(self, status: Status) -> bool {
        self.after.status == status && self.before.is_none_or(|before| before.status != status)
    }
}

/// An event about an incident.
pub(crate) fn event(kind: Kind, incident: &Incident) -> SecurityEvent {
    about(kind, &incident.signal).detail("status", &incident.status.to_string())
}

/// An event about what was seen.
pub(crate) fn about(kind: Kind, signal: &Signal) -> SecurityEvent {
    let subject = signal.targets.first().map(ToString::to_string).unwrap_or_default();
    let (source, cause) = match &signal.source {
        Source::Finding { kind, .. } => ("guardduty", kind),
        Source::Hit { rule, .. } => ("cloudtrail", rule),
    };
    let event = SecurityEvent::new(kind, &subject)
        .resource("incident", signal.incident_id().as_str())
        .detail("source", source)
        .detail("cause", cause)
        .detail("severity", &signal.severity.to_string())
        .detail("account", &signal.account)
        .detail("region", &signal.region);
    signal.targets.iter().skip(1).fold(event, |event, target| event.resource("target", &target.to_string()))
}

/// A clock that stands a little behind another is no time before.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of an incident: far below 2^53")]
fn time(name: &'static str, from: portcullis_base::Timestamp, to: portcullis_base::Timestamp) -> Reading {
    Reading::millis(name, to.as_millisecond().saturating_sub(from.as_millisecond()).max(0) as f64)
}

#[cfg(test)]
mod tests {
    use portcullis_base::Timestamp;
    use portcullis_response::simulation::example_signal;
    use portcullis_response::{Lease, Times};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn incident(status: Status, times: [Option<i64>; 3]) -> Incident {
        let mut incident = Incident::open(example_signal("f"), at(60));
        let [notified, contained, released] = times.map(|second| second.map(at));
        incident.times = Times { happened: at(10), detected: at(60), notified, contained, released };
        incident.status = status;
        incident
    }

    fn told(before: Option<&Incident>, after: &Incident) -> (Vec<(&'static str, f64)>, Vec<&'static str>) {
        let work = Work::new(before, after);
        let readings = work.readings().iter().map(|r| (r.name, r.value)).collect();
        (readings, work.events().iter().map(|event| event.kind().as_str()).collect())
    }

    #[test]
    fn each_thing_is_told_when_it_comes_to_be_and_once() {
        let contained = incident(Status::Contained, [Some(61), Some(64), None]);
        let released = incident(Status::Released, [Some(61), Some(64), Some(600)]);
        let waiting = incident(Status::AwaitingApproval, [Some(61), None, None]);
        let partial = incident(Status::Partial, [Some(61), Some(62), None]);
        assert_eq!(
            told(None, &contained),
            (
                vec![
                    ("IncidentsOpened", 1.0),
                    ("TimeToDetect", 50_000.0),
                    ("IncidentsContained", 1.0),
                    ("TimeToNotify", 1_000.0),
                    ("TimeToContain", 4_000.0),
                ],
                vec!["incident-contained"]
            )
        );
        let mut known = contained.clone();
        known.recorded = Some(known.to_record());
        assert_eq!(told(Some(&known), &known), (vec![], vec![]), "a repeat");
        let lost = told(Some(&contained), &contained);
        assert_eq!(lost, (vec![], vec!["incident-contained"]), "a repeat of what was not recorded");
        assert_eq!(
            told(Some(&contained), &released),
            (vec![("IncidentsReleased", 1.0), ("TimeToRecover", 540_000.0)], vec!["incident-released"])
        );
        assert_eq!(
            told(Some(&waiting), &contained),
            (vec![("IncidentsContained", 1.0), ("TimeToContain", 4_000.0)], vec!["incident-contained"])
        );
        assert_eq!(told(None, &waiting).0[2], ("ApprovalsAwaited", 1.0));
        assert_eq!(
            told(Some(&contained), &partial),
            (vec![("IncidentsPartial", 1.0)], vec!["incident-partial"])
        );
    }

    #[test]
    fn data_that_leaves_is_counted_apart_and_a_sample_of_it_is_not() {
        for (kind, sample, expected) in [
            (IncidentType::DataExfiltration, false, 1),
            (IncidentType::DataExfiltration, true, 0),
            (IncidentType::Backdoor, false, 0),
        ] {
            let mut opened = incident(Status::Detected, [None; 3]);
            opened.signal.incident_type = kind;
            opened.signal.sample = sample;
            let count = |told: Vec<(&str, f64)>| told.iter().filter(|r| r.0 == "DataBreachIncidents").count();
            assert_eq!(count(told(None, &opened).0), expected, "{kind:?}, sample: {sample}");
            assert_eq!(count(told(Some(&opened), &opened).0), 0, "a repeat");
        }
    }

    #[test]
    fn what_a_crash_left_untold_is_told_when_it_is_carried_on() {
        let mut crashed = incident(Status::Contained, [Some(61), Some(64), None]);
        crashed.lease = Some(Lease { until: at(180) });
        let done = incident(Status::Contained, [Some(61), Some(64), None]);
        assert_eq!(told(Some(&crashed), &done), told(None, &done));
    }

    #[test]
    fn an_event_of_the_trail_names_the_incident_and_what_it_is_about() {
        let event = event(Kind::IncidentContained, &incident(Status::Contained, [None; 3]));
        let text = format!("{event:?}");
        for part in ["user/ana", "inc-", "instance/i-web", "TorIPCaller", "111122223333", "CONTAINED"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
