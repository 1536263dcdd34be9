//! API Gateway REQUEST authorizer: who is calling, may it, and not too often.
//!
//! In order: source address limit, revoked certificate, API key, token (with its proof or certificate), principal limit, role policy. The
//! answer is an IAM policy over all routes of the API, so that the gateway may keep it.
//!
//! # What the gateway makes of the answers
//!
//! | verdict | answer of the function | gateway response | status |
//! |---|---|---|---|
//! | [`Verdict::Allow`] | policy that allows the principal's routes | none | the route's own |
//! | [`Verdict::Unauthorized`] | error `Unauthorized` | `UNAUTHORIZED` | 401 |
//! | [`Verdict::Forbidden`] | the same policy, which does not name this route, or a denial of all | `ACCESS_DENIED` | 403 |
//! | [`Verdict::TooManyRequests`] | [`RateAnswer`] | `AUTHORIZER_FAILURE` or `ACCESS_DENIED` | 429, or 403 |
//! | [`Verdict::Unavailable`] | error `Unavailable` | `AUTHORIZER_FAILURE` | as set |
//!
//! A gateway response has one fixed status, and its templates are substitution without logic. So a denial cannot be 403
//! for one reason and 429 for another: see [`RateAnswer`].
//!
//! # What the gateway may keep
//!
//! It keeps policies by the identity sources of the authorizer (`Authorization` and the address) and knows nothing of API keys, proofs and certificates: whoever has the token would be taken for its owner without them. Where API keys
//! are taken (`API_KEYS`) or certificates are looked at (`MTLS_MODE`), or where limits are to count every request, the time
//! to live is 0; the settings of the first two and `ANSWERS_ARE_KEPT` exclude each other. Tokens that are bound to a proof's
//! key or a certificate are not taken while answers are kept.
//!
//! # API keys beside tokens
//!
//! An API key beside a token of the own issuer must be that identity's; beside a token of another issuer it can only be
//! some identity's, since those subjects have no keys here: it shows a known application, and gives the token nothing.

mod address;
mod answer;
mod api_keys;
mod certificate;
pub mod config;
mod credentials;
mod event;
mod handler;
mod issuers;
mod judge;
mod once;
mod parts;
mod request;
mod trail;
mod verdict;

pub use api_keys::{ApiKeyMode, ApiKeys};
pub use certificate::MtlsMode;
pub use event::{AuthorizerEvent, NotAnAuthorizerEvent};
pub use handler::AuthorizerFunction;
pub use issuers::{IssuerSettings, Issuers, IssuersError, KeySource, OwnKeys};
pub use parts::{AuthorizerSettings, GrantRecords, Parts, Ports, RateAnswer, UsageKey};
pub use request::{Certificate, Request};
pub use verdict::{Grant, Verdict};
