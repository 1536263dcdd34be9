//! An item as found, and what it says about itself.

use std::borrow::Cow;

use crate::json::Text;

/// What frames the items of a change.
#[derive(Default, Clone)]
pub(crate) struct Change<'a> {
    pub(crate) account: Option<Cow<'a, str>>,
    /// `entry[].time`, as written.
    pub(crate) time: Option<&'a str>,
    pub(crate) field: Option<Cow<'a, str>>,
    pub(crate) phone_number_id: Option<Cow<'a, str>>,
    pub(super) display_phone_number: Option<Cow<'a, str>>,
}

/// Where an item was found.
pub(crate) enum Shape<'a> {
    /// An element of that array in a `value`.
    Element(Cow<'a, str>),
    /// A whole `value`.
    Value,
    /// Something of no known shape, under that name where it has one.
    Stray(Option<Cow<'a, str>>),
}

/// An item as found.
pub(crate) struct Draft<'a> {
    pub(crate) shape: Shape<'a>,
    pub(crate) raw: &'a str,
    pub(crate) head: Head<'a>,
    /// Index of its [`Change`].
    pub(crate) change: usize,
}

/// The members of an item that decide where it goes. Of members that stand twice, the last counts, as in most parsers.
#[derive(Default, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) id: Option<Text<'a>>,
    pub(crate) kind: Option<Text<'a>>,
    pub(crate) status: Option<Text<'a>>,
    pub(crate) event: Option<Text<'a>>,
    /// As written, without quotes.
    pub(crate) timestamp: Option<&'a str>,
    from: Option<Text<'a>>,
    from_user_id: Option<Text<'a>>,
    to: Option<Text<'a>>,
    to_user_id: Option<Text<'a>>,
    wa_id: Option<Text<'a>>,
    user_id: Option<Text<'a>>,
    recipient_id: Option<Text<'a>>,
    recipient_user_id: Option<Text<'a>>,
    recipient_type: Option<Text<'a>>,
    participant_id: Option<Text<'a>>,
    participant_user_id: Option<Text<'a>>,
    group_id: Option<Text<'a>>,
    direction: Option<Text<'a>>,
}

impl<'a> Head<'a> {
    pub(super) fn of_contact(wa_id: Option<Text<'a>>, user_id: Option<Text<'a>>) -> Self {
        Self { wa_id, user_id, ..Self::default() }
    }

    pub(super) fn slot(&mut self, name: &str) -> Option<&mut Option<Text<'a>>> {
        Some(match name {
            "id" => &mut self.id,
            "type" => &mut self.kind,
            "from" => &mut self.from,
            "from_user_id" => &mut self.from_user_id,
            "status" => &mut self.status,
            "recipient_id" => &mut self.recipient_id,
            "recipient_user_id" => &mut self.recipient_user_id,
            "wa_id" => &mut self.wa_id,
            "user_id" => &mut self.user_id,
            "to" => &mut self.to,
            "to_user_id" => &mut self.to_user_id,
            "event" => &mut self.event,
            "direction" => &mut self.direction,
            "group_id" => &mut self.group_id,
            "recipient_type" => &mut self.recipient_type,
            "recipient_participant_id" => &mut self.participant_id,
            "recipient_participant_user_id" => &mut self.participant_user_id,
            _ => return None,
        })
    }

    /// The number and the user id by which a contact is found.
    pub(super) const fn contact_names(&self) -> (Option<Text<'a>>, Option<Text<'a>>) {
        (self.wa_id, self.user_id)
    }

    fn is_group_status(&self) -> bool {
        self.recipient_type.is_some_and(|t| t.decode() == "group")
    }
}

impl<'a> Draft<'a> {
    pub(crate) fn id(&self) -> Option<Cow<'a, str>> {
        self.head.id.map(Text::decode)
    }

    /// The participant of a group on whom a status reports.
    pub(crate) fn participant(&self) -> Option<Cow<'a, str>> {
        if !self.head.is_group_status() {
            return None;
        }
        self.head.participant_id.or(self.head.participant_user_id).map(Text::decode)
    }

    /// The group chat that the item belongs to.
    pub(crate) fn group(&self) -> Option<Cow<'a, str>> {
        let named = self.head.is_group_status().then_some(self.head.recipient_id).flatten();
        self.head.group_id.or(named).map(Text::decode)
    }

    /// The person whom the item concerns: a number where there is one, else a user id.
    pub(crate) fn subject(&self, change: &Change<'a>) -> Option<Cow<'a, str>> {
        let head = &self.head;
        if head.is_group_status() {
            return self.participant();
        }
        let outbound = self.is_outbound(change);
        let order = if outbound {
            [head.to, head.to_user_id, head.recipient_id, head.recipient_user_id, head.wa_id, head.user_id]
        } else {
            [
                head.from,
                head.wa_id,
                head.recipient_id,
                head.from_user_id,
                head.user_id,
                head.recipient_user_id,
            ]
        };
        let first = order.into_iter().flatten().next();
        first.or(if outbound { None } else { head.to.or(head.to_user_id) }).map(Text::decode)
    }

    /// Another name of the same person, by which its contact may be found.
    pub(crate) fn other_name(&self) -> Option<Cow<'a, str>> {
        let head = &self.head;
        head.from_user_id.or(head.user_id).or(head.recipient_user_id).or(head.to_user_id).map(Text::decode)
    }

    /// What the business itself sent: an echo, or a call that it placed.
    fn is_outbound(&self, change: &Change<'a>) -> bool {
        let placed = self.head.direction.is_some_and(|d| d.decode() == "BUSINESS_INITIATED");
        let echo = matches!(&self.shape, Shape::Element(name) if name == "message_echoes");
        let own = self.head.from.is_some()
            && change.display_phone_number.is_some()
            && self.head.from.map(Text::decode) == change.display_phone_number;
        placed || echo || own
    }
}
