use crate::{Ask, LimitStore, StoreError, Taken};

/// One of two stores, whichever the settings name.
#[derive(Debug, Clone)]
pub enum EitherLimits<L, R> {
    /// The one.
    Left(L),
    /// The other.
    Right(R),
}

impl<L: LimitStore, R: LimitStore> LimitStore for EitherLimits<L, R> {
    async fn take(&self, key: &str, ask: &Ask) -> Result<Taken, StoreError> {
        match self {
            Self::Left(store) => store.take(key, ask).await,
            Self::Right(store) => store.take(key, ask).await,
        }
    }
}
