//! `GET /conversations/{id}` and `POST /conversations/search`.

use portcullis_audit::Kind;
use portcullis_base::{Clock, Problem, Timestamp};
use portcullis_lambda::{ProxyEvent, ProxyResponse, Reading, Text};
use portcullis_pii::envelope::OpenError;
use portcullis_pii::{
    Access, Class, KeyError, PageRequest, Purpose, RecordBinding, RecordOpener, Records, StoredRecord,
    SubjectId, mask_all,
};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use zeroize::Zeroizing;

use crate::audit::{Done, KEY_REPLACED, Seen};
use crate::json::embeddable;
use crate::masked::{masked_contact, masked_item};
use crate::outside::{Missing, all_fields, sealed_bytes};
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
    let mut page = parts
        .records
        .conversation(conversation, &page_request(event)?)
        .await
        .map_err(problems::of_record_error)?;
    count_overdue(parts, &page.records);
    let now = parts.clock.now().as_second();
    page.records.retain(|record| record.expires_at > now);
    if page.records.is_empty() && page.next.is_none() {
        return Err(problems::NOT_FOUND);
    }
    let mut messages: Vec<Message> = Vec::with_capacity(page.records.len());
    let (mut room, mut unread) = (MAX_ANSWER_BYTES, MAX_SEALED_BYTES);
    for record in &page.records {
        let sealed = sealed_bytes(record);
        if let Some(last) = messages.last().filter(|_| sealed > unread) {
            page.next = Some(last.position.clone());
            break;
        }
        unread = unread.saturating_sub(sealed);
        let message = show(parts, caller, record).await?;
        let bytes = bytes_in_answer(&message)?;
        // What alone is over came in by a request of the same limit.
        if let Some(last) = messages.last().filter(|_| bytes > room) {
            page.next = Some(last.position.clone());
            break;
        }
        room = room.saturating_sub(bytes);
        messages.push(message);
    }
    let most =
        messages.iter().map(|message| message.access).max_by_key(|word| rank(word)).unwrap_or_default();
    let mut read = Seen::new(Kind::PiiRead, "conversation", conversation)
        .with("messages", messages.len().to_string())
        .with("access", most);
    let erased = messages.iter().filter(|message| message.access == ERASED).count();
    if erased > 0 {
        read = read.with("erased", erased.to_string());
    }
    let unopened = [problems::CANNOT_OPEN.slug(), KEY_REPLACED].into_iter().filter_map(|reason| {
        let shown = page.records.iter().zip(&messages);
        let of_reason = shown.filter(|(_, message)| message.unopened == Some(reason));
        let items: Vec<_> = of_reason.map(|(record, _)| &*record.item).collect();
        Seen::unreadable(conversation, reason, &items)
    });
    let seen = std::iter::once(read).chain(unopened).collect();
    let answer = json(&Conversation { conversation, messages, next: page.next })?;
    Ok(Done { answer, seen })
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
    Ok(Done { answer: json(&Found { conversations })?, seen: vec![seen] })
}

/// Counts what should be gone by its retention. The table deletes "within a few days" of the time that a record bears.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ttl-expired-items.html>
#[expect(clippy::cast_precision_loss, reason = "counts of one page")]
fn count_overdue<P: Ports>(parts: &Parts<P>, records: &[StoredRecord]) {
    let now = parts.clock.now();
    let last = now.as_second().saturating_sub(DELETION_SECONDS);
    let overdue = records.iter().filter(|record| record.expires_at < last).count();
    if overdue > 0 {
        tracing::error!(overdue, "records that retention should have removed");
        parts.metrics.emit(now, &[], &[Reading::count("RetentionViolations", overdue as f64)]);
    }
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
    /// Why it does not open, where somebody may have tampered with it: for the audit trail.
    #[serde(skip)]
    unopened: Option<&'static str>,
    #[serde(flatten)]
    opened: Option<Opened>,
}

/// The sealed fields of a message, opened. JSON fields are embedded as JSON, so that every reader can take them apart.
#[derive(Serialize)]
struct Opened {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Box<RawValue>>,
    item: Box<RawValue>,
    origin: Box<RawValue>,
}

/// The sealed fields of a message as they were sealed.
struct Plain {
    id: String,
    subject: Option<String>,
    contact: Option<String>,
    item: String,
    origin: String,
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
    let mut unopened = None;
    let (shown, opened) = match access {
        Access::None => ("none", None),
        Access::Full | Access::Masked => match open(parts, record).await {
            Ok(plain) if access == Access::Full => ("full", Some(whole(plain).ok_or(problems::INTERNAL)?)),
            Ok(plain) => ("masked", Some(masked(parts, plain).ok_or(problems::INTERNAL)?)),
            Err(Unreadable::Erased) => (ERASED, None),
            Err(Unreadable::Replaced) => {
                unopened = Some(KEY_REPLACED);
                (ERASED, None)
            }
            Err(Unreadable::Damaged) => {
                unopened = Some(problems::CANNOT_OPEN.slug());
                (UNREADABLE, None)
            }
            Err(Unreadable::Failed(problem)) => return Err(problem),
        },
    };
    Ok(Message {
        position: record.position.clone(),
        kind: record.kind.clone(),
        class: record.class.clone(),
        received_at: Timestamp::from_millisecond(record.received_at).unwrap_or_default().to_string(),
        access: shown,
        unopened,
        opened,
    })
}

enum Unreadable {
    /// The subject's key was destroyed: the record says nothing any more.
    Erased,
    /// The subject has a key that may be younger than the record. See [`KEY_REPLACED`].
    Replaced,
    /// Somebody or something changed or moved it, its object, or the subject's key. The others of its page are whole.
    Damaged,
    /// Nothing can be read now.
    Failed(Problem),
}

async fn open<P: Ports>(parts: &Parts<P>, record: &StoredRecord) -> Result<Plain, Unreadable> {
    let damaged = |problem: Problem| {
        // The place is a pseudonym: an operator can find the record by it.
        tracing::error!(conversation = %record.conversation, item = %record.item, problem = problem.slug(), "stored record cannot be opened");
        Unreadable::Damaged
    };
    let index = parts.index().await.map_err(|e| Unreadable::Failed(problems::of_key_error(e)))?;
    let subject = key_subject(record.subject.as_deref(), &record.conversation, &index);
    let purpose = purpose_of(record);
    let key = match parts.keys.subject_key_for_opening(purpose, &subject).await {
        Ok(key) => key,
        Err(KeyError::Missing) => return Err(Unreadable::Erased),
        Err(KeyError::Invalid) => return Err(damaged(problems::CANNOT_OPEN)),
        Err(e @ (KeyError::Unavailable | KeyError::Refused)) => {
            return Err(Unreadable::Failed(problems::of_key_error(e)));
        }
    };
    let place = place(&record.conversation, &record.item);
    let binding = RecordBinding { table: &parts.table, record: &place, subject: &subject, purpose };
    let mut opener = RecordOpener::new(&key, &binding, &record.header).map_err(|error| match error {
        // Of the person who wrote again after an erasure: the key that sealed this is gone.
        OpenError::NotThisRecord if may_be_older(parts, record, key.created_at()) => Unreadable::Replaced,
        OpenError::Provider(_) => Unreadable::Failed(problems::INTERNAL),
        _ => damaged(problems::CANNOT_OPEN),
    })?;

    let fields = all_fields(parts, record).await.map_err(|missing| match missing {
        Missing::Unavailable => Unreadable::Failed(problems::UNAVAILABLE),
        Missing::Refused => Unreadable::Failed(problems::INTERNAL),
        Missing::Altered => damaged(problems::CANNOT_OPEN),
    })?;

    let mut text = |name: &str| -> Result<Option<String>, OpenError> {
        let Some(sealed) = fields.get(name) else { return Ok(None) };
        let mut plain = Zeroizing::new(Vec::new());
        opener.open(name, sealed, &mut plain)?;
        Ok(Some(String::from_utf8_lossy(&plain).into_owned()))
    };
    let mut read = || -> Result<Plain, OpenError> {
        Ok(Plain {
            id: text("id")?.unwrap_or_default(),
            subject: text("subject")?,
            contact: text("contact")?,
            item: text("item")?.unwrap_or_else(|| NOTHING.to_owned()),
            origin: text("origin")?.unwrap_or_else(|| NOTHING.to_owned()),
        })
    };
    read().map_err(|_| damaged(problems::CANNOT_OPEN))
}

/// Whether a record may have been sealed under the key before the one that was made then: a container goes on sealing under
/// a destroyed key while it has it cached. A record is received before it is sealed, so this holds of a person's first ones
/// too.
fn may_be_older<P: Ports>(parts: &Parts<P>, record: &StoredRecord, key_made_at: i64) -> bool {
    let cached = i64::try_from(parts.keys.erasure_takes_effect_within().as_millis()).unwrap_or(i64::MAX);
    record.received_at < key_made_at.saturating_add(cached)
}

/// The header says which key sealed the record; a header that lies does not open.
fn purpose_of(record: &StoredRecord) -> Purpose {
    portcullis_pii::envelope::Header::parse(&record.header).map_or(Purpose::Conversation, |h| h.purpose())
}

fn whole(plain: Plain) -> Option<Opened> {
    Some(Opened {
        id: plain.id,
        subject: plain.subject,
        contact: plain.contact.as_deref().and_then(embeddable),
        item: embeddable(&plain.item)?,
        origin: embeddable(&plain.origin)?,
    })
}

fn masked<P: Ports>(parts: &Parts<P>, plain: Plain) -> Option<Opened> {
    let contact = plain.contact.map(|contact| masked_contact(parts, &contact));
    Some(Opened {
        id: mask_all(&plain.id),
        subject: plain.subject.as_deref().map(mask_all),
        contact: contact.and_then(|contact| to_raw_value(&contact).ok()),
        item: to_raw_value(&masked_item(parts, &plain.item)).ok()?,
        origin: embeddable(&plain.origin)?,
    })
}

/// How much a word of [`show`] lets a caller see.
fn rank(word: &str) -> usize {
    ["none", ERASED, UNREADABLE, "masked", "full"].iter().position(|known| *known == word).unwrap_or(0)
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

/// How much of Lambda's answer a message takes: its JSON, as a string in JSON once more.
fn bytes_in_answer(message: &Message) -> Result<usize, Problem> {
    struct Escaped(usize);
    impl std::io::Write for Escaped {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let escaped = bytes.iter().filter(|b| matches!(b, b'"' | b'\\' | b'\n' | b'\r' | b'\t'));
            self.0 += bytes.len() + escaped.count();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut escaped = Escaped(1);
    serde_json::to_writer(&mut escaped, message).map_err(|_| problems::INTERNAL)?;
    Ok(escaped.0)
}

fn json(answer: &impl Serialize) -> Result<ProxyResponse, Problem> {
    let body = serde_json::to_string(answer).map_err(|_| problems::INTERNAL)?;
    Ok(ProxyResponse::json(200, body))
}

/// What [`show`] says of a record whose key was or may have been destroyed, and of one that somebody damaged.
const ERASED: &str = "erased";
const UNREADABLE: &str = "unreadable";
/// A field that was not sealed, as JSON.
const NOTHING: &str = "null";
const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 200;
const MAX_FOUND: usize = 100;
/// Lambda answers with 6 MB at most; less what is around the messages.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024 - 16 * 1024;
/// What one page opens: of large records a masked caller is shown little, but every one is fetched and taken apart, within
/// the 29 seconds of an answer and beside the function's memory.
const MAX_SEALED_BYTES: u64 = 16 * 1024 * 1024;
const DELETION_SECONDS: i64 = 7 * 86_400;
