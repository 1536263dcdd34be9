//! The vectors of docs/ENVELOPE.md: read, checked and made. Shared with the test that runs the Python implementation.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test support: a panic is a failed test")]

use portcullis_pii::envelope::{OpenError, hazmat};
use portcullis_pii::{Purpose, RecordBinding, RecordOpener, SubjectId, SubjectKey};
use serde::{Deserialize, Serialize};

pub(crate) const FORMAT: &str = "portcullis-envelope-vectors/1";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vectors {
    pub(crate) format: String,
    pub(crate) records: Vec<Record>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) wrapped_keys: Vec<WrappedKey>,
    pub(crate) pseudonyms: Vec<Pseudonym>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) subject_key: String,
    pub(crate) purpose: Purpose,
    pub(crate) branch_version: u32,
    pub(crate) table: String,
    pub(crate) record: String,
    pub(crate) subject: String,
    pub(crate) salt: String,
    pub(crate) header: String,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) nonce: String,
    pub(crate) plaintext: String,
    pub(crate) blob: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refused {
    pub(crate) name: String,
    pub(crate) subject_key: String,
    pub(crate) purpose: Purpose,
    pub(crate) branch_version: u32,
    pub(crate) table: String,
    pub(crate) record: String,
    pub(crate) subject: String,
    pub(crate) header: String,
    pub(crate) field: String,
    pub(crate) blob: String,
    pub(crate) error: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrappedKey {
    pub(crate) name: String,
    pub(crate) branch_key: String,
    pub(crate) table: String,
    pub(crate) subject: String,
    pub(crate) purpose: Purpose,
    pub(crate) branch_version: u32,
    pub(crate) nonce: String,
    pub(crate) key: String,
    pub(crate) wrapped: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pseudonym {
    pub(crate) kind: String,
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) pseudonym: String,
}

impl Record {
    pub(crate) fn key(&self) -> SubjectKey {
        hazmat::subject_key(self.purpose, &self.subject, self.branch_version, &bytes(&self.subject_key))
    }

    pub(crate) fn binding(&self) -> RecordBinding<'_> {
        RecordBinding {
            table: &self.table,
            record: &self.record,
            subject: &self.subject,
            purpose: self.purpose,
        }
    }

    /// Fills in header and blobs from the other members.
    pub(crate) fn seal(&mut self) {
        let nonces: Vec<[u8; 12]> = self.fields.iter().map(|field| bytes(&field.nonce)).collect();
        let mut sealer =
            hazmat::sealer_with_fixed_randomness(&self.key(), &self.binding(), bytes(&self.salt), &nonces)
                .unwrap();
        for field in &mut self.fields {
            let mut blob = Vec::new();
            sealer.seal(&field.name, &hex::decode(&field.plaintext).unwrap(), &mut blob).unwrap();
            field.blob = hex::encode(blob);
        }
        self.header = hex::encode(sealer.header());
    }

    fn check(&self) {
        let mut opener =
            RecordOpener::new(&self.key(), &self.binding(), &hex::decode(&self.header).unwrap()).unwrap();
        for field in &self.fields {
            let mut opened = Vec::new();
            opener.open(&field.name, &hex::decode(&field.blob).unwrap(), &mut opened).unwrap();
            assert_eq!(hex::encode(opened), field.plaintext, "{}: {} opened", self.name, field.name);
        }
        let fields = self.fields.iter().map(|f| Field {
            name: f.name.clone(),
            nonce: f.nonce.clone(),
            plaintext: f.plaintext.clone(),
            blob: String::new(),
        });
        let mut made = Record {
            name: String::new(),
            subject_key: self.subject_key.clone(),
            table: self.table.clone(),
            record: self.record.clone(),
            subject: self.subject.clone(),
            salt: self.salt.clone(),
            header: String::new(),
            fields: fields.collect(),
            ..*self
        };
        made.seal();
        assert_eq!(made.header, self.header, "{}: header", self.name);
        for (made, given) in made.fields.iter().zip(&self.fields) {
            assert_eq!(made.blob, given.blob, "{}: blob of {}", self.name, given.name);
        }
    }
}

impl Refused {
    fn check(&self) {
        let key =
            hazmat::subject_key(self.purpose, &self.subject, self.branch_version, &bytes(&self.subject_key));
        let binding = RecordBinding {
            table: &self.table,
            record: &self.record,
            subject: &self.subject,
            purpose: self.purpose,
        };
        let mut out = Vec::new();
        let outcome = RecordOpener::new(&key, &binding, &hex::decode(&self.header).unwrap())
            .and_then(|mut opener| opener.open(&self.field, &hex::decode(&self.blob).unwrap(), &mut out));
        assert_eq!(outcome.map_err(word), Err(self.error.as_str()), "{}", self.name);
        assert!(out.is_empty(), "{}: nothing is given out", self.name);
    }
}

impl WrappedKey {
    fn check(&self) {
        let binding = hazmat::KeyBinding {
            table: &self.table,
            subject: &self.subject,
            purpose: self.purpose,
            branch_version: self.branch_version,
        };
        let (branch, key) = (bytes(&self.branch_key), bytes(&self.key));
        let made = hazmat::wrap_with_fixed_key(&branch, &binding, bytes(&self.nonce), &key).unwrap();
        assert_eq!(hex::encode(&made), self.wrapped, "{}", self.name);
        assert_eq!(*hazmat::unwrap_with_fixed_key(&branch, &binding, &made).unwrap(), key, "{}", self.name);
    }
}

impl Pseudonym {
    fn check(&self) {
        let index = hazmat::blind_index_with_fixed_key(&bytes(&self.key));
        let made = match self.kind.as_str() {
            "phone" => index.subject_index(&SubjectId::from_whatsapp(&self.value)),
            "user" => index.subject_index(&SubjectId::User(self.value.clone())),
            "conversation" => index.conversation_index(&self.value),
            other => panic!("unknown kind {other}"),
        };
        assert_eq!(made, self.pseudonym, "{} {}", self.kind, self.value);
    }
}

/// Checks every vector; gives how many records, fields, refused ones, wrapped keys and pseudonyms there were.
pub(crate) fn check(vectors: &Vectors) -> [usize; 5] {
    assert_eq!(vectors.format, FORMAT);
    vectors.records.iter().for_each(Record::check);
    vectors.refused.iter().for_each(Refused::check);
    vectors.wrapped_keys.iter().for_each(WrappedKey::check);
    vectors.pseudonyms.iter().for_each(Pseudonym::check);
    [
        vectors.records.len(),
        vectors.records.iter().map(|record| record.fields.len()).sum(),
        vectors.refused.len(),
        vectors.wrapped_keys.len(),
        vectors.pseudonyms.len(),
    ]
}

pub(crate) fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// The word of docs/ENVELOPE.md for an error.
fn word(error: OpenError) -> &'static str {
    match error {
        OpenError::Binding(_) => "name",
        OpenError::Malformed => "malformed",
        OpenError::Unsupported => "unsupported",
        OpenError::NotThisRecord => "not-this-record",
        OpenError::NotThisField => "not-this-field",
        OpenError::Provider(_) => "provider",
    }
}
