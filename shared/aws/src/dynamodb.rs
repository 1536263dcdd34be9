//! The tables: conversations, wrapped keys and limits. Their layouts are in the modules' docs.

mod audit;
#[cfg(feature = "correlation")]
mod correlation;
mod item;
mod keys;
mod limits;
mod records;

pub use audit::DynamoAudit;
#[cfg(feature = "correlation")]
pub use correlation::DynamoCorrelation;
pub use keys::DynamoKeys;
pub use limits::DynamoLimits;
pub use records::DynamoRecords;
