//! The contracts of the token ports: key ring, sealed keys, revocations, refresh families, replay window, approvals.
//!
//! Each suite runs over adapters that lead to one store, as those of several containers do, and that share `clock`, which
//! begins at the true time.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "test support: a panic is a failed test")]

use std::time::Duration;

use futures_util::future::join_all;
use portcullis_base::{Clock, ManualClock, Timestamp};
use portcullis_token::{
    Algorithm, Approval, Approvals, Family, FamilyId, KeyRing, KeyRingStore, LocalSigner, RefreshFamilies,
    RefreshToken, RefreshTokens, ReplayWindow, Revocation, RevocationStore, RevocationTarget, RingPolicy,
    SealedKeyStore, StoreError, Thumbprint,
};

use super::fresh;

/// The contract of [`KeyRingStore`].
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn key_ring<S: KeyRingStore>(stores: &[S], clock: &ManualClock) {
    let (_, version) = stores[0].load().await.expect("a ring, be it empty");
    let ring = ring_with(Algorithm::ALL.into_iter(), clock);
    assert_eq!(stores[0].save(&ring, version).await, Ok(true));
    for store in stores {
        let (loaded, next) = store.load().await.expect("the ring");
        assert_eq!((said(&loaded), next), (said(&ring), version + 1), "as it was saved, to the last digit");
    }
    let other = ring_with([Algorithm::EdDsa].into_iter(), clock);
    for stale in [version, version + 2, 0, u64::MAX - 1] {
        assert_eq!(stores[0].save(&other, stale).await, Ok(false), "version {stale}");
        assert_eq!(stores[0].save(&ring, stale).await, Ok(false), "version {stale}, the same ring");
    }
    assert_eq!(said(&last(stores).load().await.expect("the ring").0), said(&ring), "nothing changed");

    let rings: Vec<_> = (0..WRITERS).map(|_| ring_with([Algorithm::EdDsa].into_iter(), clock)).collect();
    let saves = rings.iter().enumerate().map(|(n, ring)| of(stores, n).save(ring, version + 1));
    let saved: Vec<_> = join_all(saves).await.into_iter().map(|saved| saved.expect("an answer")).collect();
    let winner = only(&saved);
    let (loaded, next) = last(stores).load().await.expect("the ring");
    assert_eq!((said(&loaded), next), (said(&rings[winner]), version + 2));
}

/// The contract of [`SealedKeyStore`].
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn sealed_keys<S: SealedKeyStore>(stores: &[S]) {
    let (kid, other) = (fresh("kid_-"), fresh("kid"));
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    assert_eq!(stores[0].load(&kid).await, Ok(None));
    assert_eq!(stores[0].add(&kid, &every_byte.repeat(24)).await, Ok(()));
    assert_eq!(stores[0].add(&other, b"other").await, Ok(()));
    assert_eq!(last(stores).add(&kid, b"another").await, Err(StoreError::Refused), "never replaced");
    assert_eq!(last(stores).load(&kid).await, Ok(Some(every_byte.repeat(24))));
    for _ in 0..2 {
        assert_eq!(last(stores).remove(&kid).await, Ok(()), "twice does no harm");
        assert_eq!(stores[0].load(&kid).await, Ok(None));
    }
    assert_eq!(stores[0].load(&other).await, Ok(Some(b"other".to_vec())));
}

/// The contract of [`RevocationStore`]: all that came after a cursor is seen, and what was seen may come again.
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn revocations<S: RevocationStore>(stores: &[S], clock: &ManualClock) {
    let (_, start) = read_all(&stores[0], None).await;
    let end = in_seconds(clock, 600);
    let iss = fresh("https://issuer");
    let targets = [
        RevocationTarget::Token { iss: iss.clone(), jti: fresh("jti é") },
        RevocationTarget::Family { sid: fresh("sid") },
        RevocationTarget::Subject { iss, sub: fresh("sub"), before: clock.now() },
        RevocationTarget::Certificate {
            thumbprint: Thumbprint::of_certificate_der(fresh("certificate").as_bytes()),
        },
    ];
    let targets = targets.map(|target| Revocation { target, until: end });
    for (n, revocation) in targets.iter().enumerate() {
        assert_eq!(of(stores, n).add(revocation).await, Ok(()));
    }
    let mut after_them = None;
    for cursor in [start, None, Some("of another store".to_owned()), Some(String::new())] {
        let (found, after) = read_all(last(stores), cursor.clone()).await;
        assert!(targets.iter().all(|added| found.contains(added)), "after {cursor:?}");
        after_them = after;
    }
    let later = [revocation(end), revocation(end)];
    for revocation in [&later[0], &later[1], &later[0]] {
        assert_eq!(last(stores).add(revocation).await, Ok(()), "twice does no harm");
    }
    let (found, after) = read_all(&stores[0], after_them).await;
    assert!(later.iter().all(|added| found.contains(added)));
    writers_at_once_are_all_seen(stores, end, after).await;

    let short = Revocation { until: in_seconds(clock, 5), ..revocation(end) };
    assert_eq!(stores[0].add(&short).await, Ok(()));
    for (millis, there) in [(4_999, true), (1, false)] {
        clock.advance(millis);
        assert_eq!(read_all(last(stores), None).await.0.contains(&short), there, "{millis} ms later");
    }
}

/// A reader that polls while others write has seen everything once they are done.
async fn writers_at_once_are_all_seen<S: RevocationStore>(
    stores: &[S],
    end: Timestamp,
    start: Option<String>,
) {
    let added: Vec<_> = (0..60).map(|_| revocation(end)).collect();
    let mut writes = Box::pin(join_all(added.iter().enumerate().map(|(n, r)| of(stores, n).add(r))));
    let (mut seen, mut cursor, mut done) = (Vec::new(), start, false);
    while !done {
        done = match futures_util::future::select(&mut writes, std::pin::pin!(std::future::ready(()))).await {
            futures_util::future::Either::Left((written, _)) => {
                assert!(written.iter().all(Result::is_ok), "{written:?}");
                true
            }
            futures_util::future::Either::Right(_) => false,
        };
        let (found, after) = read_all(last(stores), cursor).await;
        seen.extend(found);
        cursor = after;
        // A store that answers at once would not let anybody else go on.
        tokio::task::yield_now().await;
    }
    let missed = added.iter().filter(|revocation| !seen.contains(revocation)).count();
    assert_eq!(missed, 0, "of {}", added.len());
}

/// The contract of [`RefreshFamilies`].
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn refresh_families<S: RefreshFamilies>(stores: &[S], clock: &ManualClock) {
    let (id, end) = (family_id(), in_seconds(clock, 600));
    let first = family(&token(id, 0), clock);
    assert_eq!(stores[0].load(id).await, Ok(None));
    assert_eq!(stores[0].replace(id, &first, &first, end).await, Ok(false), "there is none");
    assert_eq!(stores[0].create(id, &first, end).await, Ok(()));
    assert_eq!(last(stores).create(id, &first.killed(), end).await, Err(StoreError::Refused));
    assert_eq!(last(stores).load(id).await, Ok(Some(first.clone())));
    assert_eq!(last(stores).load(family_id()).await, Ok(None), "another family");

    clock.advance(1_000);
    let second = first.rotated(&token(id, 1), clock.now());
    let sibling = second.with_sibling(&token(id, 1));
    assert_eq!(last(stores).replace(id, &first, &second, end).await, Ok(true));
    assert_eq!(stores[0].replace(id, &first, &second, end).await, Ok(false), "seen before");
    assert_eq!(stores[0].replace(id, &second, &sibling, end).await, Ok(true));
    assert_eq!(
        last(stores).replace(id, &second, &second.killed(), end).await,
        Ok(false),
        "one fingerprint more"
    );
    assert_eq!(last(stores).load(id).await, Ok(Some(sibling.clone())));

    let tokens: Vec<_> = (0..WRITERS).map(|_| sibling.rotated(&token(id, 2), clock.now())).collect();
    let replaces = tokens.iter().enumerate().map(|(n, next)| of(stores, n).replace(id, &sibling, next, end));
    let replaced: Vec<_> = join_all(replaces).await.into_iter().map(|r| r.expect("an answer")).collect();
    let winner = &tokens[only(&replaced)];
    assert_eq!(stores[0].load(id).await, Ok(Some(winner.clone())));
    assert_eq!(stores[0].replace(id, winner, &winner.killed(), end).await, Ok(true));
    for store in stores {
        assert_eq!(store.load(id).await, Ok(Some(winner.killed())), "dead everywhere at once");
    }
    a_family_ends(stores, clock).await;
}

async fn a_family_ends<S: RefreshFamilies>(stores: &[S], clock: &ManualClock) {
    let (id, end) = (family_id(), in_seconds(clock, 5));
    let record = family(&token(id, 0), clock);
    assert_eq!(stores[0].create(id, &record, end).await, Ok(()));
    clock.advance(4_999);
    assert_eq!(last(stores).load(id).await, Ok(Some(record.clone())));
    clock.advance(1);
    assert_eq!(last(stores).load(id).await, Ok(None), "gone at its end, deleted or not");
    assert_eq!(last(stores).replace(id, &record, &record, in_seconds(clock, 9)).await, Ok(false));
    assert_eq!(stores[0].create(id, &record, in_seconds(clock, 9)).await, Ok(()), "its place is free");
}

/// The contract of [`ReplayWindow`].
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn replay_window<S: ReplayWindow>(stores: &[S], clock: &ManualClock) {
    let (scope, end) = (fresh("dpop"), in_seconds(clock, 5));
    for id in [fresh("jti"), "x".repeat(5_000), String::new(), "é 👋 \0".to_owned()] {
        let uses = (0..WRITERS).map(|n| of(stores, n).first_use(&scope, &id, end));
        let first: Vec<_> = join_all(uses).await.into_iter().map(|first| first.expect("an answer")).collect();
        only(&first);
        assert_eq!(last(stores).first_use(&scope, &id, in_seconds(clock, 60)).await, Ok(false));
    }
    for (scope, id) in [(format!("{scope}a"), "bc"), (format!("{scope}ab"), "c"), (scope.clone(), "abc")] {
        assert_eq!(stores[0].first_use(&scope, id, end).await, Ok(true), "{id}");
    }
    clock.advance(4_999);
    assert_eq!(last(stores).first_use(&scope, "abc", end).await, Ok(false));
    clock.advance(1);
    assert_eq!(last(stores).first_use(&scope, "abc", in_seconds(clock, 5)).await, Ok(true), "past its end");
    assert_eq!(stores[0].first_use(&scope, "abc", in_seconds(clock, 5)).await, Ok(false), "noted again");
}

/// The contract of [`Approvals`].
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn approvals<S: Approvals>(stores: &[S], clock: &ManualClock) {
    let end = in_seconds(clock, 600);
    let (open, withdrawn) = (approval(end), approval(end));
    for approval in [&open, &withdrawn] {
        assert_eq!(stores[0].add(approval).await, Ok(()));
    }
    let other = Approval { plan: "another-plan".into(), ..open.clone() };
    assert_eq!(last(stores).add(&other).await, Err(StoreError::Refused), "never replaced");
    assert_eq!(last(stores).peek(&open.id).await, Ok(Some(open.clone())));
    let take = async |n, id: &str, actor: &str| of(stores, n).take(id, actor, clock.now()).await;
    assert_eq!(take(0, &open.id, "svc.other").await, Ok(None), "for another actor");
    assert_eq!(take(0, &fresh("a"), "svc.actuator").await, Ok(None), "unknown");
    assert_eq!(take(1, &open.id, "svc.actuator").await, Ok(Some(open.clone())), "still open");
    assert_eq!(take(0, &open.id, "svc.actuator").await, Ok(None), "spent");
    assert_eq!(stores[0].peek(&open.id).await, Ok(None));
    for _ in 0..2 {
        assert_eq!(stores[0].withdraw(&withdrawn.id).await, Ok(()), "twice does no harm");
        assert_eq!(take(1, &withdrawn.id, "svc.actuator").await, Ok(None));
    }

    let contended = approval(end);
    assert_eq!(stores[0].add(&contended).await, Ok(()));
    let takes = join_all((0..WRITERS).map(|n| take(n, &contended.id, "svc.actuator"))).await;
    let taken: Vec<_> = takes.into_iter().map(|taken| taken.expect("an answer").is_some()).collect();
    only(&taken);

    let short = approval(in_seconds(clock, 5));
    assert_eq!(stores[0].add(&short).await, Ok(()));
    let at_end = Timestamp::from_millisecond(short.expires_at).expect("a time");
    assert_eq!(stores[0].take(&short.id, "svc.actuator", at_end).await, Ok(None), "at its end");
    assert_eq!(last(stores).peek(&short.id).await, Ok(Some(short.clone())), "which has not come");
    clock.advance(5_000);
    assert_eq!(last(stores).peek(&short.id).await, Ok(None));
    assert_eq!(take(0, &short.id, "svc.actuator").await, Ok(None));
}

/// Reads on from a cursor until there is no more.
async fn read_all<S: RevocationStore>(
    store: &S,
    mut cursor: Option<String>,
) -> (Vec<Revocation>, Option<String>) {
    let mut found = Vec::new();
    for _ in 0..1_000 {
        let page = store.since(cursor.as_deref()).await.expect("a page");
        found.extend(page.items);
        cursor = page.cursor;
        if !page.more {
            break;
        }
    }
    (found, cursor)
}

fn ring_with(algorithms: impl Iterator<Item = Algorithm>, clock: &ManualClock) -> KeyRing {
    let hour = Duration::from_secs(3_600);
    let policy = RingPolicy {
        cache_lifetime: hour,
        ring_staleness: hour,
        max_token_lifetime: hour,
        leeway: hour,
        rotate_every: hour,
    };
    let mut ring = KeyRing::default();
    for algorithm in algorithms {
        // Two of each: one that signs and, with other dates, one that waits.
        for _ in 0..2 {
            let key = LocalSigner::generate(algorithm).expect("a key");
            let now = Timestamp::from_nanosecond(clock.now().as_nanosecond() + 1_001).expect("a time");
            ring.publish(key.public().clone(), &policy, now).expect("a place in the ring");
        }
    }
    ring
}

fn said(ring: &KeyRing) -> Vec<String> {
    ring.keys().iter().map(|key| format!("{key:?}")).collect()
}

fn revocation(until: Timestamp) -> Revocation {
    Revocation { target: RevocationTarget::Token { iss: "https://i".into(), jti: fresh("jti") }, until }
}

fn approval(end: Timestamp) -> Approval {
    Approval {
        id: fresh("approval"),
        plan: "plan-7".into(),
        approver: "svc.enterprise".into(),
        actor: "svc.actuator".into(),
        issued_at: 1_234_567_890_123,
        expires_at: end.as_millisecond(),
    }
}

fn family_id() -> FamilyId {
    FamilyId::random().expect("a family id")
}

fn token(id: FamilyId, generation: u32) -> RefreshToken {
    RefreshTokens::new(&[7; 32], None).and_then(|tokens| tokens.make(id, generation)).expect("a token").0
}

fn family(first: &RefreshToken, clock: &ManualClock) -> Family {
    Family::new("user é", "svc.bff", "read:signals write:insights", first, clock.now())
}

/// A time from now, to the millisecond.
pub(super) fn in_seconds(clock: &ManualClock, seconds: i64) -> Timestamp {
    Timestamp::from_millisecond(clock.now().as_millisecond() + seconds * 1_000).expect("a time")
}

/// The adapter of the nth worker.
pub(super) fn of<S>(stores: &[S], n: usize) -> &S {
    &stores[n % stores.len()]
}

pub(super) fn last<S>(stores: &[S]) -> &S {
    stores.last().expect("a store")
}

/// The place of the one that won.
pub(super) fn only(won: &[bool]) -> usize {
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "exactly one wins: {won:?}");
    won.iter().position(|won| *won).unwrap_or_default()
}

/// At once.
pub(super) const WRITERS: usize = 32;
