//! The ports over memory, files and an embedded database: what the stack runs on with no account.

mod codec;
mod development;
mod key_wrapper;
pub mod memory;
mod root;
mod seal;
mod sealer;
mod secrets;
mod store;

pub use key_wrapper::LocalKeyWrapper;
pub use root::{RootKey, RootKeyError};
pub use sealer::LocalSealer;
pub use secrets::{EnvSecrets, FileSecrets, SecretsDirError};
pub use store::{
    AuditPage, DeadLetterEntry, Depth, Handle, KeptWorld, LocalAccount, OpenError, Received, Store,
    StoreError, StoreOptions,
};
