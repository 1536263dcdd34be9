//! The ports over memory: for tests and benchmarks. Each can be told to fail.

mod credentials;
mod faults;
mod keys;
mod queue;
mod records;
mod shelf;
mod stages;
mod stores;
mod tokens;

pub use credentials::Credentials;
pub use keys::Keys;
pub use queue::Queue;
pub use records::RecordTable;
pub use stages::StagedSecrets;
pub use stores::{Claims, DeadItem, DeadLetterBox};
pub use tokens::Tokens;
