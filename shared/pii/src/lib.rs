//! Personal data: finding it, classifying it, sealing it field by field, and showing only what a role may see.

mod dead_letters;
mod keys;
mod record;

pub use dead_letters::{DeadLetter, DeadLetterError, DeadLetters};
pub use keys::{KeyError, KeyStore, KeyWrapper, Purpose, StoredBranchKey, StoredSubjectKey, WrappedDataKey};
pub use record::{Page, PageRequest, PutOutcome, RecordError, Records, StoredRecord};
