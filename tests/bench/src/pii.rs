//! A record of five fields sealed and opened, JSON to JSON, through the endpoints of the PII function.

use futures_util::FutureExt;
use pii_function::{Caller, Parts, PiiFunction, Ports};
use portcullis_audit::{Auditor, AuditorSettings, MemoryAudit};
use portcullis_lambda::{Metrics, SystemClock};
use portcullis_local::memory::{Claims, DeadLetterBox, Keys, RecordTable};
use portcullis_local::{LocalKeyWrapper, RootKey};
use portcullis_pii::{ClassificationPolicy, Detector, HierarchyOptions, KeyHierarchy};
use serde_json::{Value, json};

use crate::measure::Job;

struct Memory;

impl Ports for Memory {
    type Wrapper = LocalKeyWrapper;
    type Keys = Keys;
    type Records = RecordTable;
    type Claims = Claims;
    type Objects = Claims;
    type DeadLetters = DeadLetterBox;
    type Audit = MemoryAudit;
    type Clock = SystemClock;
}

pub(crate) fn encrypt(job: &Job) {
    let function = function();
    let records = requests(job);
    job.run(
        &records,
        Vec::len,
        |record| seal(&function, record),
        |answers| {
            let (mut good, mut bytes, mut n) = (0, 0, 0);
            for (record, sealed) in records.iter().zip(answers) {
                n += 1;
                bytes += sealed.len();
                good += usize::from(fields(&open(&function, &opening(record, &sealed))) == fields(record));
            }
            json!({"round_trips": good, "records": n, "bytes_per_record": bytes / n.max(1)})
        },
    );
}

pub(crate) fn decrypt(job: &Job) {
    let function = function();
    let records = requests(job);
    let sealed: Vec<_> = records.iter().map(|r| opening(r, &seal(&function, r))).collect();
    job.run(
        &sealed,
        Vec::len,
        |record| open(&function, record),
        |answers| {
            let good = records.iter().zip(answers).filter(|(r, a)| fields(a) == fields(r)).count();
            json!({"round_trips": good, "records": records.len()})
        },
    );
}

fn function() -> PiiFunction<Memory> {
    let root = RootKey::random().expect("randomness");
    PiiFunction::new(Parts {
        keys: KeyHierarchy::new(
            LocalKeyWrapper::new(&root),
            Keys::default(),
            SystemClock,
            HierarchyOptions::new("subject-keys"),
        ),
        records: RecordTable::default(),
        claims: Claims::default(),
        objects: Claims::default(),
        dead_letters: DeadLetterBox::default(),
        auditor: Auditor::new(MemoryAudit::default(), SystemClock, AuditorSettings::new("pii")),
        clock: SystemClock,
        detector: Detector::new(),
        policy: ClassificationPolicy::default(),
        metrics: Metrics::off("pii"),
        media_queue: "media".to_owned(),
        table: "conversations".to_owned(),
    })
}

/// The runner's records with the endpoint's names: `tenant` is the subject, `id` the record.
fn requests(job: &Job) -> Vec<Vec<u8>> {
    job.lines("records.jsonl")
        .iter()
        .map(|line| {
            let record: Value = serde_json::from_slice(line).expect("a record");
            let request =
                json!({"subject": record["tenant"], "record": record["id"], "fields": record["fields"]});
            serde_json::to_vec(&request).expect("JSON")
        })
        .collect()
}

fn seal(function: &PiiFunction<Memory>, record: &[u8]) -> Vec<u8> {
    // Over adapters in memory nothing ever waits.
    let answer = function.encrypt_unrecorded(record).now_or_never().expect("an answer at once");
    answer.body.into_owned().into_bytes()
}

fn open(function: &PiiFunction<Memory>, record: &[u8]) -> Vec<u8> {
    let caller = Caller { id: "bench".to_owned(), roles: vec!["pii-reader".to_owned()] };
    let answer = function.decrypt_unrecorded(&caller, record).now_or_never().expect("an answer at once");
    answer.body.into_owned().into_bytes()
}

/// What `decrypt` takes: the answer of `encrypt` with the subject beside it.
fn opening(record: &[u8], sealed: &[u8]) -> Vec<u8> {
    let record: Value = serde_json::from_slice(record).expect("a record");
    let mut sealed: Value = serde_json::from_slice(sealed).expect("an answer");
    sealed["subject"] = record["subject"].clone();
    serde_json::to_vec(&sealed).expect("JSON")
}

fn fields(json: &[u8]) -> Value {
    serde_json::from_slice::<Value>(json).expect("JSON")["fields"].clone()
}
