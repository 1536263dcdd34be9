//! What a service needs to call others and to be called: a client and a tower layer.

mod body;
mod endpoint;
mod jwks;
mod transport;

pub use endpoint::UrlError;
pub use jwks::{HttpJwks, HttpJwksError};
pub use transport::{Transport, TransportError};
