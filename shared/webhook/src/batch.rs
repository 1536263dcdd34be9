//! One pass over a body: where its items stand, and what frames them.

mod contacts;
mod draft;

use std::borrow::Cow;

use self::contacts::Contact;
pub(crate) use self::contacts::Contacts;
use self::draft::Head;
pub(crate) use self::draft::{Change, Draft, Shape};
use crate::json::{NotJson, Reader, Text};

/// What a body holds, before anything is decided about it.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    pub(crate) drafts: Vec<Draft<'a>>,
    pub(crate) changes: Vec<Change<'a>>,
    pub(crate) contacts: Contacts<'a>,
}

/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    NotJson,
    TooMany,
}

impl From<NotJson> for Halt {
    fn from(_: NotJson) -> Self {
        Self::NotJson
    }
}

impl<'a> Batch<'a> {
    /// Reads a body of at most `max_items` items, entries and contacts.
    pub(crate) fn read(reader: Reader<'a>, max_items: usize) -> Result<Self, Halt> {
        // Most bodies hold one item.
        let batch = Self { drafts: Vec::with_capacity(1), ..Self::default() };
        let mut scan = Scan { reader, batch, frame: NO_FRAME, max_items };
        scan.root()?;
        scan.reader.end()?;
        Ok(scan.batch)
    }

    /// A body that travels as one item.
    pub(crate) fn whole(raw: &'a str) -> Self {
        let draft = Draft { shape: Shape::Stray(None), raw, head: Head::default(), change: NO_FRAME };
        Self { drafts: vec![draft], ..Self::default() }
    }
}

struct Scan<'a> {
    reader: Reader<'a>,
    batch: Batch<'a>,
    /// Index of the [`Change`] that frames what is being read.
    frame: usize,
    max_items: usize,
}

/// What the members of a `value` have shown.
#[derive(Default)]
struct Value<'a> {
    raw: &'a str,
    messaging_product: bool,
    start: Start,
}

/// How much had been found before something was read.
#[derive(Default, Clone, Copy)]
struct Start {
    drafts: usize,
    contacts: usize,
}

impl<'a> Scan<'a> {
    fn root(&mut self) -> Result<(), Halt> {
        let mark = self.reader.mark()?;
        let mut known = false;
        if self.reader.peek()? == b'{' {
            self.members(|scan, name| match name {
                "entry" if scan.reader.peek()? == b'[' => {
                    known = true;
                    scan.elements(Self::entry).map(|()| true)
                }
                "object" if scan.reader.peek()? == b'"' => scan.skip().map(|_| true),
                _ => Ok(false),
            })?;
        } else {
            self.skip()?;
        }
        self.or_whole(known, Start::default(), mark)
    }

    fn entry(&mut self) -> Result<(), Halt> {
        let mark = self.reader.mark()?;
        let start = self.start();
        let outer = self.enter();
        let first_frame = self.frame;
        let (mut account, mut time, mut known) = (None, None, false);
        if self.reader.peek()? == b'{' {
            self.members(|scan, name| match name {
                "id" if account.is_none() => {
                    account = scan.name_value()?;
                    Ok(account.is_some())
                }
                "time" if time.is_none() && !matches!(scan.reader.peek()?, b'{' | b'[') => {
                    time = Some(scan.skip()?).filter(|t| t.len() <= MAX_NAME);
                    Ok(time.is_some())
                }
                "changes" if scan.reader.peek()? == b'[' => {
                    known = true;
                    scan.elements(Self::change).map(|()| true)
                }
                _ => Ok(false),
            })?;
        } else {
            self.skip()?;
        }
        for change in self.batch.changes.iter_mut().skip(first_frame) {
            change.account.clone_from(&account);
            change.time = time;
        }
        self.or_whole(known, start, mark)?;
        self.frame = outer;
        Ok(())
    }

    fn change(&mut self) -> Result<(), Halt> {
        let mark = self.reader.mark()?;
        let start = self.start();
        let outer = self.enter();
        let (mut field, mut value, mut twice) = (None, None, false);
        if self.reader.peek()? == b'{' {
            self.members(|scan, name| match name {
                "field" if field.is_none() => {
                    field = scan.name_value()?;
                    Ok(field.is_some())
                }
                "value" if value.is_none() => {
                    value = Some(scan.value()?);
                    Ok(true)
                }
                // Which one counts is the sender's to say: all of the change travels.
                "field" | "value" => {
                    twice = true;
                    Ok(false)
                }
                _ => Ok(false),
            })?;
        } else {
            self.skip()?;
        }
        if let Some(value) = &value {
            self.settle(value, field.as_deref());
        }
        if let Some(change) = self.batch.changes.get_mut(self.frame) {
            change.field = field;
        }
        self.or_whole(value.is_some() && !twice, start, mark)?;
        self.frame = outer;
        Ok(())
    }

    /// Decides, once the field is known, whether a `value` was a list of items or is an item itself.
    fn settle(&mut self, value: &Value<'a>, field: Option<&str>) {
        let elements = self.batch.drafts.iter().skip(value.start.drafts);
        let any = elements.clone().any(|d| matches!(d.shape, Shape::Element(_)));
        if any && (value.messaging_product || field == Some("messages")) {
            return;
        }
        // Members that stood before or after the value in its change are no part of it.
        let others: Vec<_> =
            self.batch.drafts.drain(value.start.drafts..).filter(|d| !contains(value.raw, d.raw)).collect();
        self.batch.contacts.truncate(value.start.contacts);
        let draft = Draft { shape: Shape::Value, raw: value.raw, head: Head::default(), change: self.frame };
        self.batch.drafts.push(draft);
        self.batch.drafts.extend(others);
    }

    fn value(&mut self) -> Result<Value<'a>, Halt> {
        let mark = self.reader.mark()?;
        let mut value = Value { start: self.start(), ..Value::default() };
        if self.reader.peek()? == b'{' {
            let (mut started, mut metadata) = (false, false);
            while let Some(name) = self.reader.member(&mut started)? {
                let name = name.decode();
                match (&*name, self.reader.peek()?) {
                    ("messaging_product", b'"') => {
                        value.messaging_product = true;
                        self.skip()?;
                    }
                    ("metadata", b'{') if !metadata => {
                        metadata = true;
                        self.metadata()?;
                    }
                    ("contacts", b'[') => self.elements(Self::contact)?,
                    (_, b'[') => self.items(&short(name))?,
                    _ => self.stray(Some(name))?,
                }
            }
        } else {
            self.skip()?;
        }
        value.raw = self.reader.since(mark)?;
        Ok(value)
    }

    fn metadata(&mut self) -> Result<(), Halt> {
        let mark = self.reader.mark()?;
        let (mut id, mut display, mut odd, mut started) = (None, None, false, false);
        while let Some(name) = self.reader.member(&mut started)? {
            let slot = match &*name.decode() {
                "phone_number_id" => &mut id,
                "display_phone_number" => &mut display,
                _ => {
                    odd = true;
                    self.skip()?;
                    continue;
                }
            };
            odd |= slot.is_some();
            *slot = self.name_value()?;
            odd |= slot.is_none();
        }
        if let Some(change) = self.batch.changes.get_mut(self.frame) {
            change.phone_number_id = id;
            change.display_phone_number = display;
        }
        if odd {
            let raw = self.reader.since(mark)?;
            self.push(Shape::Stray(Some(Cow::Borrowed("metadata"))), raw, Head::default())?;
        }
        Ok(())
    }

    fn contact(&mut self) -> Result<(), Halt> {
        self.room()?;
        let mark = self.reader.mark()?;
        let (wa_id, user_id) = self.head()?.contact_names();
        let raw = self.reader.since(mark)?;
        self.batch.contacts.push(Contact::new(raw, wa_id, user_id, self.frame));
        Ok(())
    }

    #[expect(clippy::ptr_arg, reason = "the borrowed name is kept as borrowed in each item")]
    fn items(&mut self, array: &Cow<'a, str>) -> Result<(), Halt> {
        self.elements(|scan| {
            let mark = scan.reader.mark()?;
            let head = scan.head()?;
            let raw = scan.reader.since(mark)?;
            scan.push(Shape::Element(array.clone()), raw, head)
        })
    }

    /// Consumes an item, noting the members that decide about it.
    fn head(&mut self) -> Result<Head<'a>, Halt> {
        let mut head = Head::default();
        if self.reader.peek()? != b'{' {
            self.skip()?;
            return Ok(head);
        }
        let mut started = false;
        while let Some(name) = self.reader.member(&mut started)? {
            let name = name.decode();
            if name == "timestamp" {
                head.timestamp = Some(self.skip()?.trim_matches('"'));
                continue;
            }
            match head.slot(&name) {
                Some(slot) => *slot = self.reader.text()?.filter(|t| !t.is_empty() && t.len() <= MAX_NAME),
                None => drop(self.skip()?),
            }
        }
        Ok(head)
    }

    /// Goes through an object; what `known` does not take becomes an item. It may look at a value that it leaves.
    fn members(&mut self, mut known: impl FnMut(&mut Self, &str) -> Result<bool, Halt>) -> Result<(), Halt> {
        let mut started = false;
        while let Some(name) = self.reader.member(&mut started)? {
            let name = name.decode();
            let before = self.reader.clone();
            if !known(self, &name)? {
                self.reader = before;
                self.stray(Some(name))?;
            }
        }
        Ok(())
    }

    fn elements(&mut self, element: impl Fn(&mut Self) -> Result<(), Halt>) -> Result<(), Halt> {
        let mut started = false;
        while self.reader.element(&mut started)? {
            element(self)?;
        }
        Ok(())
    }

    fn stray(&mut self, name: Option<Cow<'a, str>>) -> Result<(), Halt> {
        let raw = self.skip()?;
        self.push(Shape::Stray(name.map(short)), raw, Head::default())
    }

    /// A container that lacks what makes it known, or in which nothing was found, is an item itself.
    fn or_whole(&mut self, known: bool, start: Start, mark: usize) -> Result<(), Halt> {
        if known && self.batch.drafts.len() > start.drafts {
            return Ok(());
        }
        self.batch.drafts.truncate(start.drafts);
        self.batch.contacts.truncate(start.contacts);
        let raw = self.reader.since(mark)?;
        self.push(Shape::Stray(None), raw, Head::default())
    }

    fn start(&self) -> Start {
        Start { drafts: self.batch.drafts.len(), contacts: self.batch.contacts.len() }
    }

    /// Opens a frame, and returns the one around it.
    fn enter(&mut self) -> usize {
        let outer = self.frame;
        self.frame = self.batch.changes.len();
        self.batch.changes.push(Change::default());
        outer
    }

    fn push(&mut self, shape: Shape<'a>, raw: &'a str, head: Head<'a>) -> Result<(), Halt> {
        self.room()?;
        self.batch.drafts.push(Draft { shape, raw, head, change: self.frame });
        Ok(())
    }

    fn room(&self) -> Result<(), Halt> {
        let used = self.batch.drafts.len() + self.batch.contacts.len();
        if used < self.max_items { Ok(()) } else { Err(Halt::TooMany) }
    }

    fn name_value(&mut self) -> Result<Option<Cow<'a, str>>, Halt> {
        Ok(self.reader.text()?.and_then(name_of))
    }

    fn skip(&mut self) -> Result<&'a str, Halt> {
        Ok(self.reader.value()?)
    }
}

fn name_of(text: Text<'_>) -> Option<Cow<'_, str>> {
    (!text.is_empty() && text.len() <= MAX_NAME).then(|| text.decode())
}

/// A member's name as context; one beyond all measure is not repeated in every item.
fn short(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.len() <= MAX_NAME { name } else { Cow::Borrowed("") }
}

/// Whether `inner` is a part of `outer`, both being parts of one text.
fn contains(outer: &str, inner: &str) -> bool {
    outer.as_bytes().as_ptr_range().contains(&inner.as_ptr())
}

// Identifiers are far shorter; what is longer is content.
const MAX_NAME: usize = 256;
const NO_FRAME: usize = usize::MAX;
