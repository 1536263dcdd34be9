//! The local stand-in for KMS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;
use portcullis_pii::{KeyError, KeyWrapper, Purpose, WrappedDataKey};
use zeroize::Zeroizing;

use crate::RootKey;
use crate::codec::RowWriter;
use crate::seal::Sealer;

/// Wraps keys under a key per [`Purpose`] that is derived from the [`RootKey`]. Clones share keys and counter.
#[derive(Clone)]
pub struct LocalKeyWrapper(Arc<Inner>);

struct Inner {
    conversation: Sealer,
    media: Sealer,
    calls: AtomicU64,
}

impl LocalKeyWrapper {
    /// The wrapper under that root.
    pub fn new(root: &RootKey) -> Self {
        let sealer = |purpose: Purpose| Sealer::new(root, &format!("kek/{}", purpose.as_str()));
        Self(Arc::new(Inner {
            conversation: sealer(Purpose::Conversation),
            media: sealer(Purpose::Media),
            calls: AtomicU64::new(0),
        }))
    }

    /// How many calls there were so far: each would be one call of KMS.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    fn call(&self, purpose: Purpose) -> &Sealer {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        match purpose {
            Purpose::Conversation => &self.0.conversation,
            Purpose::Media => &self.0.media,
        }
    }
}

impl KeyWrapper for LocalKeyWrapper {
    async fn generate(&self, purpose: Purpose, context: &[(&str, &str)]) -> Result<WrappedDataKey, KeyError> {
        let sealer = self.call(purpose);
        let place = canonical(context).ok_or(KeyError::Invalid)?;
        let mut plaintext = Zeroizing::new([0; 32]);
        rand::fill(plaintext.as_mut_slice()).map_err(|_| KeyError::Unavailable)?;
        let wrapped = sealer.seal(&place, plaintext.as_slice()).map_err(|_| KeyError::Unavailable)?;
        Ok(WrappedDataKey { plaintext, wrapped })
    }

    async fn unwrap(
        &self,
        purpose: Purpose,
        context: &[(&str, &str)],
        wrapped: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let sealer = self.call(purpose);
        let place = canonical(context).ok_or(KeyError::Invalid)?;
        let opened = Zeroizing::new(sealer.open(&place, wrapped).map_err(|_| KeyError::Invalid)?);
        let mut key = Zeroizing::new([0; 32]);
        if opened.len() != key.len() {
            return Err(KeyError::Invalid);
        }
        key.copy_from_slice(&opened);
        Ok(key)
    }
}

impl std::fmt::Debug for LocalKeyWrapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalKeyWrapper").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

/// An encryption context is a map, so the order of its pairs does not count (as in AWS KMS): sorted by name, each
/// string behind its length. `None` where a name stands twice.
fn canonical(context: &[(&str, &str)]) -> Option<Vec<u8>> {
    let mut pairs = context.to_vec();
    pairs.sort_unstable();
    if pairs.windows(2).any(|w| matches!(w, [(a, _), (b, _)] if a == b)) {
        return None;
    }
    Some(pairs.iter().fold(RowWriter::default(), |row, (name, value)| row.text(name).text(value)).finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapper() -> LocalKeyWrapper {
        LocalKeyWrapper::new(&RootKey::from_bytes([3; 32]))
    }

    #[tokio::test]
    async fn calls_are_counted_across_clones_failed_ones_too() {
        let wrapper = wrapper();
        let key = wrapper.generate(Purpose::Media, &[]).await.unwrap();
        let clone = wrapper.clone();
        assert_eq!(*clone.unwrap(Purpose::Media, &[], &key.wrapped).await.unwrap(), *key.plaintext);
        assert_eq!(clone.unwrap(Purpose::Media, &[], b"x").await.unwrap_err(), KeyError::Invalid);
        assert_eq!(wrapper.calls(), 3);
    }

    #[tokio::test]
    async fn a_wrapped_key_opens_after_a_restart_under_the_same_root_only() {
        let key = wrapper().generate(Purpose::Conversation, &[("a", "1")]).await.unwrap();
        let again = wrapper().unwrap(Purpose::Conversation, &[("a", "1")], &key.wrapped).await.unwrap();
        assert_eq!(*again, *key.plaintext);
        let other = LocalKeyWrapper::new(&RootKey::from_bytes([4; 32]));
        let refused = other.unwrap(Purpose::Conversation, &[("a", "1")], &key.wrapped).await;
        assert_eq!(refused.unwrap_err(), KeyError::Invalid);
    }

    #[test]
    fn contexts_that_differ_never_share_an_encoding() {
        let c = |pairs: &[(&str, &str)]| canonical(pairs);
        assert_eq!(c(&[("a", "1"), ("b", "2")]), c(&[("b", "2"), ("a", "1")]));
        assert_ne!(c(&[("a", "1"), ("b", "2")]), c(&[("a", "2"), ("b", "1")]));
        assert_ne!(c(&[("a", "bc")]), c(&[("ab", "c")]));
        assert_ne!(c(&[]), c(&[("", "")]));
        assert_eq!(c(&[("a", "1"), ("a", "2")]), None);
    }
}
