//! The security token service: tokens for services and for the users that they act for.
//!
//! `POST /sts/token` (RFC 6749, 7523, 8693, 8705, 9068, 9449), `/sts/introspect` (RFC 7662), `/sts/revoke` (RFC 7009),
//! `/sts/rotate-keys`, `/sts/api-keys`, `/sts/api-keys/rotate`, `/sts/api-keys/revoke`, `/sts/revocations`; `GET /sts/keys`, `/sts/api-keys`, `/sts/jwks` (RFC 7517), `/.well-known/oauth-authorization-server` (RFC 8414), `/openapi.json`.

mod api_keys;
mod asked;
mod bearer;
mod binding;
mod client;
pub mod config;
mod context;
pub mod form;
mod grants;
mod handler;
mod introspect;
mod issue;
mod issuer;
mod limits;
mod own_tokens;
mod parts;
mod publish;
mod refusal;
mod request;
mod revocations;
mod revoke;
mod rotate;

pub use handler::StsFunction;
pub use issuer::{
    Issuer, IssuerError, UserIssuer, UserIssuers, UserIssuersError, UserTokens, parse_user_issuers,
};
pub use parts::{ADDRESS_RATE, CLIENT_RATE, MAX_TOKEN_LIFETIME, Parts, Ports, StsSettings};
pub use publish::OPENAPI;
