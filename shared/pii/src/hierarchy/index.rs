//! The blind index's key: one for all, wrapped by the conversation key of the wrapper.

use std::sync::Arc;

use portcullis_base::Clock;

use super::KeyHierarchy;
use crate::{BlindIndex, KeyError, KeyStore, KeyWrapper, Purpose};

impl<W: KeyWrapper, S: KeyStore, C: Clock> KeyHierarchy<W, S, C> {
    pub(super) async fn load_index(&self) -> Result<Arc<BlindIndex>, KeyError> {
        let index = match self.store.index_key().await? {
            Some(wrapped) => self.unwrap_index(&wrapped).await?,
            None => self.add_index().await?,
        };
        Ok(self.index.get_or_init(|| index).clone())
    }

    async fn add_index(&self) -> Result<Arc<BlindIndex>, KeyError> {
        let made = self.wrapper.generate(PURPOSE, &self.index_context()).await?;
        if self.store.add_index_key(&made.wrapped).await? {
            return Ok(Arc::new(BlindIndex::new(&made.plaintext)));
        }
        let wrapped = self.store.index_key().await?.ok_or(KeyError::Unavailable)?;
        self.unwrap_index(&wrapped).await
    }

    async fn unwrap_index(&self, wrapped: &[u8]) -> Result<Arc<BlindIndex>, KeyError> {
        let key = self.wrapper.unwrap(PURPOSE, &self.index_context(), wrapped).await?;
        Ok(Arc::new(BlindIndex::new(&key)))
    }

    fn index_context(&self) -> [(&str, &str); 4] {
        context(PURPOSE, "index", "1", &self.options.table)
    }
}

/// The encryption context of a key that the wrapper wraps.
pub(super) const fn context<'a>(
    purpose: Purpose,
    key: &'a str,
    version: &'a str,
    table: &'a str,
) -> [(&'a str, &'a str); 4] {
    [
        ("portcullis:purpose", purpose.as_str()),
        ("portcullis:key", key),
        ("portcullis:version", version),
        ("portcullis:table", table),
    ]
}

const PURPOSE: Purpose = Purpose::Conversation;
