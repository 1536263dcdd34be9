//! What must hold of tokens, attack by attack and vector by vector.

#![expect(
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "test support: a panic is a failed test, a copied argument is nothing"
)]

mod assertion;
mod attacks;
mod cache;
mod client_certificate;
mod dpop;
mod follower;
mod jwks;
mod key_ring;
mod policy;
mod properties;
mod refresh;
mod rfc_vectors;
mod ring_jwks;
mod signature_only;
mod support;
mod wycheproof_jws;
mod wycheproof_primitives;
