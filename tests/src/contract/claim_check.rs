//! The contract of [`ClaimCheck`].

use portcullis_webhook::{ClaimCheck, ClaimCheckError};

use super::fresh;

/// Runs the whole contract.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite(claims: &impl ClaimCheck) {
    what_was_put_is_read_back(claims).await;
    putting_the_same_again_is_harmless(claims).await;
    what_was_never_put_is_not_found(claims).await;
    more_than_the_caller_takes_is_refused(claims).await;
}

async fn what_was_put_is_read_back(claims: &impl ClaimCheck) {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for (what, body) in [
        ("one byte", vec![0]),
        ("every byte", every_byte.clone()),
        ("1.5 MB", every_byte.repeat(6_000)),
        ("JSON", br#"{"subject":"5511987654321"}"#.to_vec()),
    ] {
        let key = fresh("claims/2026/contract");
        assert_eq!(claims.put(&key, &body).await, Ok(()), "{what}");
        assert!(claims.get(&key, 4 << 20).await.as_ref() == Ok(&body), "{what}");
    }
}

async fn putting_the_same_again_is_harmless(claims: &impl ClaimCheck) {
    let key = fresh("claims/again");
    for _ in 0..3 {
        assert_eq!(claims.put(&key, b"body").await, Ok(()));
    }
    let (a, b) = tokio::join!(claims.put(&key, b"body"), claims.put(&key, b"body"));
    assert_eq!((a, b), (Ok(()), Ok(())));
    assert_eq!(claims.get(&key, 10).await, Ok(b"body".to_vec()));
}

async fn what_was_never_put_is_not_found(claims: &impl ClaimCheck) {
    let key = fresh("claims/never");
    assert_eq!(claims.get(&key, 10).await, Err(ClaimCheckError::NotFound));
    assert_eq!(claims.put(&format!("{key}-other"), b"body").await, Ok(()));
    assert_eq!(claims.get(&key, 10).await, Err(ClaimCheckError::NotFound), "a longer key is another key");
}

async fn more_than_the_caller_takes_is_refused(claims: &impl ClaimCheck) {
    let key = fresh("claims/large");
    assert_eq!(claims.put(&key, &[7; 1_000]).await, Ok(()));
    assert_eq!(claims.get(&key, 1_000).await, Ok(vec![7; 1_000]));
    for max in [999, 1, 0] {
        assert_eq!(claims.get(&key, max).await, Err(ClaimCheckError::TooLarge), "at most {max}");
    }
}
