//! The ports over memory: for tests and benchmarks. Each can be told to fail.

mod faults;
mod keys;
mod queue;
mod records;
mod stores;

pub use keys::Keys;
pub use queue::Queue;
pub use records::RecordTable;
pub use stores::{Claims, DeadItem, DeadLetterBox};
