//! The tables: conversations, wrapped keys, limits, tokens and credentials. Their layouts are in the modules' docs.

#[cfg(feature = "access")]
mod api_keys;
mod audit;
#[cfg(feature = "correlation")]
mod correlation;
mod credentials;
mod item;
mod keys;
mod limits;
mod records;
mod revocations;
mod table;
mod tokens;

pub use audit::DynamoAudit;
#[cfg(feature = "correlation")]
pub use correlation::DynamoCorrelation;
pub use credentials::DynamoCredentials;
pub use keys::DynamoKeys;
pub use limits::DynamoLimits;
pub use records::DynamoRecords;
pub use tokens::DynamoTokens;
