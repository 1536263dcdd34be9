//! Takes messages off the queues: classify, seal, store once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_lc_rs::digest;
use futures_util::future::join_all;
use portcullis_base::{Clock, Timestamp};
use portcullis_lambda::Reading;
use portcullis_pii::{
    Class, Classification, DeadLetter, DeadLetters, KeyError, Purpose, PutOutcome, RecordBinding,
    RecordError, RecordSealer, Records, StoredRecord, SubjectId,
};
use portcullis_webhook::{
    Body, ClaimCheck, ClaimCheckError, ClaimTicket, Lane, MessageContext, QueueMessage,
};

use crate::content::Words;
use crate::outside::make_room;
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
    /// How many of those that were stored are of each class, in the order of [`Class::ALL`].
    pub classes: [usize; 4],
}

/// Consumes a batch. Groups go on side by side; within a group the order is kept, and after a failure the rest of the
/// group stays in the queue too, so that nothing overtakes. No item is begun after `until`.
pub(crate) async fn consume<P: Ports>(parts: &Parts<P>, items: &[Arrived<'_>], until: Timestamp) -> Consumed {
    let mut groups: BTreeMap<(Lane, &str), Vec<(usize, &Arrived<'_>)>> = BTreeMap::new();
    for (i, item) in items.iter().enumerate() {
        groups.entry((item.lane, item.group)).or_default().push((i, item));
    }
    let outcomes = join_all(groups.into_values().map(|group| consume_group(parts, group, until))).await;
    let mut all = Consumed::default();
    for one in outcomes {
        all.failed.extend(one.failed);
        all.stored += one.stored;
        all.repeated += one.repeated;
        all.dead += one.dead;
        for (all, one) in all.classes.iter_mut().zip(one.classes) {
            *all += one;
        }
    }
    all.failed.sort_unstable();
    report(parts, &all);
    all
}

async fn consume_group<P: Ports>(
    parts: &Parts<P>,
    group: Vec<(usize, &Arrived<'_>)>,
    until: Timestamp,
) -> Consumed {
    let mut done = Consumed::default();
    let mut rest = group.into_iter();
    while let Some((i, item)) = rest.next() {
        let settled =
            if parts.clock.now() < until { settle(parts, item).await } else { Err("no time is left") };
        match settled {
            Ok(Settled::Stored(class)) => {
                done.stored += 1;
                let place = Class::ALL.iter().position(|known| *known == class);
                if let Some(n) = place.and_then(|place| done.classes.get_mut(place)) {
                    *n += 1;
                }
            }
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
    Stored(Class),
    Repeated,
    Dead,
}

/// Processes an item or puts it aside. An error means that it was neither: it must stay in the queue.
async fn settle<P: Ports>(parts: &Parts<P>, item: &Arrived<'_>) -> Result<Settled, &'static str> {
    match process(parts, item).await {
        Ok((PutOutcome::Stored, class)) => Ok(Settled::Stored(class)),
        Ok((PutOutcome::AlreadyThere, _)) => Ok(Settled::Repeated),
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

async fn process<P: Ports>(parts: &Parts<P>, item: &Arrived<'_>) -> Result<(PutOutcome, Class), Trouble> {
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
    let (mut record, class) = seal(parts, &message, context, item.sequence).await?;
    let kept = record.expires_at.saturating_sub(parts.clock.now().as_second()).max(0);
    let days = u32::try_from((kept + SECONDS_A_DAY - 1) / SECONDS_A_DAY).unwrap_or(u32::MAX);
    make_room(parts, &mut record, days).await.map_err(|_| Trouble::Passing("record objects unavailable"))?;
    let outcome = parts.records.put_if_absent(&record).await.map_err(|e| match e {
        RecordError::Unavailable | RecordError::Refused => {
            Trouble::Passing("conversations table unavailable")
        }
        RecordError::NotTaken | RecordError::Malformed => Trouble::Poison("record-refused"),
    })?;
    if outcome == PutOutcome::Stored && is_late(&message, context) {
        parts.metrics.emit(parts.clock.now(), &[], &[Reading::count("LateItems", 1.0)]);
    }
    Ok((outcome, class))
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
) -> Result<(StoredRecord, Class), Trouble> {
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

    let class = classify(parts, context);
    let record = StoredRecord {
        conversation: message.conversation.clone().into_owned(),
        item: item_digest,
        position: format!("{:013}#{:08}#{sequence:0>20}", message.received_at.max(0), message.place),
        subject,
        kind: message.kind.clone().into_owned(),
        class: class.class.as_str().to_owned(),
        received_at: message.received_at,
        expires_at: expires_at(message, context, class.retention_days, parts.clock.now()),
        header: sealer.header().to_vec(),
        fields,
        outside: BTreeMap::new(),
    };
    Ok((record, class.class))
}

/// By everything that the record holds: the words, and whose they are. Whose is not always said in one place: a part of a
/// history, a list of contacts, the changes of a group name many people, and what is unknown may. It counts as if it said so.
fn classify<'p, P: Ports>(parts: &'p Parts<P>, context: &MessageContext<'_>) -> Classification<'p> {
    let item = Words::of(context.item.get());
    let contact = context.contact.map(|contact| Words::of(contact.get()));
    let words = item.named("content").into_iter();
    let who = contact.iter().flat_map(|contact| contact.named("name"));
    let of_somebody = !context.field.as_deref().is_some_and(|field| ABOUT_NOBODY.contains(&field));
    let number = context.subject.as_deref().or_else(|| of_somebody.then_some(SOMEBODY));
    let number = number.map(|number| ("wa_id", number));
    parts.policy.classify(&parts.detector, words.chain(who).chain(number))
}

/// The retention counts from the message's own time: a recorded request that is sent again gains none by it. What comes
/// late for whatever reason (Meta tries for seven days, a queue keeps for weeks) is kept for a day.
fn expires_at(message: &QueueMessage<'_>, context: &MessageContext<'_>, days: u32, now: Timestamp) -> i64 {
    let received = message.received_at.div_euclid(1_000);
    let began = context.timestamp.map_or(received, |own| own.min(received));
    let end = began.saturating_add(i64::from(days).saturating_mul(SECONDS_A_DAY));
    end.max(now.as_second().saturating_add(SECONDS_A_DAY))
}

/// Whether it came later than Meta tries: recorded and sent again, or Meta's sample, or a clock that is wrong.
fn is_late(message: &QueueMessage<'_>, context: &MessageContext<'_>) -> bool {
    let received = message.received_at.div_euclid(1_000);
    context.timestamp.is_some_and(|own| received.saturating_sub(own) > LATEST_SECONDS)
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
    for (class, n) in Class::ALL.iter().zip(done.classes).filter(|(_, n)| *n > 0) {
        parts.metrics.emit(
            parts.clock.now(),
            &[("Class", class.as_str())],
            &[Reading::count("RecordsByClass", n as f64)],
        );
    }
}

/// Fields of a webhook that tell of the account, its templates and its own numbers. `security` names who works for it.
/// <https://developers.facebook.com/docs/graph-api/webhooks/reference/whatsapp-business-account>
const ABOUT_NOBODY: [&str; 20] = [
    "account_alerts",
    "account_offboarded",
    "account_reconnected",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "business_capability_update",
    "business_status_update",
    "business_username_update",
    "flows",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "template_category_update",
    "template_correct_category_detection",
    "template_performance_metrics",
];
/// A person of whom no number is at hand: nothing that a detector finds.
const SOMEBODY: &str = "somebody";
/// A webhook body is at most 3 MB; with its context around it an item cannot be larger than this.
const MAX_CLAIM_BYTES: usize = 4 * 1024 * 1024;
const SECONDS_A_DAY: i64 = 86_400;
/// Meta tries a failed webhook again for seven days; one more for clocks.
/// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started#webhook-updates>
const LATEST_SECONDS: i64 = 8 * SECONDS_A_DAY;
