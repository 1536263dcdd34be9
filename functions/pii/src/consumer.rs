//! Takes messages off the queues: classify, seal, store once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_lc_rs::digest;
use futures_util::future::join_all;
use portcullis_base::Clock;
use portcullis_lambda::Reading;
use portcullis_pii::{
    DeadLetter, DeadLetters, KeyError, Purpose, PutOutcome, RecordBinding, RecordError, RecordSealer,
    Records, StoredRecord, SubjectId,
};
use portcullis_webhook::{
    Body, ClaimCheck, ClaimCheckError, ClaimTicket, Lane, MessageContext, QueueMessage,
};

use serde_json::Value;

use crate::content::content;
use crate::place::{key_subject, place};
use crate::{Parts, Ports};

/// A message as it came off a queue.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// Which queue.
    pub lane: Lane,
    /// Its group there.
    pub group: &'a str,
    /// Its deduplication id there.
    pub dedup_id: &'a str,
    /// Its sequence number there: grows within a group.
    pub sequence: &'a str,
    /// The message: a [`QueueMessage`] as JSON.
    pub body: &'a str,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consumed {
    /// Index of every item that stays in its queue, in order.
    pub failed: Vec<usize>,
    /// How many records were stored.
    pub stored: usize,
    /// How many had been stored before.
    pub repeated: usize,
    /// How many were put aside for good.
    pub dead: usize,
}

/// Consumes a batch. Groups go on side by side; within a group the order is kept, and after a failure the rest of the
/// group stays in the queue too, so that nothing overtakes.
pub(crate) async fn consume<P: Ports>(parts: &Parts<P>, items: &[Arrived<'_>]) -> Consumed {
    let mut groups: BTreeMap<(Lane, &str), Vec<(usize, &Arrived<'_>)>> = BTreeMap::new();
    for (i, item) in items.iter().enumerate() {
        groups.entry((item.lane, item.group)).or_default().push((i, item));
    }
    let outcomes = join_all(groups.into_values().map(|group| consume_group(parts, group))).await;
    let mut all = Consumed::default();
    for one in outcomes {
        all.failed.extend(one.failed);
        all.stored += one.stored;
        all.repeated += one.repeated;
        all.dead += one.dead;
    }
    all.failed.sort_unstable();
    report(parts, &all);
    all
}

async fn consume_group<P: Ports>(parts: &Parts<P>, group: Vec<(usize, &Arrived<'_>)>) -> Consumed {
    let mut done = Consumed::default();
    let mut rest = group.into_iter();
    while let Some((i, item)) = rest.next() {
        match settle(parts, item).await {
            Ok(Settled::Stored) => done.stored += 1,
            Ok(Settled::Repeated) => done.repeated += 1,
            Ok(Settled::Dead) => done.dead += 1,
            Err(reason) => {
                tracing::warn!(lane = item.lane.as_str(), reason = %reason, "item stays in its queue");
                done.failed.push(i);
                done.failed.extend(rest.map(|(i, _)| i));
                break;
            }
        }
    }
    done
}

enum Settled {
    Stored,
    Repeated,
    Dead,
}

/// Processes an item or puts it aside. An error means that it was neither: it must stay in the queue.
async fn settle<P: Ports>(parts: &Parts<P>, item: &Arrived<'_>) -> Result<Settled, &'static str> {
    match process(parts, item).await {
        Ok(PutOutcome::Stored) => Ok(Settled::Stored),
        Ok(PutOutcome::AlreadyThere) => Ok(Settled::Repeated),
        Err(Trouble::Passing(reason)) => Err(reason),
        Err(Trouble::Poison(reason)) => {
            let letter = DeadLetter {
                lane: item.lane.as_str(),
                group: item.group,
                dedup_id: item.dedup_id,
                body: item.body,
                reason,
            };
            parts.dead_letters.put(&letter).await.map_err(|_| "dead-letter queue unavailable")?;
            tracing::error!(lane = item.lane.as_str(), reason, "item put into the dead-letter queue");
            Ok(Settled::Dead)
        }
    }
}

enum Trouble {
    /// May pass: the item is tried again.
    Passing(&'static str),
    /// Will never pass.
    Poison(&'static str),
}

async fn process<P: Ports>(parts: &Parts<P>, item: &Arrived<'_>) -> Result<PutOutcome, Trouble> {
    let message: QueueMessage<'_> =
        serde_json::from_str(item.body).map_err(|_| Trouble::Poison("malformed-message"))?;
    if message.v != 1 {
        return Err(Trouble::Poison("unknown-version"));
    }
    let (object, claimed): (_, MessageContext<'_>);
    let context = match &message.body {
        Body::Inline(context) => context,
        Body::Claim(ticket) => {
            object = redeem(parts, ticket).await?;
            claimed = serde_json::from_slice(&object).map_err(|_| Trouble::Poison("malformed-claim"))?;
            &claimed
        }
    };
    let record = seal(parts, &message, context, item.sequence).await?;
    parts.records.put_if_absent(&record).await.map_err(|e| match e {
        RecordError::Unavailable | RecordError::Refused => {
            Trouble::Passing("conversations table unavailable")
        }
        RecordError::Malformed => Trouble::Poison("record-refused"),
    })
}

async fn redeem<P: Ports>(parts: &Parts<P>, ticket: &ClaimTicket) -> Result<Vec<u8>, Trouble> {
    let bytes = parts.claims.get(&ticket.key, MAX_CLAIM_BYTES).await.map_err(|e| match e {
        ClaimCheckError::NotFound => Trouble::Poison("claim-not-found"),
        ClaimCheckError::TooLarge => Trouble::Poison("claim-too-large"),
        ClaimCheckError::Refused | ClaimCheckError::Unavailable => {
            Trouble::Passing("claim check unavailable")
        }
    })?;
    // The bucket's content is only as trustworthy as its policy; the pointer came through the queue of the validator.
    let found = hex::encode(digest::digest(&digest::SHA256, &bytes));
    if found != ticket.sha256 || u64::try_from(bytes.len()) != Ok(ticket.bytes) {
        return Err(Trouble::Poison("claim-altered"));
    }
    Ok(bytes)
}

async fn seal<P: Ports>(
    parts: &Parts<P>,
    message: &QueueMessage<'_>,
    context: &MessageContext<'_>,
    sequence: &str,
) -> Result<StoredRecord, Trouble> {
    let purpose = match message.lane {
        Lane::Text => Purpose::Conversation,
        Lane::Media => Purpose::Media,
    };
    let index = parts.index().await.map_err(of_key_error)?;
    let subject = context.subject.as_deref().map(|s| index.subject_index(&SubjectId::from_whatsapp(s)));
    let key_subject = key_subject(subject.as_deref(), &message.conversation, &index);
    let key = parts.keys.subject_key_for_sealing(purpose, &key_subject).await.map_err(of_key_error)?;

    let item_digest = index.item_index(&message.dedup_id);
    let place = place(&message.conversation, &item_digest);
    let binding = RecordBinding { table: &parts.table, record: &place, subject: &key_subject, purpose };
    let mut sealer = RecordSealer::new(&key, &binding).map_err(|_| Trouble::Passing("sealing failed"))?;
    let mut fields = BTreeMap::new();
    for (name, value) in plaintexts(message, context) {
        let mut sealed = Vec::new();
        sealer.seal(name, value.as_bytes(), &mut sealed).map_err(|_| Trouble::Poison("field-too-large"))?;
        fields.insert(name.to_owned(), sealed);
    }
    if fields.values().map(Vec::len).sum::<usize>() > parts.max_record {
        return Err(Trouble::Poison("record-too-large"));
    }

    // Nested too deep to be taken apart: then everything in it counts as content.
    let item = serde_json::from_str::<Value>(context.item.get());
    let words = item.as_ref().map_or_else(|_| vec![("content", context.item.get())], content);
    let class = parts.policy.classify(&parts.detector, words);
    let now = parts.clock.now().as_second();
    Ok(StoredRecord {
        conversation: message.conversation.clone().into_owned(),
        item: item_digest,
        position: format!("{:013}#{:08}#{sequence:0>20}", message.received_at.max(0), message.place),
        subject,
        kind: message.kind.clone().into_owned(),
        class: class.class.as_str().to_owned(),
        received_at: message.received_at,
        expires_at: now.saturating_add(i64::from(class.retention_days).saturating_mul(SECONDS_A_DAY)),
        header: sealer.header().to_vec(),
        fields,
    })
}

/// What is sealed of a message: everything that came with it.
fn plaintexts<'a>(
    message: &'a QueueMessage<'_>,
    context: &'a MessageContext<'_>,
) -> impl Iterator<Item = (&'static str, Cow<'a, str>)> {
    let origin = serde_json::json!({
        "account": context.account,
        "phone_number_id": context.phone_number_id,
        "field": context.field,
        "timestamp": context.timestamp,
    });
    [
        ("id", Some(Cow::Borrowed(message.id.as_ref()))),
        ("subject", context.subject.as_deref().map(Cow::Borrowed)),
        ("contact", context.contact.map(|c| Cow::Borrowed(c.get()))),
        ("item", Some(Cow::Borrowed(context.item.get()))),
        ("origin", Some(Cow::Owned(origin.to_string()))),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|v| (name, v)))
}

fn of_key_error(error: KeyError) -> Trouble {
    match error {
        // A refusal is a matter of permissions or of a disabled key: it is mended outside, and nothing may be lost.
        KeyError::Unavailable | KeyError::Refused | KeyError::Missing => Trouble::Passing("keys unavailable"),
        KeyError::Invalid => Trouble::Passing("stored key does not unwrap"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of one batch")]
fn report<P: Ports>(parts: &Parts<P>, done: &Consumed) {
    parts.metrics.emit(
        parts.clock.now(),
        &[],
        &[
            Reading::count("RecordsStored", done.stored as f64),
            Reading::count("RecordsRepeated", done.repeated as f64),
            Reading::count("DeadLetters", done.dead as f64),
            Reading::count("ItemsFailed", done.failed.len() as f64),
        ],
    );
}

/// A webhook body is at most 3 MB; with its context around it an item cannot be larger than this.
const MAX_CLAIM_BYTES: usize = 4 * 1024 * 1024;
const SECONDS_A_DAY: i64 = 86_400;
