//! What a service needs to call others and to be called: a client and a tower layer.
//!
//! [`Client`] gets tokens, keeps and renews them, shows the service's certificate, and retries what may be retried.
//! [`SecurityLayer`] lets only verified callers in and tells handlers who they are ([`SecurityContext`]). [`mtls`] serves
//! over mutual TLS. None of it needs Lambda.

mod body;
mod client;
mod config;
mod endpoint;
mod error;
mod files;
mod jwks;
mod layer;
pub mod mtls;
mod pacing;
mod peer;
mod tokens;
mod transport;
#[cfg(feature = "webhooks")]
mod webhooks;

pub use client::{CertificateFolder, Client, Request, Response, RetryPolicy};
pub use config::{ClientSettings, SettingsError};
pub use endpoint::UrlError;
pub use error::{ClientError, OauthError};
pub use jwks::{HttpJwks, HttpJwksError};
#[cfg(feature = "axum")]
pub use layer::Unverified;
pub use layer::{
    CertificateRule, DpopChecks, ExcludedPaths, Forbidden, PathError, PlanApproval, RequireScope,
    RequireScopeService, SecurityContext, SecurityLayer, SecurityService, require,
};
pub use pacing::{Pacing, SystemClock, SystemPacing};
pub use peer::PeerCertificate;
pub use tokens::Credential;
pub use transport::{Transport, TransportError};
#[cfg(feature = "webhooks")]
pub use webhooks::WebhookNotifier;
