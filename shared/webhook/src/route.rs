//! From a verified body to queue items. Nothing that is validly signed is dropped: what does not have a known shape
//! travels whole, marked `unknown`.
//!
//! | in the body | becomes |
//! |---|---|
//! | an element of an array in the `value` of a messaging change (`messages`, `statuses`, `calls`, unknown ones, …) | an item |
//! | the `value` of any other change, or of a messaging change without such elements | an item |
//! | a member that is not known where it stands; a contact that no item of its change matches | an item |
//! | an entry or change without any of these; a body without entries, or that is no object | an item |
//! | more than [`MAX_ITEMS`] of all these together | one item: the body |
//!
//! What frames the items (`object`, `messaging_product`, `metadata`, ids and times of entries) travels in each item's
//! context instead.

use std::borrow::Cow;

use portcullis_base::Timestamp;

use crate::batch::{Batch, Change, Contacts, Draft, Halt, Shape};
use crate::identity::{self, Anonymous};
use crate::json::{NotJson, Reader};
use crate::kind::Standing;
use crate::{ConversationKey, Kind, Party, Pseudonym, Routed, VerifiedWebhook};

/// More items than this in one body travel as one. Meta sends at most 1000; 3 MB of the smallest real updates are
/// fewer than this.
pub const MAX_ITEMS: usize = 20_000;

/// Room for the items of one microsecond: those without a sender stand after the others, one for each contact.
const PLACES: u64 = 100_000;

/// Routes every item of a verified body, in the order of the body.
///
/// Work and memory are linear in the size of the body.
///
/// # Errors
/// When the body is not JSON.
pub fn route<'a>(
    webhook: &VerifiedWebhook<'a>,
    key: &ConversationKey,
    accepted: Timestamp,
) -> Result<Vec<Routed<'a>>, NotJson> {
    let reader = webhook.reader()?;
    let batch = match Batch::read(reader.clone(), MAX_ITEMS) {
        Ok(batch) => batch,
        Err(Halt::NotJson) => return Err(NotJson),
        Err(Halt::TooMany) => Batch::whole(checked(reader)?),
    };
    let received_at = accepted.as_millisecond();
    let micros = accepted.as_microsecond().rem_euclid(1000).unsigned_abs();
    let mut router =
        Router { key, received_at, place: micros * PLACES, anonymous: Anonymous::default(), last: None };
    let Batch { drafts, changes, mut contacts } = batch;
    let mut items: Vec<Routed<'a>> = Vec::with_capacity(drafts.len());
    for draft in &drafts {
        items.push(router.routed(draft, changes.get(draft.change), &mut contacts));
    }
    for draft in contacts.unmatched() {
        items.push(router.routed(&draft, changes.get(draft.change), &mut Contacts::default()));
    }
    Ok(items)
}

/// The whole text as one JSON value.
fn checked(mut reader: Reader<'_>) -> Result<&str, NotJson> {
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

struct Router<'k, 'a> {
    key: &'k ConversationKey,
    received_at: i64,
    /// Of the next item.
    place: u64,
    anonymous: Anonymous,
    /// The last pseudonym made: neighbours in a batch are often of one conversation.
    last: Option<(Cow<'a, str>, usize, Pseudonym)>,
}

impl<'a> Router<'_, 'a> {
    fn routed(
        &mut self,
        draft: &Draft<'a>,
        change: Option<&Change<'a>>,
        contacts: &mut Contacts<'a>,
    ) -> Routed<'a> {
        let none = Change::default();
        let change = change.unwrap_or(&none);
        let kind = kind(draft, change);
        let subject = draft.subject(change);
        let field = match &draft.shape {
            Shape::Stray(name) => name.clone().or_else(|| change.field.clone()),
            _ => change.field.clone(),
        };
        let (id, dedup_id) = self.identify(draft, change, kind, field.as_deref());
        let place = self.place;
        self.place += 1;
        Routed {
            kind,
            id,
            dedup_id,
            conversation: self.conversation(draft, change, subject.as_ref()),
            received_at: self.received_at,
            place,
            timestamp: draft.head.timestamp.and_then(|t| t.parse().ok()),
            account: change.account.clone(),
            phone_number_id: change.phone_number_id.clone(),
            field,
            contact: subject
                .as_deref()
                .and_then(|s| contacts.take(draft.change, s, draft.other_name().as_deref())),
            subject,
            item: draft.raw,
        }
    }

    fn conversation(
        &mut self,
        draft: &Draft<'a>,
        change: &Change<'a>,
        subject: Option<&Cow<'a, str>>,
    ) -> Pseudonym {
        let number = change.phone_number_id.as_deref().unwrap_or_default();
        if let Some(group) = draft.group() {
            return self.key.pseudonym(number, Party::Group(&group));
        }
        let Some(subject) = subject else {
            return self.key.pseudonym("", Party::Account(change.account.as_deref().unwrap_or_default()));
        };
        if let Some((name, at, known)) = &self.last
            && name == subject
            && *at == draft.change
        {
            return *known;
        }
        let made = self.key.pseudonym(number, Party::User(subject));
        self.last = Some((subject.clone(), draft.change, made));
        made
    }

    fn identify(
        &mut self,
        draft: &Draft<'a>,
        change: &Change<'a>,
        kind: Kind,
        field: Option<&str>,
    ) -> (Cow<'a, str>, Cow<'a, str>) {
        let Some(id) = draft.id() else {
            let key = self.anonymous.key([
                change.account.as_deref().unwrap_or_default(),
                change.time.unwrap_or_default(),
                change.phone_number_id.as_deref().unwrap_or_default(),
                field.unwrap_or_default(),
                draft.raw,
            ]);
            return (Cow::Owned(key.clone()), Cow::Owned(key));
        };
        let key = match kind.standing() {
            Standing::Own => identity::join(id.clone(), &[]),
            Standing::Shared => self.shared(draft, change, kind, id.clone()),
        };
        (id, key)
    }

    /// The key of an item whose id may also be another item's.
    fn shared(&self, draft: &Draft<'a>, change: &Change<'a>, kind: Kind, id: Cow<'a, str>) -> Cow<'a, str> {
        let word = match kind {
            Kind::STATUS => draft.head.status,
            Kind::CALL => draft.head.event,
            _ => None,
        };
        let Some(word) = word.map(|w| w.decode()) else {
            return identity::join(id, &[&identity::content(draft.raw)]);
        };
        // Each participant of a group reports on its own, and must not be named in the clear.
        let participant = draft.participant().map(|name| {
            let number = change.phone_number_id.as_deref().unwrap_or_default();
            self.key.pseudonym(number, Party::User(&name)).to_hex()
        });
        match &participant {
            Some(participant) => identity::join(id, &[&word, participant]),
            None => identity::join(id, &[&word]),
        }
    }
}

fn kind(draft: &Draft<'_>, change: &Change<'_>) -> Kind {
    match &draft.shape {
        Shape::Element(name) => Kind::of_array(name).unwrap_or_else(|| match &**name {
            "messages" | "message_echoes" => {
                draft.head.kind.map_or(Kind::UNKNOWN, |t| Kind::of_message(&t.decode()))
            }
            _ => Kind::UNKNOWN,
        }),
        Shape::Value => Kind::of_field(change.field.as_deref().unwrap_or_default()),
        Shape::Stray(_) => Kind::UNKNOWN,
    }
}
