//! `POST /pii/encrypt`, `/pii/decrypt` and `/pii/classify`.

use base64::prelude::{BASE64_STANDARD, Engine};
use portcullis_audit::Kind;
use portcullis_base::Problem;
use portcullis_lambda::{ProxyResponse, Text};
use portcullis_pii::envelope::{OpenError, SealError};
use portcullis_pii::{Access, Hit, Purpose, RecordBinding, RecordOpener, RecordSealer, SubjectId};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::audit::{Done, Seen};
use crate::fields::Fields;
use crate::view::{View, shown};
use crate::{Caller, Parts, Ports, problems};

/// Seals the fields of a record.
pub(crate) async fn encrypt<P: Ports>(parts: &Parts<P>, body: &[u8]) -> Result<Done, Problem> {
    let request: EncryptRequest<'_> = parse(body)?;
    let (purpose, subject) = (request.purpose, request.subject.0.as_ref());
    let index = parts.index().await.map_err(problems::of_key_error)?;
    let subject = index.subject_index(&SubjectId::from_whatsapp(subject));
    let key = parts.keys.subject_key_for_sealing(purpose, &subject).await.map_err(problems::of_key_error)?;
    let binding = RecordBinding { table: API_TABLE, record: &request.record.0, subject: &subject, purpose };
    let mut sealer = RecordSealer::new(&key, &binding).map_err(of_seal_error)?;

    let mut answer = Answer::new(&request.record.0, request.fields.0.len(), body.len() * 2);
    answer.header(sealer.header());
    let mut sealed = Vec::new();
    for (name, plaintext) in &request.fields.0 {
        sealed.clear();
        sealer.seal(&name.0, plaintext.0.as_bytes(), &mut sealed).map_err(of_seal_error)?;
        answer.field_base64(&name.0, &sealed);
    }
    let seen =
        Seen::of_subject(Kind::PiiEncrypted, &subject).with("fields", request.fields.0.len().to_string());
    Ok(Done { answer: ProxyResponse::json(200, answer.finish()), seen: vec![seen] })
}

/// Opens the fields of a record, showing of each what the caller's roles may see of its class.
pub(crate) async fn decrypt<P: Ports>(
    parts: &Parts<P>,
    caller: &Caller,
    body: &[u8],
) -> Result<Done, Problem> {
    let view = View::of(parts, caller);
    // Before anything is looked up: who may read nothing learns nothing, not even whose key exists.
    if !view.anything {
        return Err(problems::FORBIDDEN);
    }
    let request: DecryptRequest<'_> = parse(body)?;
    let purpose = request.purpose;
    let header = BASE64_STANDARD.decode(request.header.0.as_bytes()).map_err(|_| problems::BAD_REQUEST)?;
    let index = parts.index().await.map_err(problems::of_key_error)?;
    let subject = index.subject_index(&SubjectId::from_whatsapp(&request.subject.0));
    let key = parts.keys.subject_key_for_opening(purpose, &subject).await.map_err(problems::of_key_error)?;
    let binding = RecordBinding { table: API_TABLE, record: &request.record.0, subject: &subject, purpose };
    let mut opener = RecordOpener::new(&key, &binding, &header).map_err(of_open_error)?;

    let mut answer = Answer::new(&request.record.0, request.fields.0.len(), body.len());
    let mut sealed = Vec::new();
    let mut plain = Zeroizing::new(Vec::new());
    for (name, blob) in &request.fields.0 {
        sealed.clear();
        plain.clear();
        BASE64_STANDARD.decode_vec(blob.0.as_bytes(), &mut sealed).map_err(|_| problems::BAD_REQUEST)?;
        opener.open(&name.0, &sealed, &mut plain).map_err(of_open_error)?;
        let text = std::str::from_utf8(&plain).map_err(|_| problems::CANNOT_OPEN)?;
        let text = shown(parts, &view, &name.0, text).ok_or(problems::FORBIDDEN)?;
        answer.field_text(&name.0, &text);
    }
    let seen = Seen::of_subject(Kind::PiiDecrypted, &subject)
        .with("fields", request.fields.0.len().to_string())
        .with("access", if view.everything { "full" } else { "by-class" });
    Ok(Done { answer: ProxyResponse::json(200, answer.finish()), seen: vec![seen] })
}

/// Says what is in the fields, and what the policy asks for them.
pub(crate) fn classify<P: Ports>(parts: &Parts<P>, body: &[u8]) -> Result<ProxyResponse, Problem> {
    let request: ClassifyRequest<'_> = parse(body)?;
    let fields = || request.fields.0.iter().map(|(name, text)| (name.0.as_ref(), text.0.as_ref()));
    let class = parts.policy.classify(&parts.detector, fields());
    let readers = |wanted: Access| -> Vec<&str> {
        parts.policy.roles().filter(|role| parts.policy.access(class.class, role) == wanted).collect()
    };
    let answer = Classified {
        class: class.class.as_str(),
        pii_detected: class.pii_detected,
        sensitive_detected: class.sensitive_detected,
        retention_days: class.retention_days,
        encryption_required: class.encryption_required,
        readers: readers(Access::Full),
        masked_readers: readers(Access::Masked),
        hits: Hits(fields().map(|(name, text)| (name, parts.detector.scan(text))).collect()),
    };
    let body = serde_json::to_string(&answer).map_err(|_| problems::INTERNAL)?;
    Ok(ProxyResponse::json(200, body))
}

/// A table name of its own: what this endpoint sealed does not open as a conversation, nor the other way round.
const API_TABLE: &str = "api:/pii";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncryptRequest<'a> {
    #[serde(borrow)]
    subject: Text<'a>,
    #[serde(borrow)]
    record: Text<'a>,
    #[serde(default = "conversation")]
    purpose: Purpose,
    #[serde(borrow)]
    fields: Fields<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecryptRequest<'a> {
    #[serde(borrow)]
    subject: Text<'a>,
    #[serde(borrow)]
    record: Text<'a>,
    #[serde(default = "conversation")]
    purpose: Purpose,
    #[serde(borrow)]
    header: Text<'a>,
    #[serde(borrow)]
    fields: Fields<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassifyRequest<'a> {
    #[serde(borrow)]
    fields: Fields<'a>,
}

const fn conversation() -> Purpose {
    Purpose::Conversation
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|_| problems::BAD_REQUEST)
}

fn of_seal_error(error: SealError) -> Problem {
    match error {
        SealError::Binding(_) => problems::BAD_REQUEST,
        SealError::TooLarge | SealError::TooManyFields => problems::TOO_LARGE,
        SealError::Provider(_) => problems::INTERNAL,
    }
}

fn of_open_error(error: OpenError) -> Problem {
    match error {
        OpenError::Binding(_) | OpenError::Malformed | OpenError::Unsupported => problems::BAD_REQUEST,
        OpenError::NotThisRecord | OpenError::NotThisField => problems::CANNOT_OPEN,
        OpenError::Provider(_) => problems::INTERNAL,
    }
}

/// `{"record":…,"header":…,"fields":{…}}`, written as it is made: base64 needs no escapes and no second copy.
struct Answer {
    json: Vec<u8>,
    in_fields: bool,
}

impl Answer {
    fn new(record: &str, fields: usize, size: usize) -> Self {
        let mut json = Vec::with_capacity(size + 96 + 64 * fields);
        json.extend_from_slice(b"{\"record\":");
        write_text(&mut json, record);
        Self { json, in_fields: false }
    }

    fn header(&mut self, header: &[u8]) {
        self.json.extend_from_slice(b",\"header\":");
        write_base64(&mut self.json, header);
    }

    fn field_base64(&mut self, name: &str, value: &[u8]) {
        self.field(name);
        write_base64(&mut self.json, value);
    }

    fn field_text(&mut self, name: &str, value: &str) {
        self.field(name);
        write_text(&mut self.json, value);
    }

    fn field(&mut self, name: &str) {
        self.json.extend_from_slice(if self.in_fields { b"," } else { b",\"fields\":{" });
        self.in_fields = true;
        write_text(&mut self.json, name);
        self.json.push(b':');
    }

    fn finish(mut self) -> String {
        self.json.extend_from_slice(if self.in_fields { b"}}" } else { b",\"fields\":{}}" });
        // Made of JSON strings alone, which are UTF-8.
        String::from_utf8(self.json).unwrap_or_default()
    }
}

fn write_text(json: &mut Vec<u8>, text: &str) {
    // Writing a string to memory cannot fail.
    drop(serde_json::to_writer(json, text));
}

fn write_base64(json: &mut Vec<u8>, bytes: &[u8]) {
    json.push(b'"');
    let start = json.len();
    json.resize(start + base64::encoded_len(bytes.len(), true).unwrap_or_default(), 0);
    if let Some(space) = json.get_mut(start..) {
        // The space is exactly what the encoding takes.
        let _written = BASE64_STANDARD.encode_slice(bytes, space);
    }
    json.push(b'"');
}

#[derive(Serialize)]
struct Classified<'a> {
    class: &'a str,
    pii_detected: bool,
    sensitive_detected: bool,
    retention_days: u32,
    encryption_required: bool,
    readers: Vec<&'a str>,
    masked_readers: Vec<&'a str>,
    hits: Hits<'a>,
}

struct Hits<'a>(Vec<(&'a str, Vec<Hit>)>);

impl Serialize for Hits<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            start: usize,
            end: usize,
            kind: &'static str,
            confidence: f32,
        }
        let mut map = s.serialize_map(Some(self.0.len()))?;
        for (name, hits) in &self.0 {
            let hits: Vec<_> = hits
                .iter()
                .map(|h| Shown {
                    start: h.start,
                    end: h.end,
                    kind: h.kind.as_str(),
                    confidence: h.confidence,
                })
                .collect();
            map.serialize_entry(name, &hits)?;
        }
        map.end()
    }
}
