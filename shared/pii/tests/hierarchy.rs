//! The key hierarchy over keys and tables in memory that count what is asked of them.

#[path = "support/fakes.rs"]
mod fakes;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use fakes::{Fakes, MINUTE, ready};
use futures_util::future::join_all;
use portcullis_pii::envelope::hazmat::{KeyBinding, unwrap_with_fixed_key};
use portcullis_pii::{HierarchyOptions, KeyError, Phone, Purpose, StoredSubjectKey, SubjectId};

use Purpose::{Conversation, Media};

#[test]
fn kms_is_called_once_for_a_thousand_subjects_and_their_messages() {
    let fakes = Fakes::default();
    let keys = fakes.hierarchy();
    for round in 0..3 {
        for n in 0..1_000 {
            ready(keys.subject_key_for_sealing(Conversation, &format!("s{n}"))).unwrap();
        }
        assert_eq!(fakes.kms_calls(), 1, "round {round}");
    }
    assert_eq!(fakes.store.subject_reads.load(SeqCst), 1_000);
}

#[test]
fn another_container_finds_the_same_keys() {
    let fakes = Fakes::default();
    let made = ready(fakes.hierarchy().subject_key_for_sealing(Conversation, "s")).unwrap();
    let elsewhere = fakes.hierarchy();
    for found in [
        ready(elsewhere.subject_key_for_opening(Conversation, "s")).unwrap(),
        ready(fakes.hierarchy().subject_key_for_sealing(Conversation, "s")).unwrap(),
    ] {
        assert!(fakes::is_same(&made, &found));
    }
    assert_eq!((fakes.wrapper.generated.load(SeqCst), fakes.wrapper.unwrapped.load(SeqCst)), (1, 2));
}

#[test]
fn subjects_and_purposes_have_keys_of_their_own() {
    let fakes = Fakes::default();
    let keys = fakes.hierarchy();
    let mut seen = std::collections::HashSet::new();
    for (purpose, subject) in [(Conversation, "s"), (Conversation, "t"), (Media, "s"), (Media, "t")] {
        let key = ready(keys.subject_key_for_sealing(purpose, subject)).unwrap();
        assert_eq!((key.purpose(), key.subject()), (purpose, subject));
        let stored = &fakes.store.subjects()[&(subject.to_owned(), purpose)];
        let binding = KeyBinding { table: "keys", subject, purpose, branch_version: 1 };
        let branch = fakes.wrapper.keys()[usize::from(purpose == Media)];
        let bytes = unwrap_with_fixed_key(&branch, &binding, &stored.wrapped).unwrap();
        assert!(seen.insert(*bytes), "{purpose:?} {subject}");
    }
    assert_eq!(fakes.kms_calls(), 2, "one branch key for each purpose");
}

#[test]
fn concurrent_misses_cost_one_call() {
    let fakes = Fakes::slow();
    let keys = fakes.hierarchy();
    let found = ready(join_all((0..50).map(|_| keys.subject_key_for_sealing(Conversation, "s"))));
    assert!(found.iter().all(|key| Arc::ptr_eq(key.as_ref().unwrap(), found[0].as_ref().unwrap())));
    assert_eq!((fakes.kms_calls(), fakes.store.subject_reads.load(SeqCst)), (1, 1));

    let elsewhere = fakes.hierarchy();
    let found = ready(join_all((0..50).map(|_| elsewhere.subject_key_for_opening(Conversation, "s"))));
    assert!(found.iter().all(Result::is_ok));
    assert_eq!((fakes.kms_calls(), fakes.store.subject_reads.load(SeqCst)), (2, 2));
}

#[test]
fn concurrent_misses_of_many_subjects_unwrap_one_branch_key_once() {
    let fakes = Fakes::slow();
    let keys = fakes.hierarchy();
    let subjects: Vec<String> = (0..200).map(|n| format!("s{n}")).collect();
    let made = ready(join_all(subjects.iter().map(|s| keys.subject_key_for_sealing(Conversation, s))));
    assert!(made.iter().all(Result::is_ok));
    assert_eq!(fakes.kms_calls(), 1);
}

#[test]
fn an_outage_is_met_once_by_all_who_waited_and_is_over_when_it_is_over() {
    let fakes = Fakes::slow();
    let keys = fakes.hierarchy();
    fakes.wrapper.failing.store(true, SeqCst);
    let found = ready(join_all((0..50).map(|_| keys.subject_key_for_sealing(Conversation, "s"))));
    assert!(found.iter().all(|key| key.as_ref().err() == Some(&KeyError::Unavailable)));
    assert_eq!(fakes.kms_calls(), 1, "time-outs do not add up");
    fakes.wrapper.failing.store(false, SeqCst);
    assert!(ready(keys.subject_key_for_sealing(Conversation, "s")).is_ok(), "a failure is not kept");
}

#[test]
fn two_containers_that_make_the_same_keys_at_once_agree() {
    let fakes = Fakes::slow();
    let containers: Vec<_> = (0..8).map(|_| fakes.hierarchy()).collect();
    let made = ready(join_all(containers.iter().map(|c| c.subject_key_for_sealing(Conversation, "s"))));
    let indexes = ready(join_all(containers.iter().map(|c| c.blind_index())));
    for (key, index) in made.iter().zip(&indexes) {
        assert!(fakes::is_same(made[0].as_ref().unwrap(), key.as_ref().unwrap()));
        let someone = SubjectId::User("u".into());
        let pseudonym =
            |i: &Result<Arc<portcullis_pii::BlindIndex>, _>| i.as_ref().unwrap().subject_index(&someone);
        assert_eq!(pseudonym(index), pseudonym(&indexes[0]));
    }
    assert_eq!((fakes.store.branches().len(), fakes.store.subjects().len()), (1, 1));
    assert!(fakes.store.lost_races.load(SeqCst) >= 14, "the race was real: {:?}", fakes.store.lost_races);
}

#[test]
fn opening_never_makes_a_key() {
    let fakes = Fakes::default();
    let keys = fakes.hierarchy();
    assert_eq!(ready(keys.subject_key_for_opening(Conversation, "s")).err(), Some(KeyError::Missing));
    assert_eq!((fakes.store.subjects().len(), fakes.kms_calls()), (0, 0));
    ready(keys.subject_key_for_sealing(Conversation, "s")).unwrap();
    assert!(ready(keys.subject_key_for_opening(Conversation, "s")).is_ok(), "absence is not kept");
}

#[test]
fn a_destroyed_subject_key_is_gone_everywhere_within_its_ttl_and_at_once_where_it_was_forgotten() {
    let fakes = Fakes::default();
    let (here, elsewhere) = (fakes.hierarchy(), fakes.hierarchy());
    let before = ready(here.subject_key_for_sealing(Conversation, "s")).unwrap();
    ready(elsewhere.subject_key_for_opening(Conversation, "s")).unwrap();
    fakes.store.destroy("s");
    here.forget("s");
    assert_eq!(ready(here.subject_key_for_opening(Conversation, "s")).err(), Some(KeyError::Missing));
    fakes.clock.advance(MINUTE - 1);
    assert!(ready(elsewhere.subject_key_for_opening(Conversation, "s")).is_ok());
    fakes.clock.advance(1);
    assert_eq!(ready(elsewhere.subject_key_for_opening(Conversation, "s")).err(), Some(KeyError::Missing));

    let after = ready(here.subject_key_for_sealing(Conversation, "s")).unwrap();
    assert!(!fakes::is_same(&before, &after), "who comes back does not bring the erased records back");
}

#[test]
fn a_key_destroyed_while_it_was_being_fetched_is_not_kept_longer_than_its_ttl() {
    let fakes = Fakes::default();
    ready(fakes.hierarchy().subject_key_for_sealing(Conversation, "s")).unwrap();
    let keys = fakes.hierarchy();
    fakes.wrapper.takes_ms.store(MINUTE - 1, SeqCst);
    ready(keys.subject_key_for_opening(Conversation, "s")).unwrap();
    fakes.store.destroy("s");
    fakes.clock.advance(1);
    assert_eq!(ready(keys.subject_key_for_opening(Conversation, "s")).err(), Some(KeyError::Missing));
}

#[test]
fn a_branch_key_is_unwrapped_anew_after_its_ttl_so_that_a_disabled_kms_key_takes_effect() {
    let fakes = Fakes::default();
    let keys = fakes.hierarchy();
    ready(keys.subject_key_for_sealing(Conversation, "s")).unwrap();
    fakes.clock.advance(5 * MINUTE - 1);
    ready(keys.subject_key_for_sealing(Conversation, "t")).unwrap();
    assert_eq!(fakes.kms_calls(), 1);
    fakes.wrapper.refusing.store(true, SeqCst);
    fakes.clock.advance(1);
    assert_eq!(ready(keys.subject_key_for_sealing(Conversation, "u")).err(), Some(KeyError::Refused));
    fakes.wrapper.refusing.store(false, SeqCst);
    ready(keys.subject_key_for_sealing(Conversation, "u")).unwrap();
    assert_eq!(fakes.wrapper.unwrapped.load(SeqCst), 1);
}

#[test]
fn a_branch_key_that_is_too_old_is_followed_by_a_new_version_and_still_opens() {
    let fakes = Fakes::default();
    let keys = fakes.hierarchy();
    let day = 24 * 60 * MINUTE;
    let table = [("new", 0, "a", 1), ("a millisecond short", 90 * day - 1, "b", 1), ("90 days", 1, "c", 2)];
    for (case, advance, subject, version) in table {
        fakes.clock.advance(advance);
        let key = ready(keys.subject_key_for_sealing(Conversation, subject)).unwrap();
        assert_eq!(key.branch_version(), version, "{case}");
    }
    for (subject, version) in [("a", 1), ("b", 1), ("c", 2)] {
        let key = ready(keys.subject_key_for_opening(Conversation, subject)).unwrap();
        assert_eq!(key.branch_version(), version, "subject {subject}");
        let known = ready(keys.subject_key_for_sealing(Conversation, subject)).unwrap();
        assert_eq!(known.branch_version(), version, "a known subject keeps its key");
    }
    assert_eq!(
        fakes.store.branches().keys().copied().collect::<Vec<_>>(),
        [(Conversation, 1), (Conversation, 2)]
    );
}

#[test]
fn containers_that_rotate_at_once_make_one_new_version() {
    let fakes = Fakes::slow();
    let containers: Vec<_> = (0..8).map(|_| fakes.hierarchy()).collect();
    ready(containers[0].subject_key_for_sealing(Conversation, "s")).unwrap();
    fakes.clock.advance(90 * 24 * 60 * MINUTE);
    let subjects: Vec<String> = (0..8).map(|n| format!("new{n}")).collect();
    let made = ready(join_all(
        containers.iter().zip(&subjects).map(|(c, s)| c.subject_key_for_sealing(Conversation, s)),
    ));
    assert!(made.iter().all(|key| key.as_ref().unwrap().branch_version() == 2));
    assert_eq!(fakes.store.branches().len(), 2);
}

#[test]
fn no_more_branch_keys_are_kept_than_allowed_and_all_still_serve() {
    let fakes = Fakes::default();
    let options = HierarchyOptions {
        branch_capacity: 4,
        subject_capacity: 2,
        rotate_after: Duration::from_secs(1),
        ..HierarchyOptions::new("keys")
    };
    let keys = fakes.hierarchy_with(options);
    for n in 0..20 {
        let key = ready(keys.subject_key_for_sealing(Conversation, &format!("s{n}"))).unwrap();
        assert_eq!(key.branch_version(), n + 1);
        fakes.clock.advance(1_000);
    }
    for n in 0..20 {
        let key = ready(keys.subject_key_for_opening(Conversation, &format!("s{n}"))).unwrap();
        assert_eq!(key.branch_version(), n + 1);
    }
    assert!(fakes.wrapper.unwrapped.load(SeqCst) >= 16, "dropped ones were unwrapped anew");
}

#[test]
fn a_stored_key_that_was_moved_or_changed_is_invalid() {
    type Change = fn(&mut StoredSubjectKey);
    let table: [(&str, Change); 7] = [
        ("another subject's key", |key| key.subject = "t".into()),
        ("ciphertext", |key| key.wrapped[20] ^= 1),
        ("tag", |key| *key.wrapped.last_mut().unwrap() ^= 1),
        ("version byte", |key| key.wrapped[2] ^= 1),
        ("cut", |key| key.wrapped.truncate(63)),
        ("longer", |key| key.wrapped.push(0)),
        ("branch version that is not there", |key| key.branch_version = 9),
    ];
    for (case, change) in table {
        let fakes = Fakes::default();
        ready(fakes.hierarchy().subject_key_for_sealing(Conversation, "s")).unwrap();
        let mut stored = fakes.store.subjects()[&("s".to_owned(), Conversation)].clone();
        change(&mut stored);
        let subject = stored.subject.clone();
        fakes.store.overwrite(stored);
        let keys = fakes.hierarchy();
        for outcome in [
            ready(keys.subject_key_for_opening(Conversation, &subject)),
            ready(keys.subject_key_for_sealing(Conversation, &subject)),
        ] {
            assert_eq!(outcome.err(), Some(KeyError::Invalid), "{case}");
        }
    }
}

#[test]
fn wrapped_keys_do_not_serve_another_table() {
    let fakes = Fakes::default();
    ready(fakes.hierarchy().subject_key_for_sealing(Conversation, "s")).unwrap();
    ready(fakes.hierarchy().blind_index()).unwrap();
    let copy = fakes.hierarchy_with(HierarchyOptions::new("copied-keys"));
    assert_eq!(ready(copy.subject_key_for_opening(Conversation, "s")).err(), Some(KeyError::Invalid));
    assert_eq!(ready(copy.blind_index()).err(), Some(KeyError::Invalid));
}

#[test]
fn the_wrapper_is_given_the_whole_context() {
    let fakes = Fakes::default();
    let keys = fakes.hierarchy();
    ready(keys.subject_key_for_sealing(Media, "s")).unwrap();
    ready(keys.blind_index()).unwrap();
    let wanted = [
        "portcullis:purpose=media portcullis:key=branch portcullis:version=1 portcullis:table=keys",
        "portcullis:purpose=conversation portcullis:key=index portcullis:version=1 portcullis:table=keys",
    ];
    assert_eq!(fakes.wrapper.contexts(), wanted);
}

#[test]
fn the_blind_index_is_made_once_and_fetched_once() {
    let fakes = Fakes::slow();
    let keys = fakes.hierarchy();
    let found = ready(join_all((0..20).map(|_| keys.blind_index())));
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(fakes.kms_calls(), 1);
    let phone = SubjectId::Phone(Phone::parse("+55 11 91234-5678").unwrap());
    let one = ready(keys.blind_index()).unwrap().subject_index(&phone);
    let other = ready(fakes.hierarchy().blind_index()).unwrap().subject_index(&phone);
    assert_eq!((one.len(), &one), (32, &other));
    assert_eq!(fakes.kms_calls(), 2);
}

#[test]
fn the_blind_index_tells_kinds_apart_and_spellings_not() {
    let fakes = Fakes::default();
    let index = ready(fakes.hierarchy().blind_index()).unwrap();
    let of = |id: &str| index.subject_index(&SubjectId::from_whatsapp(id));
    assert_eq!(of("553181234567"), of("+55 31 98123-4567"), "ninth digit");
    assert_eq!(of("5215512345678"), of("525512345678"), "former Mexican prefix");
    let digits = "5511912345678";
    let all = [
        of(digits),
        index.subject_index(&SubjectId::User(digits.into())),
        index.conversation_index(digits),
        of("5511912345679"),
        of("BR.1"),
        of("BR.2"),
        of(""),
    ];
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert!(all.iter().all(|text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')));
    let other = ready(Fakes::default().hierarchy().blind_index()).unwrap();
    assert_ne!(other.subject_index(&SubjectId::from_whatsapp(digits)), of(digits), "another key");
}

#[test]
fn debug_output_shows_no_identifier_and_no_key() {
    let index = ready(Fakes::default().hierarchy().blind_index()).unwrap();
    assert_eq!(format!("{index:?}"), "BlindIndex { .. }");
    for id in [SubjectId::from_whatsapp("5511912345678"), SubjectId::User("maria".into())] {
        assert!(!format!("{id:?}").contains("5511") && !format!("{id:?}").contains("maria"));
    }
}
