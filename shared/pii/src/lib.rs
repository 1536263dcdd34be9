//! Personal data: finding it, classifying it, sealing it field by field, and showing only what a role may see.

mod blind_index;
mod classify;
mod dead_letters;
mod detect;
pub mod envelope;
mod hierarchy;
mod keys;
mod mask;
mod phone;
mod record;

pub use blind_index::{BlindIndex, SubjectId};
pub use classify::{Access, Class, Classification, ClassificationPolicy, PolicyError, PolicyProblem};
pub use dead_letters::{DeadLetter, DeadLetterError, DeadLetters};
pub use detect::{Detector, Hit, PiiKind};
pub use envelope::{RecordBinding, RecordOpener, RecordSealer, SubjectKey};
pub use hierarchy::{HierarchyOptions, KeyHierarchy};
pub use keys::{KeyError, KeyStore, KeyWrapper, Purpose, StoredBranchKey, StoredSubjectKey, WrappedDataKey};
pub use mask::{mask, mask_all};
pub use phone::{Phone, PhoneError};
pub use record::{
    MAX_RECORD_BYTES, ObjectError, Outside, Page, PageRequest, PutOutcome, RecordError, RecordObjects,
    Records, StoredRecord,
};
