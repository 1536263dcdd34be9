//! Refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14): each is used once, and a stolen one kills its family.

mod family;
mod token;

pub use family::{Family, FamilyError, FamilyPolicy, Presented, RefreshFamilies};
pub use token::{FamilyId, RefreshToken, RefreshTokenError, RefreshTokens};
