//! What must hold of tokens, attack by attack and vector by vector.

#![expect(clippy::panic, reason = "test support: a panic is a failed test")]

mod assertion;
mod attacks;
mod cache;
mod dpop;
mod jwks;
mod key_ring;
mod policy;
mod properties;
mod refresh;
mod rfc_vectors;
mod signature_only;
mod support;
mod wycheproof_jws;
mod wycheproof_primitives;
