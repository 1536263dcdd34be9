//! The two tables: conversations and wrapped keys. Their layouts are in the modules' docs.

mod item;
mod keys;
mod records;

pub use keys::DynamoKeys;
pub use records::DynamoRecords;
