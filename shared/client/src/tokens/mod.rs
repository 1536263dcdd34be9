//! Access tokens of the token service: got, kept, renewed.

mod cache;
mod credential;
mod grant;
mod sts;

pub(crate) use cache::TokenCache;
pub use credential::Credential;
pub(crate) use grant::{AccessToken, Grant};
pub(crate) use sts::StsEndpoint;
