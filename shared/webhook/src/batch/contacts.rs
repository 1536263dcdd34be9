//! The contacts beside a batch's items, and which item each belongs to.

use std::borrow::Cow;
use std::collections::HashMap;

use super::draft::{Draft, Head, Shape};
use crate::json::Text;

/// An element of `contacts`.
pub(super) struct Contact<'a> {
    raw: &'a str,
    wa_id: Option<Text<'a>>,
    user_id: Option<Text<'a>>,
    change: usize,
    matched: bool,
}

/// The contacts of a batch.
#[derive(Default)]
pub(crate) struct Contacts<'a> {
    all: Vec<Contact<'a>>,
    by_name: Option<HashMap<(usize, Cow<'a, str>), usize>>,
}

impl<'a> Contacts<'a> {
    pub(super) fn push(&mut self, contact: Contact<'a>) {
        self.all.push(contact);
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.all.truncate(length);
    }

    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }

    /// The contact with one of these names among those of a change.
    pub(crate) fn take(&mut self, change: usize, name: &str, other: Option<&str>) -> Option<&'a str> {
        let at = self.find(change, name).or_else(|| self.find(change, other?))?;
        let contact = self.all.get_mut(at)?;
        contact.matched = true;
        Some(contact.raw)
    }

    /// Contacts that no item took: items themselves.
    pub(crate) fn unmatched(self) -> impl Iterator<Item = Draft<'a>> {
        self.all.into_iter().filter(|c| !c.matched).map(|c| Draft {
            shape: Shape::Stray(Some(Cow::Borrowed("contacts"))),
            raw: c.raw,
            head: Head::of_contact(c.wa_id, c.user_id),
            change: c.change,
        })
    }

    /// A few contacts are looked through; many are indexed first, so that the work stays linear.
    fn find(&mut self, change: usize, name: &str) -> Option<usize> {
        if self.all.len() <= FEW {
            return self.all.iter().position(|c| c.change == change && c.attachable() && c.is_named(name));
        }
        let index = self.by_name.get_or_insert_with(|| {
            let mut index = HashMap::with_capacity(self.all.len());
            for (at, contact) in self.all.iter().enumerate().filter(|(_, c)| c.attachable()) {
                for name in contact.names() {
                    index.entry((contact.change, name.decode())).or_insert(at);
                }
            }
            index
        });
        index.get(&(change, Cow::Borrowed(name))).copied()
    }
}

impl<'a> Contact<'a> {
    pub(super) const fn new(
        raw: &'a str,
        wa_id: Option<Text<'a>>,
        user_id: Option<Text<'a>>,
        change: usize,
    ) -> Self {
        Self { raw, wa_id, user_id, change, matched: false }
    }

    /// A contact is repeated in each of its items: a huge one would multiply the batch.
    const fn attachable(&self) -> bool {
        self.raw.len() <= MAX_CONTACT
    }

    fn names(&self) -> impl Iterator<Item = Text<'a>> {
        [self.wa_id, self.user_id].into_iter().flatten()
    }

    fn is_named(&self, name: &str) -> bool {
        self.names().any(|n| n.decode() == name)
    }
}

const MAX_CONTACT: usize = 2048;

const FEW: usize = 8;
