//! The contract of [`DeadLetters`].

use std::future::Future;

use portcullis_pii::{DeadLetter, DeadLetters};

use super::fresh;

/// A dead letter as found where dead letters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The group it came from.
    pub group: String,
    /// Its deduplication id there.
    pub dedup_id: String,
    /// The message.
    pub body: String,
    /// Why it was put aside.
    pub reason: String,
}

/// The operator's view of the dead letters under test.
pub trait DeadLetterReader {
    /// Everything that came from that lane and is there now.
    fn read(&self, lane: &str) -> impl Future<Output = Vec<Found>>;
}

/// Runs the whole contract.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite(letters: &impl DeadLetters, reader: &impl DeadLetterReader) {
    let group = fresh("group");
    let mut expected = Vec::new();
    for (lane, body, reason) in [
        ("text", "not JSON {", "malformed-message"),
        ("media", r#"{"legenda":"não 👋"}"#, "claim-check-missing"),
        ("text", "second of the lane", "max-receive-count"),
    ] {
        let dedup_id = fresh("id");
        let letter = DeadLetter { lane, group: &group, dedup_id: &dedup_id, body, reason };
        assert_eq!(letters.put(&letter).await, Ok(()), "{reason}");
        let (body, reason) = (body.to_owned(), reason.to_owned());
        expected.push((lane, Found { group: group.clone(), dedup_id, body, reason }));
    }
    for lane in ["text", "media"] {
        let mut found = reader.read(lane).await;
        found.retain(|f| f.group == group);
        let of_lane = expected.iter().filter(|(of, _)| *of == lane);
        assert_eq!(found, of_lane.map(|(_, f)| f.clone()).collect::<Vec<_>>(), "{lane}");
    }
}
