//! A small certificate authority in a folder: for services that call each other over mutual TLS.
//!
//! ```text
//! certs/ca/        ca.key  ca.crt  crl.pem  truststore.pem  index.json
//! certs/<service>/ ca.crt  crl.pem  server.crt  server.key  client.crt  client.key
//! ```
//!
//! Keys are P-256 in PKCS#8 form, readable by their owner only. Every certificate names its service by a SPIFFE id; a
//! server's and a client's are two, each good for its one purpose. Nothing is ever overwritten but by `renew`, and every
//! file is there whole or not at all. For a CA whose key lives in an HSM or in a managed service, use that: the servers of
//! `portcullis-client` take any.

mod authority;
mod error;
mod files;
mod index;
mod key;
mod names;
mod pem;

pub use authority::{Authority, CaOptions, RevocationReason, Which};
pub use error::CertsError;
pub use index::{CaEntry, Entry, Purpose, Revoked, Status};
pub use names::{Days, DnsName, NameError, Serial, Service, TrustDomain};
