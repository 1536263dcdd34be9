//! The token service as its callers see it: requests in, answers out, over adapters in memory.

#![cfg(test)]

mod client_authentication;
mod client_credentials;
mod support;
