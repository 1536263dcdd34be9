//! The local stand-in for the KMS key that seals signing keys.

use std::sync::Arc;

use portcullis_token::{KeySealer, MAX_PRIVATE_KEY, SealContext, SealerError};
use zeroize::Zeroizing;

use crate::RootKey;
use crate::codec::RowWriter;
use crate::seal::Sealer;

/// [`KeySealer`] under a key of its own that is derived from the [`RootKey`]. Clones share it.
#[derive(Clone)]
pub struct LocalSealer(Arc<Sealer>);

impl LocalSealer {
    /// The sealer under that root.
    pub fn new(root: &RootKey) -> Self {
        Self(Arc::new(Sealer::new(root, "signing-keys")))
    }
}

impl KeySealer for LocalSealer {
    async fn seal(
        &self,
        private: &Zeroizing<Vec<u8>>,
        context: SealContext<'_>,
    ) -> Result<Vec<u8>, SealerError> {
        if private.len() > MAX_PRIVATE_KEY {
            return Err(SealerError::Refused);
        }
        self.0.seal(&place(context), private).map_err(|_| SealerError::Unavailable)
    }

    async fn open(&self, sealed: &[u8], context: SealContext<'_>) -> Result<Zeroizing<Vec<u8>>, SealerError> {
        self.0.open(&place(context), sealed).map(Zeroizing::new).map_err(|_| SealerError::Invalid)
    }
}

impl std::fmt::Debug for LocalSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalSealer")
    }
}

fn place(context: SealContext<'_>) -> Vec<u8> {
    RowWriter::default().text(context.kid).text(context.algorithm.as_str()).finish()
}

#[cfg(test)]
mod tests {
    use portcullis_token::Algorithm;

    use super::*;

    #[tokio::test]
    async fn a_sealed_key_opens_after_a_restart_under_the_same_root_only() {
        let root = |byte| RootKey::from_bytes([byte; 32]);
        let context = SealContext { kid: "k", algorithm: Algorithm::EdDsa };
        let sealed = LocalSealer::new(&root(1)).seal(&Zeroizing::new(vec![7; 9]), context).await.unwrap();
        assert_eq!(*LocalSealer::new(&root(1)).open(&sealed, context).await.unwrap(), [7; 9]);
        let refused = LocalSealer::new(&root(2)).open(&sealed, context).await;
        assert_eq!(refused.unwrap_err(), SealerError::Invalid);
    }
}
