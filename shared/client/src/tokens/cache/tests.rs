use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portcullis_base::ManualClock;

use super::*;

/// Gives tokens of 600 s named by their number, or the failure that it is told.
#[derive(Default)]
struct Fetcher {
    calls: AtomicUsize,
    failure: Mutex<Option<ClientError>>,
    hangs: AtomicBool,
}

impl Fetcher {
    fn fail(&self, error: Option<ClientError>) {
        *self.failure.lock().unwrap() = error;
    }
}

impl TokenFetcher for Arc<Fetcher> {
    async fn fetch(&self, _: &Via) -> Result<Grant, ClientError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        // Others get their turn, as they do while a request is on its way.
        tokio::task::yield_now().await;
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if let Some(error) = *self.failure.lock().unwrap() {
            return Err(error);
        }
        let body = format!(r#"{{"access_token":"t{number}","token_type":"bearer","expires_in":600}}"#);
        Grant::parse(body.as_bytes())
    }
}

/// No chance, and pauses that only count.
#[derive(Default)]
struct Still(AtomicUsize);

impl Pacing for Still {
    fn jitter(&self, _: Duration) -> Duration {
        Duration::ZERO
    }

    async fn pause(&self, _: Duration) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Calls may take so long.
const CALL: Duration = Duration::from_millis(400);

struct Bench {
    fetcher: Arc<Fetcher>,
    clock: Arc<ManualClock>,
    pacing: Arc<Still>,
    cache: TokenCache<Arc<Fetcher>, Arc<ManualClock>, Arc<Still>>,
    via: Via,
}

impl Bench {
    fn new() -> Self {
        let (fetcher, pacing) = (Arc::new(Fetcher::default()), Arc::new(Still::default()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
        let cache = TokenCache::new(Arc::clone(&fetcher), Arc::clone(&clock), Arc::clone(&pacing), CALL);
        Self { fetcher, clock, pacing, cache, via: Via { http: reqwest::Client::new(), generation: 0 } }
    }

    async fn token(&self) -> Result<String, ClientError> {
        let token = self.cache.current(&self.via).await?;
        Ok(name(&token))
    }

    fn calls(&self) -> usize {
        self.fetcher.calls.load(Ordering::SeqCst)
    }

    fn later(&self, seconds: i64) {
        self.clock.advance(seconds * 1000);
    }
}

fn name(token: &AccessToken) -> String {
    token.header().unwrap().to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

#[tokio::test]
async fn many_callers_make_one_request() {
    let bench = Arc::new(Bench::new());
    for (label, expected, requests) in [("first", "t1", 1), ("at its end", "t2", 2)] {
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let bench = Arc::clone(&bench);
                tokio::spawn(async move { bench.token().await })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap().unwrap(), expected, "{label}");
        }
        assert_eq!(bench.calls(), requests, "{label}");
        bench.later(600);
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_used_by_others_meanwhile() {
    let bench = Bench::new();
    for (label, at, expected) in [
        ("new", 0, "t1"),
        ("just before the margin of 60 s", 539, "t1"),
        ("due", 1, "t2"),
        ("renewed", 0, "t2"),
        ("over", 600, "t3"),
    ] {
        bench.later(at);
        assert_eq!(bench.token().await.unwrap(), expected, "{label}");
    }
    bench.later(545);
    let (renewing, other) = tokio::join!(bench.token(), bench.token());
    assert_eq!((renewing.unwrap().as_str(), other.unwrap().as_str()), ("t4", "t3"));
    assert_eq!(bench.calls(), 4);
}

#[tokio::test]
async fn a_failing_service_is_not_noticed_while_a_token_is_good() {
    let bench = Bench::new();
    bench.token().await.unwrap();
    bench.fetcher.fail(Some(ClientError::TokenUnavailable));
    bench.later(545);
    for _ in 0..10 {
        assert_eq!(bench.token().await.unwrap(), "t1");
    }
    assert_eq!(bench.calls(), 2, "asked once, then left alone");
    bench.later(51);
    assert_eq!(
        bench.token().await,
        Err(ClientError::TokenUnavailable),
        "5 s before its end it is no longer used"
    );
    bench.fetcher.fail(None);
    bench.later(30);
    assert!(bench.token().await.is_ok(), "and all is well once the service is back");
}

#[tokio::test]
async fn a_hanging_service_is_not_noticed_while_a_token_is_good() {
    let bench = Bench::new();
    bench.token().await.unwrap();
    bench.fetcher.hangs.store(true, Ordering::SeqCst);
    bench.later(545);
    for i in 0..10 {
        let answer = tokio::time::timeout(CALL, bench.token()).await;
        assert_eq!(answer, Ok(Ok("t1".to_owned())), "call {i}");
    }
    assert_eq!(bench.calls(), 2, "asked once, then left alone");
    for (label, seconds, calls) in
        [("half a second was quiet", 1, 3), ("a second is", 0, 3), ("it was", 1, 4), ("two are", 1, 4)]
    {
        bench.later(seconds);
        assert_eq!(tokio::time::timeout(CALL, bench.token()).await, Ok(Ok("t1".to_owned())), "{label}");
        assert_eq!(bench.calls(), calls, "{label}");
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_while_it_renews_holds_up_no_other() {
    let bench = Bench::new();
    bench.token().await.unwrap();
    bench.fetcher.hangs.store(true, Ordering::SeqCst);
    bench.later(545);
    let impatient = CALL / 40;
    assert!(tokio::time::timeout(impatient, bench.token()).await.is_err(), "given up by whoever made it");
    for i in 0..5 {
        assert!(tokio::time::timeout(impatient, bench.token()).await.is_ok(), "call {i}");
    }
    assert_eq!(bench.calls(), 2);
}

#[tokio::test]
async fn calls_that_were_given_up_keep_nobody_from_asking_once_the_token_has_ended() {
    let bench = Bench::new();
    bench.token().await.unwrap();
    bench.later(545);
    bench.fetcher.hangs.store(true, Ordering::SeqCst);
    // Quiet times of 0.5, 1, 2, 4, 8, 15 and 15 s: the next would be over long after the token.
    for seconds in [1, 1, 2, 4, 8, 15, 15] {
        assert_eq!(bench.token().await.unwrap(), "t1");
        bench.later(seconds);
    }
    for (label, seconds) in [("4 s before its end", 0), ("1 s before its end", 3)] {
        bench.later(seconds);
        assert_eq!(bench.token().await.unwrap(), "t1", "{label}");
        assert_eq!(bench.calls(), 9, "{label}");
    }
    bench.fetcher.hangs.store(false, Ordering::SeqCst);
    bench.later(1);
    assert_eq!(bench.token().await.unwrap(), "t10", "asked as soon as there is none");
}

#[tokio::test]
async fn without_a_token_a_failing_service_is_asked_a_few_times_and_then_left_alone() {
    let bench = Bench::new();
    bench.fetcher.fail(Some(ClientError::TokenUnavailable));
    assert_eq!(bench.token().await, Err(ClientError::TokenUnavailable));
    assert_eq!((bench.calls(), bench.pacing.0.load(Ordering::SeqCst)), (3, 2));
    for _ in 0..10 {
        assert_eq!(bench.token().await, Err(ClientError::TokenUnavailable));
    }
    assert_eq!(bench.calls(), 3);
    bench.fetcher.fail(None);
    bench.later(1);
    assert_eq!(bench.token().await.unwrap(), "t4");
}

#[tokio::test]
async fn a_refusal_is_final_for_the_moment() {
    let bench = Bench::new();
    let refused = ClientError::TokenRefused(crate::OauthError::InvalidClient);
    bench.fetcher.fail(Some(refused));
    assert_eq!(bench.token().await, Err(refused));
    assert_eq!(bench.token().await, Err(refused));
    assert_eq!(bench.calls(), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_in_a_while() {
    let bench = Bench::new();
    let first = bench.cache.current(&bench.via).await.unwrap();
    let second = bench.cache.instead_of(&first, &bench.via).await.unwrap();
    assert_eq!(name(&second), "t2");
    let late = bench.cache.instead_of(&first, &bench.via).await.unwrap();
    assert_eq!(name(&late), "t2", "who comes late with the old one gets the one that is there");
    assert!(bench.cache.instead_of(&second, &bench.via).await.is_none(), "not again at once");
    bench.later(10);
    assert_eq!(name(&bench.cache.instead_of(&second, &bench.via).await.unwrap()), "t3");
    assert_eq!(bench.calls(), 3);
}

#[tokio::test]
async fn a_new_certificate_needs_a_new_token() {
    let mut bench = Bench::new();
    assert_eq!(bench.token().await.unwrap(), "t1");
    bench.via.generation = 1;
    assert_eq!(bench.token().await.unwrap(), "t2");
}

#[tokio::test]
async fn a_clock_that_jumps_does_no_harm() {
    let bench = Bench::new();
    assert_eq!(bench.token().await.unwrap(), "t1");
    bench.later(-3600);
    assert_eq!(bench.token().await.unwrap(), "t2", "its end can no longer be told");
    bench.later(7200);
    assert_eq!(bench.token().await.unwrap(), "t3");
    bench.fetcher.fail(Some(ClientError::TokenUnavailable));
    bench.later(600);
    assert!(bench.token().await.is_err());
    bench.fetcher.fail(None);
    bench.later(-3600);
    assert!(bench.token().await.is_ok(), "a pause is never longer than it was meant to be");
}
