//! Both responders of the local stack, over a simulated account.

use std::path::PathBuf;
use std::sync::Arc;

use cloudtrail_responder_function::{AuditSettings, CloudTrailResponder};
use guardduty_responder_function::{GuardDutyResponder, IncidentRoles};
use portcullis_base::{Clock, Timestamp};
use portcullis_client::WebhookNotifier;
use portcullis_detection::{EventHistory, HistoryError, HistoryPage};
use portcullis_lambda::{Backoff, Deadline, IncidentDesk, Metrics, ResponderOf, ResponsePorts, SystemClock};
use portcullis_local::{KeptWorld, LocalAccount, Store};
use portcullis_response::simulation::Simulation;
use portcullis_response::{
    FindingTypes, IncidentStore, Lease, Message, Notifier, PortResult, Responder, Status, TYPES,
};
use serde_json::Value;
use tokio::sync::watch;

use super::identity;
use super::secrets::{LocalSecrets, NOTIFICATION_SECRET, SecretArgs};
use super::stack::{LocalPorts, Stack};
use crate::config::Environment;
use crate::detect::DetectorArgs;
use crate::failure::Failure;
use crate::respond;

/// What is detected, what is done about it, and who is told.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Incidents")]
pub(crate) struct ResponseArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// Folder of playbooks (*.yml) in place of the shipped ones. They are followed as they stand; the shipped ones are
    /// followed with dry_run off, since nothing but the simulated account can be changed.
    #[arg(long, value_name = "DIR")]
    playbooks: Option<PathBuf>,
    /// The incidents whose playbooks change the account though their files say `dry_run: true`, as LIVE_PLAYBOOKS does in
    /// AWS: `none`, `all`, or names such as BACKDOOR,CRYPTO_MINING. Without it all shipped ones do, and none of a folder.
    #[arg(long, value_name = "KINDS")]
    live_playbooks: Option<String>,
    /// What may never be done, in place of the shipped config/response.yml, which is followed without its cap of
    /// containments an hour.
    #[arg(long, value_name = "FILE")]
    safety: Option<PathBuf>,
    /// Where messages about incidents are posted, signed as Standard Webhooks does with the secret
    /// portcullis/notifications (whsec_…): of --secrets, or PORTCULLIS_SECRET_PORTCULLIS_NOTIFICATIONS.
    #[arg(long, value_name = "URL")]
    notify_webhook: Option<String>,
}

impl ResponsePorts for LocalPorts {
    type Account = LocalAccount;
    type Store = Store;
    type Notifier = LocalNotifier;
    type Audit = Store;
    type Clock = SystemClock;
    type Wait = Backoff<SystemClock>;
}

impl cloudtrail_responder_function::Ports for LocalPorts {
    type Correlation = Store;
    type History = NoHistory;
    type Progress = Store;
    type Rest = Backoff<SystemClock>;
}

/// The responders and the account that they act on.
pub(crate) struct Responders {
    pub(super) cloudtrail: CloudTrailResponder<LocalPorts>,
    pub(super) guardduty: GuardDutyResponder<LocalPorts>,
    pub(super) account: KeptWorld,
    pub(super) types: FindingTypes,
}

impl Responders {
    /// The responders of this stack.
    pub(crate) fn new(
        stack: &Stack,
        args: &ResponseArgs,
        secrets: &SecretArgs,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let account = KeptWorld::new(stack.store.clone());
        let types = || FindingTypes::parse(TYPES).map_err(|e| Failure::usage(e.to_string()));
        let deadline = Deadline::default();
        let wait = || Backoff::new(SystemClock, deadline.clone());
        let desk = |function: &'static str| -> Result<IncidentDesk<LocalPorts>, Failure> {
            let responder: ResponderOf<LocalPorts> = Responder {
                account: Simulation::over(account.clone()),
                store: stack.store.clone(),
                notifier: args.notifier(secrets, environment)?,
                clock: SystemClock,
                wait: wait(),
                playbooks: args.playbooks()?,
                safety: args.safety()?,
            };
            Ok(IncidentDesk {
                responder,
                auditor: identity::auditor(stack, function),
                metrics: Metrics::off(function),
            })
        };
        let cloudtrail = cloudtrail_responder_function::Parts {
            desk: desk("cloudtrail-responder")?,
            detector: args.detector.detector()?,
            correlation: stack.store.clone(),
            history: NoHistory,
            progress: stack.store.clone(),
            rest: wait(),
            deadline: deadline.clone(),
            audit: AuditSettings { regions: Vec::new(), lookback: std::time::Duration::ZERO },
        };
        let guardduty = guardduty_responder_function::Parts {
            desk: desk("guardduty-responder")?,
            types: types()?,
            roles: IncidentRoles::default(),
            deadline,
        };
        Ok(Self {
            cloudtrail: CloudTrailResponder::new(cloudtrail),
            guardduty: GuardDutyResponder::new(guardduty),
            account,
            types: types()?,
        })
    }

    /// Lets go of what a process that was killed was working on: nobody but this one has the database open. Upkeep then
    /// carries it on.
    pub(crate) async fn take_over(&self) -> Result<(), Failure> {
        let store = &self.guardduty.parts().desk.responder.store;
        let failed = |e: portcullis_response::PortError| Failure::usage(format!("incidents: {e}"));
        for status in UNFINISHED {
            for mut incident in store.list(Some(status), MAX_TAKEN_OVER).await.map_err(failed)? {
                if incident.is_leased(SystemClock.now()) {
                    let revision = incident.revision;
                    incident.lease = Some(Lease { until: Timestamp::UNIX_EPOCH });
                    incident.revision = revision.saturating_add(1);
                    store.save(&incident, revision).await.map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// Lets blocks expire and carries on what is unfinished, now and then, until told to stop.
    pub(crate) async fn keep_up(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        loop {
            let done = self.guardduty.upkeep().await;
            if done.expired + done.resumed + done.failed > 0 {
                tracing::info!(done.expired, done.resumed, done.failed, "upkeep of incidents");
            }
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(UPKEEP_EVERY) => {}
            }
        }
    }
}

impl ResponseArgs {
    fn playbooks(&self) -> Result<portcullis_response::Playbooks, Failure> {
        // Nothing but the simulated account can be changed by the shipped ones.
        let otherwise = if self.playbooks.is_some() { "none" } else { "all" };
        let playbooks = respond::playbooks(self.playbooks.as_deref())?;
        let live = playbooks.live(self.live_playbooks.as_deref().unwrap_or(otherwise));
        live.map_err(|e| Failure::usage(format!("--live-playbooks: {e}")))
    }

    fn safety(&self) -> Result<portcullis_response::Safety, Failure> {
        let mut safety = respond::safety(self.safety.as_deref())?;
        if self.safety.is_none() {
            safety.containments_per_hour = u32::MAX;
        }
        Ok(safety)
    }

    fn notifier(&self, secrets: &SecretArgs, environment: &Environment) -> Result<LocalNotifier, Failure> {
        let Some(url) = &self.notify_webhook else { return Ok(LocalNotifier { webhook: None }) };
        let source = secrets.source(environment)?;
        WebhookNotifier::new(url, NOTIFICATION_SECRET, source, SystemClock)
            .map(|webhook| LocalNotifier { webhook: Some(webhook) })
            .map_err(|e| Failure::usage(format!("--notify-webhook: {e}")))
    }

    /// Which playbooks are followed, for people.
    pub(crate) fn followed(&self) -> String {
        let whose = self.playbooks.as_deref().map_or_else(
            || "the shipped playbooks".to_owned(),
            |folder| format!("the playbooks of {}", folder.display()),
        );
        match (self.live_playbooks.as_deref(), &self.playbooks) {
            (Some("none"), _) | (None, Some(_)) => whose,
            (None, None) | (Some("all"), _) => format!("{whose}, with dry_run off"),
            (Some(kinds), _) => format!("{whose}, with dry_run off for {kinds}"),
        }
    }
}

/// Tells the log, without a word about whom it concerns, and the webhook, where there is one.
pub(crate) struct LocalNotifier {
    webhook: Option<WebhookNotifier<LocalSecrets, SystemClock>>,
}

impl Notifier for LocalNotifier {
    async fn send(&self, message: &Message) -> PortResult<()> {
        if let Some(webhook) = &self.webhook {
            webhook.send(message).await?;
        }
        let json: Value = serde_json::from_str(&message.json).unwrap_or_default();
        let word = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (status, severity, kind) = (word("status"), word("severity"), word("incident_type"));
        tracing::info!(id = message.id, status, severity, kind, "notification of an incident");
        Ok(())
    }
}

/// There is no CloudTrail on this machine: events come by `POST /events` alone.
pub(crate) struct NoHistory;

impl EventHistory for NoHistory {
    async fn lookup(
        &self,
        _: &str,
        _: Timestamp,
        _: Timestamp,
        _: Option<&str>,
    ) -> Result<HistoryPage, HistoryError> {
        Ok(HistoryPage::default())
    }
}

/// Where an incident may stand on which somebody was at work.
const UNFINISHED: [Status; 5] =
    [Status::Detected, Status::AwaitingApproval, Status::Containing, Status::Contained, Status::Partial];
/// More than one process works on at once.
const MAX_TAKEN_OVER: usize = 1000;
const UPKEEP_EVERY: std::time::Duration = std::time::Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ResponseArgs,
    }

    /// How many playbooks are live, and what people are told.
    fn live(words: &[&str]) -> Result<(usize, String), String> {
        let line = Line::try_parse_from(["serve"].iter().chain(words)).unwrap();
        let books = line.args.playbooks().map_err(|e| e.to_string())?;
        Ok((books.iter().filter(|book| !book.dry_run).count(), line.args.followed()))
    }

    #[test]
    fn playbooks_are_live_as_the_arguments_say() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/playbooks");
        let (shipped, own) = ("the shipped playbooks".to_owned(), format!("the playbooks of {folder}"));
        for (words, count, said) in [
            (&[][..], 8, format!("{shipped}, with dry_run off")),
            (&["--live-playbooks", "none"], 0, shipped.clone()),
            (&["--live-playbooks", "BACKDOOR"], 1, format!("{shipped}, with dry_run off for BACKDOOR")),
            (&["--playbooks", folder], 0, own.clone()),
            (&["--playbooks", folder, "--live-playbooks", "all"], 8, format!("{own}, with dry_run off")),
        ] {
            assert_eq!(live(words), Ok((count, said)), "{words:?}");
        }
        let error = live(&["--live-playbooks", "BACKDOR"]).unwrap_err();
        assert!(error.starts_with("--live-playbooks: unknown variant `BACKDOR`"), "{error}");
    }
}
