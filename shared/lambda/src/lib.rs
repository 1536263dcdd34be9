//! What every Lambda shares: start-up, logging, EMF metrics, and the API Gateway proxy events.

mod audit;
mod caller;
mod clock;
#[cfg(feature = "response")]
mod desk;
mod emf;
mod envelope;
mod event;
#[cfg(feature = "response")]
mod incidents;
mod limits;
mod logging;
mod response;
#[cfg(feature = "response")]
mod response_settings;
#[cfg(feature = "runtime")]
mod runtime;
mod settings;
mod signing;
mod viewer;
#[cfg(feature = "response")]
mod waiting;

pub use audit::{AuditConfig, log_lost_mirror, log_lost_record};
pub use caller::Caller;
pub use clock::SystemClock;
#[cfg(feature = "response")]
pub use desk::{AttendError, IncidentDesk, Requester, ResponderOf, ResponsePorts};
pub use emf::{Metrics, Reading, Unit};
pub use envelope::EventHead;
pub use event::{
    Authorizer, ClientCert, Identity, NotAProxyEvent, ProxyEvent, RequestContext, Text, TextMap,
};
pub use limits::LimitsConfig;
pub use logging::{LogFormat, init_logging};
pub use response::ProxyResponse;
#[cfg(feature = "response")]
pub use response_settings::{ResponseConfig, WebhookSetting};
#[cfg(feature = "runtime")]
pub use runtime::{BoxError, run};
pub use settings::{Settings, SettingsError};
pub use signing::{NotSigningAlgorithms, SignerSetting, SigningAlgorithms, SigningConfig};
pub use viewer::caller_address;
#[cfg(feature = "response")]
pub use waiting::{Backoff, Deadline, Rest};

use std::future::Future;

use portcullis_base::Timestamp;

/// A Lambda's handler: the bytes of an event in, the bytes of a JSON answer out.
///
/// Bytes, because the runtime's own deserialisation puts the offending value into its error, and that error into the
/// log and the answer: with personal data in events, parsing is the handler's.
pub trait Handler: Send + Sync + 'static {
    /// Answers one invocation.
    ///
    /// # Errors
    /// When the invocation failed as a whole and Lambda is to retry it or report it.
    fn handle(
        &self,
        event: &[u8],
        invocation: &Invocation,
    ) -> impl Future<Output = Result<Vec<u8>, Failure>> + Send;
}

/// What Lambda says about an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The request id, for the log.
    pub request_id: String,
    /// When Lambda stops the invocation.
    pub deadline: Timestamp,
}

/// An invocation that failed as a whole. Both parts are fixed words: nothing of the event can leak through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Lambda's `errorType`.
    pub kind: &'static str,
    /// Lambda's `errorMessage`.
    pub message: &'static str,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Failure {}
