//! What a stored record is sealed for: the consumer and the reader must say the same, or nothing opens.

use portcullis_pii::BlindIndex;

/// The record's primary key in one string. Neither part can hold the slash.
pub(crate) fn place(conversation: &str, item: &str) -> String {
    format!("{conversation}/{item}")
}

/// Whose key seals the record: the person's, or, where no person is concerned, one of the conversation.
pub(crate) fn key_subject(subject: Option<&str>, conversation: &str, index: &BlindIndex) -> String {
    subject.map_or_else(|| index.conversation_index(conversation), str::to_owned)
}
