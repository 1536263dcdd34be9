//! The contracts of [`KeySealer`] and [`SigningKeys`].

#![expect(clippy::expect_used, clippy::panic, reason = "test support: a panic is a failed test")]

use portcullis_token::{
    Algorithm, Jwk, KeySealer, LocalSigner, MAX_PRIVATE_KEY, SealContext, SealerError, Signer, SigningKeys,
    SigningKeysError,
};
use zeroize::Zeroizing;

/// The contract of [`KeySealer`] but for [`changed_seals_are_refused`].
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn sealer(sealer: &impl KeySealer) {
    for length in [1, 1_200, MAX_PRIVATE_KEY] {
        let private = Zeroizing::new(vec![0xa5; length]);
        let sealed = sealer.seal(&private, CONTEXT).await.expect("a sealed key");
        assert_eq!(sealer.open(&sealed, CONTEXT).await.as_deref(), Ok(&*private), "{length} bytes");
        for (label, kid, algorithm) in [
            ("another kid", "other", CONTEXT.algorithm),
            ("no kid", "", CONTEXT.algorithm),
            ("another algorithm", CONTEXT.kid, Algorithm::Rs256),
        ] {
            let opened = sealer.open(&sealed, SealContext { kid, algorithm }).await;
            assert_eq!(opened.err(), Some(SealerError::Invalid), "{label}");
        }
        assert_ne!(
            sealed,
            sealer.seal(&private, CONTEXT).await.expect("a sealed key"),
            "never the same twice"
        );
        assert!(!sealed.windows(8.min(length)).any(|w| length > 8 && w == [0xa5; 8]), "it hides the key");
    }
    let large = Zeroizing::new(vec![1; MAX_PRIVATE_KEY + 1]);
    assert_eq!(sealer.seal(&large, CONTEXT).await.err(), Some(SealerError::Refused));
}

/// Apart from [`sealer`], because an emulator may open what KMS refuses.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn changed_seals_are_refused(sealer: &impl KeySealer) {
    let sealed = sealer.seal(&Zeroizing::new(vec![7; 100]), CONTEXT).await.expect("a sealed key");
    let last = sealed.len() - 1;
    for at in [last, last / 2] {
        let mut changed = sealed.clone();
        changed.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
        assert_eq!(sealer.open(&changed, CONTEXT).await.err(), Some(SealerError::Invalid), "byte {at}");
    }
    for wrong in [&b""[..], b"not sealed", &[0; 64]] {
        // Emulators word it in several ways.
        let refused = sealer.open(wrong, CONTEXT).await.err();
        assert!(
            matches!(refused, Some(SealerError::Invalid | SealerError::Refused)),
            "{wrong:?}: {refused:?}"
        );
    }
}

/// The contract of [`SigningKeys`].
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn signing_keys<K: SigningKeys>(keys: &K) {
    for algorithm in Algorithm::ALL {
        let made = keys.make(algorithm).await.expect("a key");
        let kid = made.kid().expect("a name").to_owned();
        assert_eq!(made.algorithm(), Some(algorithm));
        assert_eq!(kid, made.key().thumbprint().to_string());
        let signer = signer(keys, &made).await;
        assert_eq!((signer.algorithm(), signer.kid()), (algorithm, &*kid));
        for message in [&b""[..], b"header.payload", &[b'x'; 4_096]] {
            let signature = signer.sign(message).await.expect("a signature");
            assert!(made.key().verifies(algorithm, message, &signature), "{algorithm}");
        }
        another_key_of_the_name_is_not_taken(keys, &made, algorithm).await;
        for _ in 0..2 {
            assert_eq!(keys.destroy(&kid).await, Ok(()), "twice does no harm");
            assert_eq!(keys.signer(&made).await.err(), Some(SigningKeysError::Missing), "{algorithm}");
        }
    }
    assert_eq!(keys.destroy("never-made").await, Ok(()));
}

/// A ring that was changed must not get tokens signed by a key that it does not name.
async fn another_key_of_the_name_is_not_taken<K: SigningKeys>(keys: &K, made: &Jwk, algorithm: Algorithm) {
    let other = LocalSigner::generate(algorithm).expect("a key");
    let forged = Jwk::new(made.kid().unwrap_or_default(), algorithm, other.public().key().clone());
    let refused = keys.signer(&forged.expect("a key")).await.err();
    assert_eq!(refused, Some(SigningKeysError::Unusable), "{algorithm}");
}

async fn signer<K: SigningKeys>(keys: &K, key: &Jwk) -> K::Signer {
    match keys.signer(key).await {
        Ok(signer) => signer,
        Err(error) => panic!("no signer: {error}"),
    }
}

const CONTEXT: SealContext<'_> = SealContext { kid: "kid", algorithm: Algorithm::EdDsa };
