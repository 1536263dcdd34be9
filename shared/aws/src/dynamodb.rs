//! The tables: conversations, wrapped keys, limits, tokens, credentials, audit, correlation and incidents. Their layouts
//! are in the modules' docs.

#[cfg(feature = "access")]
mod api_keys;
mod audit;
#[cfg(feature = "correlation")]
mod correlation;
mod credentials;
#[cfg(feature = "incidents")]
mod incidents;
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
#[cfg(feature = "incidents")]
pub use incidents::DynamoIncidents;
pub use keys::DynamoKeys;
pub use limits::DynamoLimits;
pub use records::DynamoRecords;
pub use tokens::DynamoTokens;
