//! The contract of [`ProgressStore`]: one writer moves the audit of a region on, and nobody skips or repeats a save.

#![expect(clippy::expect_used, reason = "test support: a panic is a failed test")]

use futures_util::future::join_all;
use portcullis_base::Timestamp;
use portcullis_detection::{AuditProgress, HistoryError, OpenWindow, ProgressStore};

use super::fresh;
use super::incidents::pick;

/// Runs the suite over handles of one store, each as a container of its own would have it.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite<S: ProgressStore>(stores: &[S]) {
    revisions_follow_each_other(stores).await;
    regions_are_apart(stores).await;
    of_many_at_once_one_moves_on(stores).await;
}

async fn revisions_follow_each_other<S: ProgressStore>(stores: &[S]) {
    let region = fresh("region");
    assert_eq!(pick(stores, 0).progress(&region).await, Ok(None));
    for (label, revision, expected) in [
        ("never saved", 0, Err(HistoryError::Conflict)),
        ("not the first", 2, Err(HistoryError::Conflict)),
        ("the first", 1, Ok(())),
        ("again", 1, Err(HistoryError::Conflict)),
        ("one is left out", 3, Err(HistoryError::Conflict)),
        ("the last there is", u64::MAX, Err(HistoryError::Conflict)),
        ("the next", 2, Ok(())),
        ("back", 1, Err(HistoryError::Conflict)),
    ] {
        let before = pick(stores, 0).progress(&region).await.expect("an answer");
        let new = progress(revision);
        let saved = pick(stores, 1).save_progress(&region, &new).await;
        assert_eq!(saved, expected, "{label}");
        let there = if expected.is_ok() { Some(new) } else { before };
        assert_eq!(pick(stores, 2).progress(&region).await, Ok(there), "{label}");
    }
    let closed = AuditProgress { open: None, ..progress(3) };
    assert_eq!(pick(stores, 0).save_progress(&region, &closed).await, Ok(()));
    assert_eq!(pick(stores, 1).progress(&region).await, Ok(Some(closed)));
}

async fn regions_are_apart<S: ProgressStore>(stores: &[S]) {
    let [one, other] = ["a", "b"].map(fresh);
    assert_eq!(pick(stores, 0).save_progress(&one, &progress(1)).await, Ok(()));
    assert_eq!(pick(stores, 0).progress(&other).await, Ok(None));
    assert_eq!(pick(stores, 1).save_progress(&other, &progress(1)).await, Ok(()));
}

async fn of_many_at_once_one_moves_on<S: ProgressStore>(stores: &[S]) {
    let region = &fresh("region");
    for revision in 1..=3 {
        // All of them write the same: whose it was is still told.
        let saves = join_all(
            (0..8).map(|n| async move { pick(stores, n).save_progress(region, &progress(revision)).await }),
        )
        .await;
        assert_eq!(saves.iter().filter(|saved| saved.is_ok()).count(), 1, "{saves:?}");
        assert_eq!(pick(stores, 0).progress(region).await, Ok(Some(progress(revision))));
    }
}

fn progress(revision: u64) -> AuditProgress {
    let second = 1_750_000_000 + i64::try_from(revision % 1000).unwrap_or(0);
    let at = Timestamp::from_second(second).expect("a time");
    let open = OpenWindow { to: at, page: Some("a page / ñ".repeat(300)) };
    AuditProgress { done_to: at, open: Some(open), revision }
}
