use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::future::join_all;
use portcullis_base::{ExposeSecret, ManualClock, SecretString, Timestamp};
use proptest::prelude::*;

use super::*;

/// A backend that counts its reads, answers what it is told, and can be made to hang.
struct Fake {
    answer: Mutex<Result<SecretVersions, SecretError>>,
    reads: AtomicUsize,
    hang: AtomicBool,
}

impl Fake {
    fn holding(value: &str) -> Self {
        Self { answer: Mutex::new(Ok(versions(value, None))), reads: AtomicUsize::new(0), hang: false.into() }
    }

    fn answer(&self, answer: Result<SecretVersions, SecretError>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl SecretSource for &Fake {
    async fn fetch(&self, _: &str) -> Result<SecretVersions, SecretError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if self.hang.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        self.answer.lock().unwrap().clone()
    }
}

fn versions(current: &str, previous: Option<&str>) -> SecretVersions {
    SecretVersions {
        current: SecretString::from(current),
        previous: previous.map(SecretString::from),
        since: None,
    }
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::UNIX_EPOCH)
}

fn cache<'a>(fake: &'a Fake, clock: &'a ManualClock) -> CachedSecrets<&'a Fake, &'a ManualClock> {
    CachedSecrets::new(fake, clock, CacheSettings::default())
}

/// Polls until the future is done. Nothing here needs a wake-up: whatever it waits for happened before.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("still pending");
}

fn current(answer: Result<Arc<SecretVersions>, SecretError>) -> Result<String, SecretError> {
    answer.map(|versions| versions.current.expose_secret().to_owned())
}

#[test]
fn what_is_served_follows_age_and_the_backends_answer() {
    use SecretError::{Denied, Malformed, NotFound, Unavailable};
    type Case =
        (&'static str, i64, Result<&'static str, SecretError>, Result<&'static str, SecretError>, usize);
    let cases: [Case; 12] = [
        ("fresh: the backend is not asked", 0, Ok("new"), Ok("old"), 1),
        ("fresh to the last millisecond", 299_999, Ok("new"), Ok("old"), 1),
        ("expired: the backend is asked", 300_000, Ok("new"), Ok("new"), 2),
        ("fresh while the backend is down", 299_999, Err(Unavailable), Ok("old"), 1),
        ("stale while the backend is down", 300_000, Err(Unavailable), Ok("old"), 2),
        ("stale to the last millisecond", 3_899_999, Err(Unavailable), Ok("old"), 2),
        ("too stale", 3_900_000, Err(Unavailable), Err(Unavailable), 2),
        ("never stale when denied", 300_000, Err(Denied), Err(Denied), 2),
        ("never stale when gone", 300_000, Err(NotFound), Err(NotFound), 2),
        ("never stale when malformed", 300_000, Err(Malformed), Err(Malformed), 2),
        ("a clock that went back proves nothing", -1, Ok("new"), Ok("new"), 2),
        ("nor does it make a value stale for ever", -1, Err(Unavailable), Err(Unavailable), 2),
    ];
    for (label, age, answer, expected, reads) in cases {
        let (fake, clock) = (Fake::holding("old"), clock());
        let cache = cache(&fake, &clock);
        assert_eq!(current(run(cache.get("n"))), Ok("old".to_owned()), "{label}");
        clock.advance(age);
        fake.answer(answer.map(|value| versions(value, None)));
        assert_eq!(current(run(cache.get("n"))), expected.map(str::to_owned), "{label}");
        assert_eq!(fake.reads(), reads, "{label}");
    }
}

#[test]
fn many_misses_are_one_read() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let cache = cache(&fake, &clock);
    fake.hang.store(true, Ordering::SeqCst);
    let mut all = pin!(join_all((0..100).map(|_| cache.get("n"))));
    for _ in 0..3 {
        assert!(all.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(fake.reads(), 1);
    }
    fake.hang.store(false, Ordering::SeqCst);
    let answers = run(all);
    assert_eq!(answers.len(), 100);
    assert!(answers.into_iter().all(|answer| current(answer) == Ok("v".to_owned())));
    assert_eq!(fake.reads(), 1);
}

#[test]
fn a_failed_read_is_shared_by_those_who_waited_for_it() {
    let (fake, clock) = (Fake::holding("v"), clock());
    fake.answer(Err(SecretError::Unavailable));
    let cache = cache(&fake, &clock);
    let answers = run(join_all((0..20).map(|_| cache.get("n"))));
    assert!(answers.into_iter().all(|answer| current(answer) == Err(SecretError::Unavailable)));
    assert_eq!(fake.reads(), 1);
}

#[test]
fn a_reader_that_gives_up_does_not_block_the_next() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let cache = cache(&fake, &clock);
    fake.hang.store(true, Ordering::SeqCst);
    {
        let mut given_up = pin!(cache.get("n"));
        assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    fake.hang.store(false, Ordering::SeqCst);
    assert_eq!(current(run(cache.get("n"))), Ok("v".to_owned()));
}

#[test]
fn failures_are_remembered_briefly() {
    for error in
        [SecretError::NotFound, SecretError::Denied, SecretError::Unavailable, SecretError::Malformed]
    {
        let (fake, clock) = (Fake::holding("v"), clock());
        fake.answer(Err(error));
        let cache = cache(&fake, &clock);
        for _ in 0..50 {
            assert_eq!(current(run(cache.get("n"))), Err(error));
        }
        assert_eq!(fake.reads(), 1, "{error}");
        clock.advance(1_999);
        assert_eq!(current(run(cache.get("n"))), Err(error));
        assert_eq!(fake.reads(), 1, "{error}");
        fake.answer(Ok(versions("v", None)));
        clock.advance(1);
        assert_eq!(current(run(cache.get("n"))), Ok("v".to_owned()), "{error}");
    }
}

#[test]
fn a_backend_that_is_down_is_asked_rarely_while_the_stale_value_is_served() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let cache = cache(&fake, &clock);
    run(cache.get("n")).unwrap();
    fake.answer(Err(SecretError::Unavailable));
    clock.advance(300_000);
    for _ in 0..200 {
        assert_eq!(current(run(cache.get("n"))), Ok("v".to_owned()));
        clock.advance(100);
    }
    assert_eq!(fake.reads(), 1 + 10, "20 s at one read in 2 s");
}

#[test]
fn the_previous_version_is_passed_through() {
    let (fake, clock) = (Fake::holding("x"), clock());
    fake.answer(Ok(versions("new", Some("old"))));
    let got = run(cache(&fake, &clock).get("n")).unwrap();
    assert_eq!(got.previous.as_ref().unwrap().expose_secret(), "old");
}

#[test]
fn refresh_finds_what_was_rotated_just_now() {
    let (fake, clock) = (Fake::holding("old"), clock());
    let cache = cache(&fake, &clock);
    let seen = run(cache.get("n")).unwrap();
    fake.answer(Ok(versions("new", Some("old"))));
    let newer = run(cache.refresh("n", &seen)).unwrap().expect("newer versions");
    assert_eq!(newer.current.expose_secret(), "new");
    assert_eq!(current(run(cache.get("n"))), Ok("new".to_owned()), "the others get it too");
    assert_eq!(fake.reads(), 2);
}

#[test]
fn everyone_who_failed_with_the_old_versions_gets_the_new_ones_for_one_read() {
    let (fake, clock) = (Fake::holding("old"), clock());
    let cache = cache(&fake, &clock);
    let seen = run(cache.get("n")).unwrap();
    fake.answer(Ok(versions("new", Some("old"))));
    let answers = run(join_all((0..20).map(|_| cache.refresh("n", &seen))));
    assert!(answers.iter().all(|a| a.as_ref().unwrap().as_ref().unwrap().current.expose_secret() == "new"));
    assert_eq!(fake.reads(), 2);
}

#[test]
fn forged_requests_cannot_drive_the_backend() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let cache = cache(&fake, &clock);
    let seen = run(cache.get("n")).unwrap();
    for _ in 0..1_000 {
        assert!(run(cache.refresh("n", &seen)).unwrap().is_none());
        clock.advance(30);
    }
    assert_eq!(fake.reads(), 1 + 3, "30 s at one read in 10 s");
}

#[test]
fn refresh_reports_a_backend_that_is_down_and_keeps_the_value() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let cache = cache(&fake, &clock);
    let seen = run(cache.get("n")).unwrap();
    fake.answer(Err(SecretError::Unavailable));
    assert_eq!(run(cache.refresh("n", &seen)).unwrap_err(), SecretError::Unavailable);
    assert_eq!(current(run(cache.get("n"))), Ok("v".to_owned()));
}

#[test]
fn refresh_withdraws_a_value_that_the_backend_denies() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let cache = cache(&fake, &clock);
    let seen = run(cache.get("n")).unwrap();
    fake.answer(Err(SecretError::Denied));
    assert_eq!(run(cache.refresh("n", &seen)).unwrap_err(), SecretError::Denied);
    clock.advance(1);
    assert_eq!(current(run(cache.get("n"))), Err(SecretError::Denied));
}

#[test]
fn names_are_bounded_and_unknown_ones_leave_first() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let settings = CacheSettings { max_names: 2, ..CacheSettings::default() };
    let cache = CachedSecrets::new(&fake, &clock, settings);
    run(cache.get("good")).unwrap();
    fake.answer(Err(SecretError::NotFound));
    for i in 0..100 {
        clock.advance(1);
        assert_eq!(run(cache.get(&format!("unknown {i}"))).unwrap_err(), SecretError::NotFound);
    }
    assert_eq!(cache.slots.lock().unwrap().len(), 2);
    let before = fake.reads();
    assert_eq!(current(run(cache.get("good"))), Ok("v".to_owned()), "a flood of names evicts no value");
    assert_eq!(fake.reads(), before);
}

#[test]
fn the_longest_unused_value_leaves() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let settings = CacheSettings { max_names: 2, ..CacheSettings::default() };
    let cache = CachedSecrets::new(&fake, &clock, settings);
    for name in ["a", "b", "a", "c"] {
        clock.advance(1);
        run(cache.get(name)).unwrap();
    }
    assert_eq!(fake.reads(), 3);
    run(cache.get("a")).unwrap();
    assert_eq!(fake.reads(), 3, "a stayed");
    run(cache.get("b")).unwrap();
    assert_eq!(fake.reads(), 4, "b had left");
}

#[test]
fn a_name_that_is_being_read_does_not_leave() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let settings = CacheSettings { max_names: 1, ..CacheSettings::default() };
    let cache = CachedSecrets::new(&fake, &clock, settings);
    fake.hang.store(true, Ordering::SeqCst);
    let mut reading = pin!(cache.get("a"));
    assert!(reading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(run(cache.get("b")).unwrap_err(), SecretError::Unavailable);
    fake.hang.store(false, Ordering::SeqCst);
    assert_eq!(current(run(reading)), Ok("v".to_owned()));
}

#[test]
fn impossible_names_never_reach_the_backend() {
    let (fake, clock) = (Fake::holding("v"), clock());
    let cache = cache(&fake, &clock);
    for name in ["", &"x".repeat(2_049)] {
        assert_eq!(run(cache.get(name)).unwrap_err(), SecretError::NotFound);
    }
    assert_eq!(fake.reads(), 0);
    assert!(run(cache.get(&"x".repeat(2_048))).is_ok());
}

#[test]
fn debug_output_shows_neither_name_nor_value() {
    let (fake, clock) = (Fake::holding("the-value"), clock());
    let cache = cache(&fake, &clock);
    let versions = run(cache.get("the-name")).unwrap();
    let shown = format!("{cache:?} {versions:?}");
    assert!(!shown.contains("the-value") && !shown.contains("the-name"), "{shown}");
}

/// What may happen to a cache.
#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    Rotate(u8),
    Break(SecretError),
    Ask,
    Refresh,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_i64..400_000).prop_map(Step::Wait),
        any::<u8>().prop_map(Step::Rotate),
        prop_oneof![Just(SecretError::Unavailable), Just(SecretError::Denied), Just(SecretError::NotFound)]
            .prop_map(Step::Break),
        Just(Step::Ask),
        Just(Step::Refresh),
    ]
}

proptest! {
    /// Whatever happens: no value is served beyond its bound, none that the backend withdrew (once it was asked),
    /// and an error comes only from the backend.
    #[test]
    fn what_is_served_was_valid_recently_enough(steps in prop::collection::vec(step(), 1..60)) {
        let (fake, clock) = (Fake::holding("0"), clock());
        let cache = cache(&fake, &clock);
        let mut last_true = std::collections::HashMap::from([("0".to_owned(), 0_i64)]);
        let mut truth = Ok("0".to_owned());
        let mut seen = None;
        for step in steps {
            let now = clock.now().as_millisecond();
            match step {
                Step::Wait(by) => clock.advance(by),
                Step::Rotate(n) => { truth = Ok(n.to_string()); fake.answer(Ok(versions(&n.to_string(), None))); }
                Step::Break(error) => { truth = Err(error); fake.answer(Err(error)); }
                Step::Ask => {
                    let reads = fake.reads();
                    match run(cache.get("n")) {
                        Ok(served) => {
                            let value = served.current.expose_secret().to_owned();
                            let age = now - last_true.get(&value).copied().unwrap_or(i64::MIN / 2);
                            prop_assert!(age < 3_900_000, "{value} is {age} ms old");
                            if fake.reads() > reads {
                                prop_assert!(truth.as_ref().is_ok_and(|v| *v == value) || truth == Err(SecretError::Unavailable));
                            }
                            seen = Some(served);
                        }
                        Err(error) if fake.reads() > reads => prop_assert_eq!(truth.as_ref().unwrap_err(), &error),
                        Err(_) => {}
                    }
                }
                Step::Refresh => {
                    if let Some(seen) = &seen
                        && let Ok(Some(newer)) = run(cache.refresh("n", seen))
                    {
                        prop_assert_ne!(newer.current.expose_secret(), seen.current.expose_secret());
                    }
                }
            }
            if let Ok(value) = &truth {
                last_true.insert(value.clone(), clock.now().as_millisecond());
            }
        }
    }
}
