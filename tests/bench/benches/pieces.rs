//! `make bench`: each piece by itself. Compare ratios within one run, never times of two.
#![expect(clippy::expect_used, reason = "benchmarks stop at what they did not expect")]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use futures_util::FutureExt;
use portcullis_base::Timestamp;
use portcullis_lambda::SystemClock;
use portcullis_local::memory::Keys;
use portcullis_local::{LocalKeyWrapper, RootKey};
use portcullis_pii::{
    ClassificationPolicy, Detector, HierarchyOptions, KeyHierarchy, Purpose, RecordBinding, RecordOpener,
    RecordSealer, SubjectId, SubjectKey, mask,
};
use portcullis_webhook::{AppSecrets, ConversationKey, route, sign, verify};
use std::sync::Arc;

fn main() {
    divan::main();
}

const SECRET: &[u8] = b"bench-app-secret";
const SIZES: [usize; 3] = [500, 3_000, 262_144];
const CHAT: &str =
    "oi, tudo bem? my card is 4111 1111 1111 1111 and my e-mail is ana.souza@example.com, obrigada!";

fn body(size: usize) -> Vec<u8> {
    let text = "coração, informação \\u00e9 assim. ".repeat(size / 36);
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550783881","phone_number_id":"106540352242922"}},"contacts":[{{"profile":{{"name":"Ana"}},"wa_id":"5511987654321"}}],"messages":[{{"from":"5511987654321","id":"wamid.1","timestamp":"1700000000","type":"text","text":{{"body":"{text}"}}}}]}}}}]}}]}}"#
    )
    .into_bytes()
}

#[divan::bench(args = SIZES)]
fn webhook_signature(bencher: Bencher<'_, '_>, size: usize) {
    let (body, secrets) = (body(size), AppSecrets::new(SECRET, None));
    let header = sign(&body, SECRET);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench_local(|| verify(&body, Some(&header), &secrets).is_ok());
}

#[divan::bench(args = SIZES)]
fn webhook_routing(bencher: Bencher<'_, '_>, size: usize) {
    let (body, secrets) = (body(size), AppSecrets::new(SECRET, None));
    let header = sign(&body, SECRET);
    let key = ConversationKey::new(&[7; 32]).expect("a key");
    let verified = verify(&body, Some(&header), &secrets).expect("signed");
    bencher.counter(BytesCount::new(body.len())).bench_local(|| {
        route(&verified, &key, Timestamp::UNIX_EPOCH)
            .expect("JSON")
            .iter()
            .map(|item| item.inline().body.len())
            .sum::<usize>()
    });
}

fn hierarchy() -> KeyHierarchy<LocalKeyWrapper, Keys, SystemClock> {
    let wrapper = LocalKeyWrapper::new(&RootKey::random().expect("randomness"));
    KeyHierarchy::new(wrapper, Keys::default(), SystemClock, HierarchyOptions::new("keys"))
}

fn subject_key() -> Arc<SubjectKey> {
    let keys = hierarchy();
    let key = keys.subject_key_for_sealing(Purpose::Conversation, "subject").now_or_never();
    key.expect("at once").expect("a key")
}

const BINDING: RecordBinding<'static> = RecordBinding {
    table: "conversations",
    record: "c/1",
    subject: "subject",
    purpose: Purpose::Conversation,
};
const FIELDS: [&str; 5] = ["full_name", "email", "phone", "address", "note"];

#[divan::bench]
fn envelope_seal_five_fields(bencher: Bencher<'_, '_>) {
    let (key, plain) = (subject_key(), [b'x'; 150]);
    let mut out = Vec::with_capacity(2_048);
    bencher.bench_local(|| {
        out.clear();
        let mut sealer = RecordSealer::new(&key, &BINDING).expect("a sealer");
        for field in FIELDS {
            sealer.seal(field, &plain, &mut out).expect("sealed");
        }
        black_box(out.len())
    });
}

#[divan::bench]
fn envelope_open_five_fields(bencher: Bencher<'_, '_>) {
    let key = subject_key();
    let mut sealer = RecordSealer::new(&key, &BINDING).expect("a sealer");
    let sealed = FIELDS.map(|field| {
        let mut out = Vec::new();
        sealer.seal(field, &[b'x'; 150], &mut out).expect("sealed");
        out
    });
    let mut out = Vec::with_capacity(2_048);
    bencher.bench_local(|| {
        out.clear();
        let mut opener = RecordOpener::new(&key, &BINDING, sealer.header()).expect("an opener");
        for (field, sealed) in FIELDS.iter().zip(&sealed) {
            opener.open(field, sealed, &mut out).expect("opened");
        }
        black_box(out.len())
    });
}

#[divan::bench]
fn key_hierarchy_cached_subject(bencher: Bencher<'_, '_>) {
    let keys = hierarchy();
    bencher.bench_local(|| {
        keys.subject_key_for_sealing(Purpose::Conversation, "subject").now_or_never().is_some()
    });
}

#[divan::bench]
fn blind_index_of_a_number(bencher: Bencher<'_, '_>) {
    let index = hierarchy().blind_index().now_or_never().expect("at once").expect("an index");
    bencher.bench_local(|| index.subject_index(&SubjectId::from_whatsapp(black_box("+55 11 98765-4321"))));
}

#[divan::bench]
fn pii_scan_a_chat_line(bencher: Bencher<'_, '_>) {
    let (detector, mut hits) = (Detector::new(), Vec::new());
    bencher.counter(BytesCount::new(CHAT.len())).bench_local(|| {
        hits.clear();
        detector.scan_into(CHAT.as_bytes(), &mut hits);
        hits.len()
    });
}

#[divan::bench]
fn pii_classify_a_chat_line(bencher: Bencher<'_, '_>) {
    let (detector, policy) = (Detector::new(), ClassificationPolicy::default());
    bencher.bench_local(|| policy.classify(&detector, [("content", black_box(CHAT))]).retention_days);
}

#[divan::bench]
fn pii_mask_a_chat_line(bencher: Bencher<'_, '_>) {
    let hits = Detector::new().scan(CHAT);
    bencher.bench_local(|| mask(black_box(CHAT), &hits));
}
