//! Properties of the envelope.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test support: a panic is a failed test")]

use std::collections::HashSet;

use portcullis_pii::envelope::{
    BindingError, FIELD_OVERHEAD, HEADER_LEN, Header, MAX_FIELD_LEN, MAX_FIELD_NAME_LEN, MAX_FIELDS,
    MAX_NAME_LEN, OpenError, SealError, hazmat,
};
use portcullis_pii::{Purpose, RecordBinding, RecordOpener, RecordSealer, SubjectKey};
use proptest::prelude::*;

const BINDING: RecordBinding<'static> = RecordBinding {
    table: "conversations",
    record: "c1#2026-11-22#m1",
    subject: "subject-1",
    purpose: Purpose::Conversation,
};

fn key_of(binding: &RecordBinding<'_>) -> SubjectKey {
    hazmat::subject_key(binding.purpose, binding.subject, 3, &[7; 32])
}

fn seal(binding: &RecordBinding<'_>, fields: &[(&str, &[u8])]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut sealer = RecordSealer::new(&key_of(binding), binding).unwrap();
    let blobs = fields.iter().map(|(name, text)| {
        let mut blob = Vec::new();
        sealer.seal(name, text, &mut blob).unwrap();
        blob
    });
    let blobs = blobs.collect();
    (sealer.header().to_vec(), blobs)
}

fn open(binding: &RecordBinding<'_>, header: &[u8], field: &str, blob: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut out = Vec::new();
    let opened = RecordOpener::new(&key_of(binding), binding, header)
        .and_then(|mut opener| opener.open(field, blob, &mut out));
    assert!(opened.is_ok() || out.is_empty(), "a refused field leaves nothing");
    opened.map(|()| out)
}

fn name(max: usize) -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,3}", ".{1,40}"].prop_filter("length", move |s| (1..=max).contains(&s.len()))
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![Just(Purpose::Conversation), Just(Purpose::Media)]
}

proptest! {
    #[test]
    fn what_was_sealed_opens(
        (table, record, subject) in (name(MAX_NAME_LEN), name(MAX_NAME_LEN), name(MAX_NAME_LEN)),
        purpose in purpose(),
        fields in prop::collection::vec((name(MAX_FIELD_NAME_LEN), prop::collection::vec(any::<u8>(), 0..300)), 0..20),
    ) {
        let binding = RecordBinding { table: &table, record: &record, subject: &subject, purpose };
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(n, t)| (n.as_str(), t.as_slice())).collect();
        let (header, blobs) = seal(&binding, &fields);
        prop_assert_eq!(header.len(), HEADER_LEN);
        for ((name, text), blob) in fields.iter().zip(&blobs) {
            prop_assert_eq!(blob.len(), text.len() + FIELD_OVERHEAD);
            prop_assert_eq!(open(&binding, &header, name, blob), Ok(text.to_vec()));
        }
    }

    #[test]
    fn nothing_opens_under_another_binding(
        here in (name(40), name(40), name(40), purpose(), name(40)),
        there in (name(40), name(40), name(40), purpose(), name(40)),
    ) {
        prop_assume!(here != there);
        let at = |b: &(String, String, String, Purpose, String)| (b.0.clone(), b.1.clone(), b.2.clone(), b.3);
        let ((t1, r1, s1, p1), (t2, r2, s2, p2)) = (at(&here), at(&there));
        let one = RecordBinding { table: &t1, record: &r1, subject: &s1, purpose: p1 };
        let two = RecordBinding { table: &t2, record: &r2, subject: &s2, purpose: p2 };
        let (header, blobs) = seal(&one, &[(&here.4, b"secret")]);
        let wanted = if one == two { OpenError::NotThisField } else { OpenError::NotThisRecord };
        prop_assert_eq!(open(&two, &header, &there.4, &blobs[0]), Err(wanted));
    }

    #[test]
    fn no_bytes_make_the_parsers_panic_or_open(
        header in prop::collection::vec(any::<u8>(), 0..100),
        blob in prop::collection::vec(any::<u8>(), 0..100),
        lucky in any::<bool>(),
    ) {
        let header = if lucky { [b"PE\x01\x01\x01\0\0\0\x01", header.as_slice()].concat() } else { header };
        prop_assert_eq!(Header::parse(&header).is_ok(), header.len() == HEADER_LEN && lucky);
        prop_assert!(open(&BINDING, &header, "text", &blob).is_err());
        let (good, _) = seal(&BINDING, &[]);
        prop_assert!(open(&BINDING, &good, "text", &blob).is_err());
    }
}

#[test]
fn every_single_changed_bit_is_refused() {
    let (header, blobs) = seal(&BINDING, &[("text", b"hello")]);
    for bit in 0..header.len() * 8 {
        let changed = flip(&header, bit);
        assert!(open(&BINDING, &changed, "text", &blobs[0]).is_err(), "bit {bit} of the header");
    }
    for bit in 0..blobs[0].len() * 8 {
        let changed = flip(&blobs[0], bit);
        assert!(open(&BINDING, &header, "text", &changed).is_err(), "bit {bit} of the field");
    }
}

#[test]
fn every_other_length_is_refused() {
    let (header, blobs) = seal(&BINDING, &[("text", b"hello")]);
    for len in 0..header.len() {
        assert_eq!(
            open(&BINDING, &header[..len], "text", &blobs[0]),
            Err(OpenError::Malformed),
            "header {len}"
        );
    }
    for len in 0..blobs[0].len() {
        assert!(open(&BINDING, &header, "text", &blobs[0][..len]).is_err(), "field {len}");
    }
    let (long_header, long_blob) = ([&header[..], &[0]].concat(), [&blobs[0][..], &[0]].concat());
    assert_eq!(open(&BINDING, &long_header, "text", &blobs[0]), Err(OpenError::Malformed));
    assert_eq!(open(&BINDING, &header, "text", &long_blob), Err(OpenError::NotThisField));
}

#[test]
fn another_key_is_refused_by_the_commitment_before_any_field() {
    let (header, _) = seal(&BINDING, &[]);
    for (case, other) in [("one bit", [6; 32]), ("zero", [0; 32])] {
        let key = hazmat::subject_key(BINDING.purpose, BINDING.subject, 3, &other);
        assert_eq!(
            RecordOpener::new(&key, &BINDING, &header).err(),
            Some(OpenError::NotThisRecord),
            "{case}"
        );
    }
}

#[test]
fn a_record_opens_after_its_subject_key_was_wrapped_by_a_newer_branch_key() {
    let (header, blobs) = seal(&BINDING, &[("text", b"hello")]);
    assert_eq!(Header::parse(&header).map(|h| (h.purpose(), h.branch_version())), Ok((BINDING.purpose, 3)));
    let rewrapped = hazmat::subject_key(BINDING.purpose, BINDING.subject, 4, &[7; 32]);
    let mut out = Vec::new();
    RecordOpener::new(&rewrapped, &BINDING, &header).unwrap().open("text", &blobs[0], &mut out).unwrap();
    assert_eq!(out, b"hello");
}

#[test]
fn the_key_of_another_subject_or_purpose_is_refused_on_both_sides() {
    let (header, _) = seal(&BINDING, &[]);
    let table = [
        ("subject", hazmat::subject_key(BINDING.purpose, "subject-2", 3, &[7; 32])),
        ("purpose", hazmat::subject_key(Purpose::Media, BINDING.subject, 3, &[7; 32])),
    ];
    for (case, key) in table {
        let other = BindingError::OtherKey;
        assert_eq!(RecordSealer::new(&key, &BINDING).err(), Some(SealError::Binding(other)), "{case}");
        assert_eq!(
            RecordOpener::new(&key, &BINDING, &header).err(),
            Some(OpenError::Binding(other)),
            "{case}"
        );
    }
}

#[test]
fn names_are_bounded_and_never_empty() {
    let (long, longest) = ("n".repeat(MAX_NAME_LEN + 1), "n".repeat(MAX_NAME_LEN));
    for (bad, text, fine) in [("empty", "", false), ("too long", &long, false), ("longest", &longest, true)] {
        for place in ["table", "record", "subject"] {
            let mut binding = BINDING;
            match place {
                "table" => binding.table = text,
                "record" => binding.record = text,
                _ => binding.subject = text,
            }
            let made = RecordSealer::new(&key_of(&binding), &binding);
            assert_eq!(made.err(), (!fine).then_some(BindingError::Name.into()), "{bad} {place}");
        }
    }
    let (long, longest) = ("f".repeat(MAX_FIELD_NAME_LEN + 1), "f".repeat(MAX_FIELD_NAME_LEN));
    let mut sealer = RecordSealer::new(&key_of(&BINDING), &BINDING).unwrap();
    let mut out = b"before".to_vec();
    assert_eq!(sealer.seal("", b"x", &mut out), Err(BindingError::Name.into()));
    assert_eq!(sealer.seal(&long, b"x", &mut out), Err(BindingError::Name.into()));
    assert_eq!(out, b"before");
    assert_eq!(sealer.seal(&longest, b"x", &mut out), Ok(()));
}

#[test]
fn a_field_is_bounded_on_both_sides() {
    let mut sealer = RecordSealer::new(&key_of(&BINDING), &BINDING).unwrap();
    let mut blob = Vec::new();
    assert_eq!(sealer.seal("f", &vec![0; MAX_FIELD_LEN + 1], &mut blob), Err(SealError::TooLarge));
    assert!(blob.is_empty());
    sealer.seal("f", &vec![0; MAX_FIELD_LEN], &mut blob).unwrap();
    let header = sealer.header().to_vec();
    assert_eq!(open(&BINDING, &header, "f", &blob).map(|text| text.len()), Ok(MAX_FIELD_LEN));
    blob.push(0);
    assert_eq!(open(&BINDING, &header, "f", &blob), Err(OpenError::Malformed));
}

#[test]
fn a_record_has_at_most_256_fields_and_no_nonce_twice() {
    let mut sealer = RecordSealer::new(&key_of(&BINDING), &BINDING).unwrap();
    let mut nonces = HashSet::new();
    for _ in 0..MAX_FIELDS {
        let mut blob = Vec::new();
        sealer.seal("same name", b"same text", &mut blob).unwrap();
        assert!(nonces.insert(blob[1..13].to_vec()));
    }
    assert_eq!(sealer.seal("f", b"", &mut Vec::new()), Err(SealError::TooManyFields));
}

#[test]
fn two_records_of_one_binding_share_no_salt_no_commitment_and_no_fields() {
    let (one, two) = (seal(&BINDING, &[("f", b"x")]), seal(&BINDING, &[("f", b"x")]));
    assert_ne!(one.0[9..41], two.0[9..41]);
    assert_ne!(one.0[41..], two.0[41..]);
    assert_eq!(
        open(&BINDING, &one.0, "f", &two.1[0]),
        Err(OpenError::NotThisField),
        "an older field is not current"
    );
}

#[test]
fn output_is_appended() {
    let mut sealer = RecordSealer::new(&key_of(&BINDING), &BINDING).unwrap();
    let mut both = Vec::new();
    sealer.seal("a", b"one", &mut both).unwrap();
    let first = both.len();
    sealer.seal("b", b"two", &mut both).unwrap();
    let mut opener = RecordOpener::new(&key_of(&BINDING), &BINDING, sealer.header()).unwrap();
    let mut text = b"zero,".to_vec();
    opener.open("a", &both[..first], &mut text).unwrap();
    assert_eq!(opener.open("a", &both[first..], &mut text), Err(OpenError::NotThisField));
    opener.open("b", &both[first..], &mut text).unwrap();
    assert_eq!(text, b"zero,onetwo", "a refused field leaves what was there");
}

#[test]
fn debug_output_shows_no_key_and_no_subject() {
    let key = hazmat::subject_key(Purpose::Media, "subject-1", 3, &[0xab; 32]);
    assert_eq!(format!("{key:?}"), "SubjectKey { purpose: Media, .. }");
}

fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[bit / 8] ^= 1 << (bit % 8);
    changed
}
