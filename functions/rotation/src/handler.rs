//! Event in, answer out.

use portcullis_audit::{Kind, SecurityEvent};
use portcullis_lambda::{Failure, Handler, Invocation};
use serde_json::json;

use crate::client_secret::{RotationError, rotate};
use crate::event::{Event, Rotate, Step};
use crate::signing_keys::{advance, record};
use crate::{Parts, Ports};

/// The rotation function over its adapters.
pub struct RotationFunction<P: Ports>(Parts<P>);

impl<P: Ports> RotationFunction<P> {
    /// The function, made of these parts.
    pub const fn new(parts: Parts<P>) -> Self {
        Self(parts)
    }

    /// A step. Its end is on record before Secrets Manager learns of it; a failure too, where that is possible.
    async fn step(&self, event: &Rotate, invocation: &Invocation) -> Result<Vec<u8>, Failure> {
        let step = event.step.as_str();
        let done = rotate(&self.0, event).await;
        let (recorded, answer) = match done {
            Ok(client) if event.step == Step::Finish => {
                let rotated = SecurityEvent::new(Kind::CredentialRotated, &client).reason("scheduled");
                (Some(rotated), Ok(json!({ "step": step, "client": client })))
            }
            Ok(client) => (None, Ok(json!({ "step": step, "client": client }))),
            Err(error) => {
                tracing::error!(step, %error, "rotation failed");
                let failed = SecurityEvent::new(Kind::RotationFailed, "").reason(reason(error));
                (Some(failed), Err(failure(error)))
            }
        };
        if let Some(recorded) = recorded {
            let recorded = recorded
                .actor("secretsmanager.amazonaws.com")
                .resource("secret", &event.secret_id)
                .request_id(&invocation.request_id)
                .detail("step", step);
            let kept = self.0.auditor.record(recorded).await;
            // Of a step that failed anyway, its own error says more than that it was not recorded.
            if kept.is_err() && answer.is_ok() {
                return Err(UNRECORDED);
            }
        }
        answer.map(|answer| answer.to_string().into_bytes())
    }

    /// The schedule: what is due for the signing keys. What of it was done is recorded also where not all could be.
    async fn schedule(&self, invocation: &Invocation) -> Result<Vec<u8>, Failure> {
        let advanced = advance(&self.0).await;
        let done = advanced.as_deref().unwrap_or_default();
        let recorded = record(&self.0, done, invocation).await;
        let changes = advanced.map_err(|error| {
            tracing::error!(%error, "signing keys not advanced");
            KEYS
        })?;
        recorded.map_err(|error| {
            tracing::error!(%error, "changes of signing keys not recorded");
            UNRECORDED
        })?;
        tracing::info!(changes = changes.len(), "signing keys advanced");
        Ok(json!({ "changes": changes.len() }).to_string().into_bytes())
    }
}

impl<P: Ports> Handler for RotationFunction<P> {
    async fn handle(&self, event: &[u8], invocation: &Invocation) -> Result<Vec<u8>, Failure> {
        match Event::parse(event) {
            Ok(Event::Rotate(event)) => self.step(&event, invocation).await,
            Ok(Event::Schedule) => self.schedule(invocation).await,
            Err(_) => {
                tracing::error!(bytes = event.len(), "event is neither a rotation step nor the schedule");
                Err(UNKNOWN_EVENT)
            }
        }
    }
}

/// A stable word for the audit trail.
const fn reason(error: RotationError) -> &'static str {
    match error {
        RotationError::Secret(_) => "secret-unavailable",
        RotationError::Store(_) => "store-unavailable",
        RotationError::NotAClient => "not-a-client",
        RotationError::NotPending => "not-pending",
        RotationError::Value => "malformed-value",
        RotationError::Untested => "does-not-authenticate",
        RotationError::Busy => "busy",
        RotationError::Random => "no-random-numbers",
    }
}

const fn failure(error: RotationError) -> Failure {
    let message = match error {
        RotationError::Secret(_) => "secrets manager could not be used",
        RotationError::Store(_) => "the client's secrets could not be read or written",
        RotationError::NotAClient => "the secret is no client's",
        RotationError::NotPending => "the version is not pending",
        RotationError::Value => "the value is no client secret",
        RotationError::Untested => "the pending secret does not authenticate",
        RotationError::Busy => "the client's secrets are being changed by others",
        RotationError::Random => "there are no random numbers",
    };
    Failure { kind: "RotationFailed", message }
}

const UNRECORDED: Failure = Failure {
    kind: "AuditUnavailable",
    message: "what was done could not be recorded: it will be tried again",
};
const KEYS: Failure = Failure { kind: "KeysNotAdvanced", message: "the signing keys could not be advanced" };
const UNKNOWN_EVENT: Failure =
    Failure { kind: "UnknownEvent", message: "the event is neither a rotation step nor the schedule" };
