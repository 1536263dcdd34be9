//! What the function is made of.

use portcullis_audit::{AuditSink, Auditor};
use portcullis_base::Clock;
use portcullis_lambda::Metrics;
use portcullis_pii::{
    BlindIndex, ClassificationPolicy, DeadLetters, Detector, KeyError, KeyHierarchy, KeyStore, KeyWrapper,
    RecordObjects, Records,
};
use portcullis_webhook::ClaimCheck;

/// The adapters that the function runs on.
pub trait Ports: Send + Sync + 'static {
    /// KMS.
    type Wrapper: KeyWrapper;
    /// The subject-keys table.
    type Keys: KeyStore;
    /// The conversations table.
    type Records: Records;
    /// The claim-check bucket.
    type Claims: ClaimCheck;
    /// Where sealed fields rest that the table has no room for.
    type Objects: RecordObjects;
    /// The dead-letter queues.
    type DeadLetters: DeadLetters;
    /// Where security events are kept.
    type Audit: AuditSink;
    /// The time.
    type Clock: Clock;
}

/// The function's parts, wired.
pub struct Parts<P: Ports> {
    /// Keys for sealing and opening.
    pub keys: KeyHierarchy<P::Wrapper, P::Keys, P::Clock>,
    /// The conversations table.
    pub records: P::Records,
    /// The claim-check bucket.
    pub claims: P::Claims,
    /// Where sealed fields rest that the table has no room for.
    pub objects: P::Objects,
    /// The dead-letter queues.
    pub dead_letters: P::DeadLetters,
    /// Records who saw whose data, before they do.
    pub auditor: Auditor<P::Audit, P::Clock>,
    /// The time.
    pub clock: P::Clock,
    /// Finds personal data in text.
    pub detector: Detector,
    /// Classes, retention and who may read.
    pub policy: ClassificationPolicy,
    /// Where metrics go.
    pub metrics: Metrics,
    /// Name of the media queue: a batch that comes from it is of the media lane.
    pub media_queue: String,
    /// Name of the conversations table: bound into every ciphertext.
    pub table: String,
}

impl<P: Ports> Parts<P> {
    /// The blind index, its key made on first use.
    pub(crate) async fn index(&self) -> Result<std::sync::Arc<BlindIndex>, KeyError> {
        self.keys.blind_index().await
    }
}
