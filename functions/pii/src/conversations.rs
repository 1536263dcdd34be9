//! `GET /conversations/{id}` and `POST /conversations/search`.

use portcullis_audit::Kind;
use portcullis_base::{Problem, Timestamp};
use portcullis_lambda::{ProxyEvent, ProxyResponse, Text};
use portcullis_pii::envelope::OpenError;
use portcullis_pii::{
    Access, Class, KeyError, PageRequest, Purpose, RecordBinding, RecordOpener, Records, StoredRecord,
    SubjectId, mask, mask_all,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::audit::{Done, Seen};
use crate::content::is_technical;
use crate::place::{key_subject, place};
use crate::view::best_access;
use crate::{Caller, Parts, Ports, problems};

/// A page of a conversation, in order, each message as the caller may see it.
pub(crate) async fn read<P: Ports>(
    parts: &Parts<P>,
    caller: &Caller,
    conversation: &str,
    event: &ProxyEvent<'_>,
) -> Result<Done, Problem> {
    allowed_to_read(parts, caller)?;
    if !is_pseudonym(conversation) {
        return Err(problems::NOT_FOUND);
    }
    let page = parts
        .records
        .conversation(conversation, &page_request(event)?)
        .await
        .map_err(problems::of_record_error)?;
    if page.records.is_empty() && page.next.is_none() {
        return Err(problems::NOT_FOUND);
    }
    let mut messages = Vec::with_capacity(page.records.len());
    for record in &page.records {
        messages.push(show(parts, caller, record).await?);
    }
    let most =
        messages.iter().map(|message| message.access).max_by_key(|word| rank(word)).unwrap_or_default();
    let seen = Seen::new(Kind::PiiRead, "conversation", conversation)
        .with("messages", messages.len().to_string())
        .with("access", most);
    Ok(Done { answer: json(&Conversation { conversation, messages, next: page.next })?, seen: Some(seen) })
}

/// The conversations in which a person takes part. The number is in the body, not in the URL: URLs are logged.
pub(crate) async fn search<P: Ports>(
    parts: &Parts<P>,
    caller: &Caller,
    body: &[u8],
) -> Result<Done, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Search<'a> {
        #[serde(borrow)]
        subject: Text<'a>,
    }
    #[derive(Serialize)]
    struct Found {
        conversations: Vec<String>,
    }
    allowed_to_read(parts, caller)?;
    let search: Search<'_> = serde_json::from_slice(body).map_err(|_| problems::BAD_REQUEST)?;
    let subject = parts
        .index()
        .await
        .map_err(problems::of_key_error)?
        .subject_index(&SubjectId::from_whatsapp(&search.subject.0));
    let conversations =
        parts.records.conversations_of(&subject, MAX_FOUND).await.map_err(problems::of_record_error)?;
    let seen = Seen::of_subject(Kind::PiiSearched, &subject).with("found", conversations.len().to_string());
    Ok(Done { answer: json(&Found { conversations })?, seen: Some(seen) })
}

#[derive(Serialize)]
struct Conversation<'a> {
    conversation: &'a str,
    messages: Vec<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Message {
    position: String,
    kind: String,
    class: String,
    received_at: String,
    access: &'static str,
    #[serde(flatten)]
    opened: Option<Opened>,
}

/// The sealed fields of a message, opened. JSON fields are embedded as JSON.
#[derive(Serialize)]
struct Opened {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Value>,
    item: Value,
    origin: Value,
}

async fn show<P: Ports>(
    parts: &Parts<P>,
    caller: &Caller,
    record: &StoredRecord,
) -> Result<Message, Problem> {
    // A class that the policy does not know is read by nobody.
    let of_class =
        Class::parse(&record.class).map_or(Access::None, |class| best_access(parts, caller, class));
    // Every record holds a person's number and name, whatever its words are; and the class stands beside the sealed
    // fields, unauthenticated. So it can only narrow what the caller may see of personal data.
    let access = of_class.min(best_access(parts, caller, Class::Pii));
    let (shown, opened) = match access {
        Access::None => ("none", None),
        Access::Full | Access::Masked => match open(parts, record).await {
            Ok(opened) if access == Access::Full => ("full", Some(opened)),
            Ok(opened) => ("masked", Some(masked(parts, opened))),
            Err(Unreadable::Erased) => ("erased", None),
            Err(Unreadable::Failed(problem)) => return Err(problem),
        },
    };
    Ok(Message {
        position: record.position.clone(),
        kind: record.kind.clone(),
        class: record.class.clone(),
        received_at: Timestamp::from_millisecond(record.received_at).unwrap_or_default().to_string(),
        access: shown,
        opened,
    })
}

enum Unreadable {
    /// The subject's key was destroyed: the record says nothing any more.
    Erased,
    Failed(Problem),
}

async fn open<P: Ports>(parts: &Parts<P>, record: &StoredRecord) -> Result<Opened, Unreadable> {
    let failed = |problem: Problem| {
        // The place is a pseudonym: an operator can find the record by it.
        tracing::error!(conversation = %record.conversation, item = %record.item, problem = problem.slug(), "stored record cannot be opened");
        Unreadable::Failed(problems::INTERNAL)
    };
    let index = parts.index().await.map_err(|e| Unreadable::Failed(problems::of_key_error(e)))?;
    let subject = key_subject(record.subject.as_deref(), &record.conversation, &index);
    let purpose = purpose_of(record);
    let key = match parts.keys.subject_key_for_opening(purpose, &subject).await {
        Ok(key) => key,
        Err(KeyError::Missing) => return Err(Unreadable::Erased),
        Err(KeyError::Unavailable) => return Err(Unreadable::Failed(problems::UNAVAILABLE)),
        Err(e) => return Err(failed(problems::of_key_error(e))),
    };
    let place = place(&record.conversation, &record.item);
    let binding = RecordBinding { table: &parts.table, record: &place, subject: &subject, purpose };
    let mut opener =
        RecordOpener::new(&key, &binding, &record.header).map_err(|_| failed(problems::CANNOT_OPEN))?;

    let mut text = |name: &str| -> Result<Option<Zeroizing<Vec<u8>>>, OpenError> {
        let Some(sealed) = record.fields.get(name) else { return Ok(None) };
        let mut plain = Zeroizing::new(Vec::new());
        opener.open(name, sealed, &mut plain)?;
        Ok(Some(plain))
    };
    let mut read = || -> Result<Opened, OpenError> {
        let string = |bytes: Zeroizing<Vec<u8>>| String::from_utf8_lossy(&bytes).into_owned();
        let value = |bytes: Zeroizing<Vec<u8>>| serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Opened {
            id: text("id")?.map(string).unwrap_or_default(),
            subject: text("subject")?.map(string),
            contact: text("contact")?.map(value),
            item: text("item")?.map_or(Value::Null, value),
            origin: text("origin")?.map_or(Value::Null, value),
        })
    };
    read().map_err(|_| failed(problems::CANNOT_OPEN))
}

/// The header says which key sealed the record; a header that lies does not open.
fn purpose_of(record: &StoredRecord) -> Purpose {
    portcullis_pii::envelope::Header::parse(&record.header).map_or(Purpose::Conversation, |h| h.purpose())
}

fn masked<P: Ports>(parts: &Parts<P>, mut opened: Opened) -> Opened {
    opened.id = mask_all(&opened.id);
    opened.subject = opened.subject.as_deref().map(mask_all);
    let show = |personal: bool, text: &str| {
        if personal { mask_all(text) } else { mask(text, &parts.detector.scan(text)) }
    };
    let is_personal =
        |name: &str| is_technical(name) || parts.policy.class_of_field(name) >= Some(Class::Pii);
    if let Some(contact) = &mut opened.contact {
        mask_leaves(contact, true, &is_personal, &show);
    }
    // What kind of item it is stands beside the item already: nothing in it is shown for its name's sake.
    mask_leaves(&mut opened.item, false, &is_personal, &show);
    opened
}

/// Masks every text under `value`. `personal` holds below a member with a personal name, however deep. Numbers are left
/// out: a place on earth is two of them.
fn mask_leaves(
    value: &mut Value,
    personal: bool,
    is_personal: &dyn Fn(&str) -> bool,
    show: &dyn Fn(bool, &str) -> String,
) {
    match value {
        Value::String(text) => *text = show(personal, text),
        Value::Array(values) => values.iter_mut().for_each(|v| mask_leaves(v, personal, is_personal, show)),
        Value::Object(members) => members
            .iter_mut()
            .for_each(|(name, v)| mask_leaves(v, personal || is_personal(name), is_personal, show)),
        Value::Number(_) => *value = Value::Null,
        Value::Null | Value::Bool(_) => {}
    }
}

/// How much a word of [`show`] lets a caller see.
fn rank(word: &str) -> usize {
    ["none", "erased", "masked", "full"].iter().position(|known| *known == word).unwrap_or(0)
}

/// Somebody who may see nothing personal learns not even which conversations there are.
fn allowed_to_read<P: Ports>(parts: &Parts<P>, caller: &Caller) -> Result<(), Problem> {
    match best_access(parts, caller, Class::Pii) {
        Access::Full | Access::Masked => Ok(()),
        Access::None => Err(problems::FORBIDDEN),
    }
}

fn page_request(event: &ProxyEvent<'_>) -> Result<PageRequest, Problem> {
    let limit = match event.query.value("limit") {
        None => DEFAULT_PAGE,
        Some(text) => {
            text.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)).ok_or(problems::BAD_REQUEST)?
        }
    };
    let after = event.query.value("after");
    if after.is_some_and(|a| a.len() > 64 || !a.bytes().all(|b| b.is_ascii_digit() || b == b'#')) {
        return Err(problems::BAD_REQUEST);
    }
    Ok(PageRequest { limit, after: after.map(str::to_owned) })
}

/// What a conversation's pseudonym is made of: anything else cannot exist.
fn is_pseudonym(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn json(answer: &impl Serialize) -> Result<ProxyResponse, Problem> {
    let body = serde_json::to_string(answer).map_err(|_| problems::INTERNAL)?;
    Ok(ProxyResponse::json(200, body))
}

const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 200;
const MAX_FOUND: usize = 100;
