//! The contract of [`AuditSink`], for every sink.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "test support: a panic is a failed test")]

use std::collections::BTreeMap;
use std::future::Future;

use futures_util::future::join_all;
use portcullis_audit::{AuditRecord, AuditSink, RecordId};
use portcullis_base::Timestamp;

/// Reads what a sink holds.
pub trait AuditReader {
    /// All records, as often as they are there.
    fn read(&self) -> impl Future<Output = Vec<(RecordId, String)>>;
}

/// Whether a sink tells a repeat from a new record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// A record is there once, however often it is appended.
    Known,
    /// A bus: a repeat is delivered again.
    Delivered,
}

/// Runs the whole contract over adapters that lead to one sink, as those of several containers do.
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn suite<S: AuditSink>(sinks: &[S], reader: &impl AuditReader, repeats: Repeats) {
    let mut expected = BTreeMap::new();
    let mut expect = |records: &[AuditRecord]| {
        expected.extend(records.iter().map(|record| (record.id(), record.body().to_owned())));
    };
    sinks[0].append(&[]).await.expect("nothing is appended");
    for batch in [
        vec![record("one")],
        (0..23).map(|n| record(&format!("one of many, {n}"))).collect(),
        (0..5).map(|_| record(&"large ".repeat(AuditRecord::MAX_BODY / 6 - 40))).collect(),
        vec![record("é 🔑 \u{7f} \\u0000 \\\" '")],
    ] {
        sinks[0].append(&batch).await.expect("new records are appended");
        expect(&batch);
    }
    expect(&appended_by_several(sinks).await);
    let again = [record("again")];
    for sink in sinks.iter().chain(sinks) {
        sink.append(&again).await.expect("a record that is there counts as appended");
    }
    expect(&again);
    if repeats == Repeats::Known {
        // Append only: nobody changes what is there by another record of the same id, nor stops the rest of a batch.
        let forged = AuditRecord::from_parts(again[0].id(), again[0].time(), "{}").expect("a record");
        let after = record("after the forged one");
        sinks[0].append(&[forged, after.clone()]).await.expect("the id is there already");
        expect(&[after]);
    }
    let read = reader.read().await;
    let ours: Vec<_> = read.into_iter().filter(|(id, _)| expected.contains_key(id)).collect();
    if repeats == Repeats::Known {
        assert_eq!(ours.len(), expected.len(), "each record once");
    }
    for (id, body) in &ours {
        match repeats {
            Repeats::Known => assert_eq!(Some(body), expected.get(id), "byte for byte"),
            // A bus passes JSON on, not bytes.
            Repeats::Delivered => assert_eq!(parsed(body), parsed(&expected[id])),
        }
    }
    assert_eq!(
        ours.into_iter().collect::<BTreeMap<_, _>>().len(),
        expected.len(),
        "each record at least once"
    );
}

/// All sinks append at once: records of their own, and the same twelve.
async fn appended_by_several<S: AuditSink>(sinks: &[S]) -> Vec<AuditRecord> {
    let shared: Vec<_> = (0..12).map(|n| record(&format!("everybody's {n}"))).collect();
    let rounds = join_all((0..WORKERS).map(|worker| {
        let (sink, shared) = (&sinks[worker % sinks.len()], &shared);
        async move {
            let own = record(&format!("worker {worker}"));
            sink.append(std::slice::from_ref(&own)).await.expect("appended beside others");
            sink.append(shared).await.expect("appended beside others");
            own
        }
    }));
    rounds.await.into_iter().chain(shared.iter().cloned()).collect()
}

/// A record of some hour of one day, with a text in it.
fn record(text: &str) -> AuditRecord {
    let hour = i64::try_from(text.len() % 24).expect("an hour");
    let time = Timestamp::from_millisecond(1_800_000_000_123 + hour * 3_600_000).expect("an instant");
    let id = RecordId::fresh(time).expect("random numbers");
    let body = serde_json::json!({ "metadata": { "uid": id.to_string() }, "time": time.as_millisecond(), "message": text });
    AuditRecord::from_parts(id, time, body.to_string()).expect("a record")
}

fn parsed(body: &str) -> serde_json::Value {
    serde_json::from_str(body).expect("JSON")
}

const WORKERS: usize = 6;
