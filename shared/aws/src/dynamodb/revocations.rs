//! Revocations: one partition of the tokens table, in order of time.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `pk` | S | `revocations` |
//! | `sk` | S | `<milliseconds since the Unix epoch, 15 digits>#<random>`: by the clock of who revoked |
//! | `kind` | S | `token`, `family`, `subject` or `certificate` |
//! | `iss`, `jti`, `sid`, `sub`, `x5t` | S | as the kind needs |
//! | `before` | N | `subject`: milliseconds since the Unix epoch |
//! | `ends_at`, `expires_at` | N | see [`super::tokens`] |
//!
//! A poll is one Query of what is new. Items do not appear in order: a clock may be behind, and a write may take its
//! time. So a poll begins [`OVERLAP_MILLIS`] before the newest item that was seen, and items of that span come again:
//! adding them twice does no harm. Nothing is missed, because a writer whose clock is further behind cannot write: AWS
//! refuses a signature that is more than five minutes old
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html>).
//!
//! One partition takes 1000 writes and 3000 reads a second, and a revocation of tokens lives no longer than a token: days of
//! traffic are a few pages, and a subject or a certificate is revoked now and then. A burst beyond it is throttled, which its callers learn.

use aws_sdk_dynamodb::types::AttributeValue;
use portcullis_token::{
    Revocation, RevocationPage, RevocationStore, RevocationTarget, StoreError, Thumbprint,
};

use super::credentials::take_time;
use super::item::{Item, Malformed, number, string, take_string};
use super::table::{ends, mark, store_error};
use super::tokens::DynamoTokens;
use crate::failure::{Call, classify};

impl RevocationStore for DynamoTokens {
    async fn add(&self, revocation: &Revocation) -> Result<(), StoreError> {
        let put = self
            .0
            .client
            .put_item()
            .table_name(&self.0.name)
            .item("pk", string(PK))
            .item("sk", string(format!("{}#{}", digits(self.0.now()), mark()?)));
        let attributes = target_attributes(&revocation.target).into_iter().chain(ends(revocation.until));
        let put = attributes.fold(put, |put, (name, value)| put.item(name, value));
        put.send().await.map(drop).map_err(|e| store_error(classify(PUT, &e)))
    }

    async fn since(&self, cursor: Option<&str>) -> Result<RevocationPage, StoreError> {
        let cursor = cursor.map(Cursor::parse).unwrap_or_default();
        let answer = self
            .0
            .client
            .query()
            .table_name(&self.0.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk > :after")
            .expression_attribute_values(":pk", string(PK))
            .expression_attribute_values(":after", string(cursor.after()))
            .send()
            .await
            .map_err(|e| store_error(classify(QUERY, &e)))?;
        let more = answer.last_evaluated_key.is_some();
        Ok(page(answer.items.unwrap_or_default(), more, &cursor, self.0.now())?)
    }
}

/// How far reading came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Cursor {
    /// The time of the newest item that was seen; milliseconds since the Unix epoch.
    newest: Option<i64>,
    /// The item to go on after, where a poll takes several pages.
    within: Option<String>,
}

impl Cursor {
    /// A cursor that is not ours starts from the start: better twice than never.
    fn parse(text: &str) -> Self {
        let (newest, within) = text.split_once('|').unwrap_or((text, ""));
        let within = Some(within.to_owned()).filter(|within| !within.is_empty());
        let time = |text: &str| text.parse::<i64>().ok().filter(|time| *time >= 0);
        match (newest, time(newest)) {
            ("", _) => Self { newest: None, within },
            (_, None) => Self::default(),
            (_, newest) => Self { newest, within },
        }
    }

    /// The sort key after which to read.
    fn after(&self) -> String {
        match (&self.within, self.newest) {
            (Some(within), _) => within.clone(),
            (None, Some(newest)) => digits(newest.saturating_sub(OVERLAP_MILLIS)),
            // Every sort key begins with a digit.
            (None, None) => "!".to_owned(),
        }
    }

    fn text(&self) -> Option<String> {
        let newest = self.newest.map_or_else(String::new, |newest| newest.to_string());
        match &self.within {
            Some(within) => Some(format!("{newest}|{within}")),
            None => Some(newest).filter(|newest| !newest.is_empty()),
        }
    }
}

/// What ended counts as gone, but its time counts: what is new is newer. A time in the future counts as now, or one
/// wrong clock would hide what right ones write after it.
fn page(items: Vec<Item>, more: bool, cursor: &Cursor, now: i64) -> Result<RevocationPage, Malformed> {
    let mut next = Cursor { newest: cursor.newest, within: None };
    let mut page = RevocationPage { items: Vec::new(), cursor: None, more };
    for mut item in items {
        let sk = take_string(&mut item, "sk")?;
        let time = sk.get(..DIGITS).and_then(|digits| digits.parse::<i64>().ok()).ok_or(Malformed)?;
        next.newest = next.newest.max(Some(time.min(now)));
        next.within = Some(sk);
        let revocation = revocation_from(item)?;
        if revocation.until.as_millisecond() > now {
            page.items.push(revocation);
        }
    }
    if !more {
        next.within = None;
    } else if next.within.is_none() {
        // A page without items that is not the last: DynamoDB may answer so.
        next.within.clone_from(&cursor.within);
    }
    page.cursor = next.text();
    Ok(page)
}

fn target_attributes(target: &RevocationTarget) -> Vec<(&'static str, AttributeValue)> {
    match target {
        RevocationTarget::Token { iss, jti } => {
            vec![("kind", string("token")), ("iss", string(iss)), ("jti", string(jti))]
        }
        RevocationTarget::Family { sid } => vec![("kind", string("family")), ("sid", string(sid))],
        RevocationTarget::Subject { iss, sub, before } => vec![
            ("kind", string("subject")),
            ("iss", string(iss)),
            ("sub", string(sub)),
            ("before", number(before.as_millisecond())),
        ],
        RevocationTarget::Certificate { thumbprint } => {
            vec![("kind", string("certificate")), ("x5t", string(thumbprint.to_string()))]
        }
    }
}

fn revocation_from(mut item: Item) -> Result<Revocation, Malformed> {
    let until = take_time(&mut item, "ends_at")?;
    let target = match take_string(&mut item, "kind")?.as_str() {
        "token" => RevocationTarget::Token {
            iss: take_string(&mut item, "iss")?,
            jti: take_string(&mut item, "jti")?,
        },
        "family" => RevocationTarget::Family { sid: take_string(&mut item, "sid")? },
        "subject" => RevocationTarget::Subject {
            iss: take_string(&mut item, "iss")?,
            sub: take_string(&mut item, "sub")?,
            before: take_time(&mut item, "before")?,
        },
        "certificate" => RevocationTarget::Certificate {
            thumbprint: Thumbprint::parse(&take_string(&mut item, "x5t")?).ok_or(Malformed)?,
        },
        _ => return Err(Malformed),
    };
    Ok(Revocation { target, until })
}

/// A time of 1970 or later as text whose order is the order of times.
fn digits(millis: i64) -> String {
    format!("{:015}", millis.max(0))
}

const PK: &str = "revocations";
/// Until the year 33658.
const DIGITS: usize = 15;
/// Five minutes for the clock of a writer, and one for the time that its write takes.
const OVERLAP_MILLIS: i64 = 6 * 60 * 1_000;
const PUT: Call = Call { service: "dynamodb", operation: "PutItem" };
const QUERY: Call = Call { service: "dynamodb", operation: "Query" };

#[cfg(test)]
mod tests {
    use portcullis_base::Timestamp;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn revocation(jti: &str, until: i64) -> Revocation {
        Revocation { target: RevocationTarget::Token { iss: "i".into(), jti: jti.into() }, until: at(until) }
    }

    fn item(time: i64, revocation: &Revocation) -> Item {
        target_attributes(&revocation.target)
            .into_iter()
            .chain(ends(revocation.until))
            .chain([("sk", string(format!("{}#7", digits(time))))])
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    #[test]
    fn a_revocation_survives_the_table_and_nothing_less_is_one() {
        for target in [
            RevocationTarget::Token { iss: "i".into(), jti: "j".into() },
            RevocationTarget::Family { sid: "s".into() },
            RevocationTarget::Subject { iss: "i".into(), sub: "s".into(), before: at(-3) },
            RevocationTarget::Certificate { thumbprint: Thumbprint::of_certificate_der(b"c") },
        ] {
            let revocation = Revocation { target, until: at(9) };
            let whole = item(1, &revocation);
            assert_eq!(revocation_from(whole.clone()), Ok(revocation));
            for name in whole.keys().filter(|name| !["sk", "expires_at"].contains(&name.as_str())) {
                let mut without = whole.clone();
                without.remove(name);
                assert_eq!(revocation_from(without), Err(Malformed), "without {name}");
            }
        }
        let mut unknown = item(1, &revocation("j", 9));
        unknown.insert("kind".to_owned(), string("audience"));
        assert_eq!(
            revocation_from(unknown),
            Err(Malformed),
            "a kind that is not known must not be passed over"
        );
    }

    #[test]
    fn cursors_lead_back_to_where_they_came_from() {
        let cursor = |newest, within: Option<&str>| Cursor { newest, within: within.map(str::to_owned) };
        for known in [cursor(Some(5), None), cursor(Some(5), Some("x#1")), cursor(None, Some("x#1"))] {
            assert_eq!(Cursor::parse(&known.text().unwrap()), known);
        }
        assert_eq!(cursor(None, None).text(), None);
        for foreign in ["", "x", "-1", "1.5", "x|y"] {
            assert_eq!(Cursor::parse(foreign), Cursor::default(), "{foreign}");
        }
    }

    #[test]
    fn a_poll_begins_before_the_newest_item_and_a_page_after_the_last() {
        let now = 1_800_000_000_000;
        let start = Cursor::default();
        let items = vec![item(now - 500, &revocation("a", now + 1)), item(now - 200, &revocation("b", now))];
        let read = page(items.clone(), false, &start, now).unwrap();
        assert_eq!(read.items, [revocation("a", now + 1)], "what has ended is gone");
        let cursor = Cursor::parse(&read.cursor.unwrap());
        assert_eq!(cursor.after(), digits(now - 200 - OVERLAP_MILLIS), "its time counts");
        assert!(cursor.after().as_str() < "001799999640000#", "a writer six minutes behind is seen");

        let first = page(items, true, &cursor, now).unwrap();
        let within = Cursor::parse(&first.cursor.unwrap());
        assert_eq!((first.more, within.after()), (true, format!("{}#7", digits(now - 200))));
        let empty = page(vec![], false, &within, now).unwrap();
        assert_eq!(
            Cursor::parse(&empty.cursor.unwrap()),
            cursor,
            "nothing new: the poll begins where it did"
        );
        assert_eq!(page(vec![], false, &start, now).unwrap().cursor, None);
    }

    #[test]
    fn one_clock_that_is_ahead_hides_nothing() {
        let now = 1_800_000_000_000;
        let ahead = vec![item(now + 86_400_000, &revocation("a", now + 1))];
        let cursor = Cursor::parse(&page(ahead, false, &Cursor::default(), now).unwrap().cursor.unwrap());
        assert_eq!(cursor.newest, Some(now));
    }

    #[test]
    fn order_of_sort_keys_is_order_of_times() {
        let times = [-1, 0, 9, 10, 1_800_000_000_000, 999_999_999_999_999];
        let keys: Vec<_> = times.map(digits).into();
        assert!(keys.is_sorted(), "{keys:?}");
        assert!(keys.iter().all(|key| key.len() == DIGITS && Cursor::default().after() < *key));
    }
}
