//! The tables: conversations, wrapped keys and limits. Their layouts are in the modules' docs.

mod item;
mod keys;
mod limits;
mod records;

pub use keys::DynamoKeys;
pub use limits::DynamoLimits;
pub use records::DynamoRecords;
