//! The token service as its callers see it: requests in, answers out, over adapters in memory.

#![cfg(test)]

mod api_keys;
mod approvals;
mod binding;
mod client_authentication;
mod client_credentials;
mod documented;
mod events;
mod exchange;
mod introspection;
mod limits;
mod openapi;
mod published;
mod refresh;
mod revocations;
mod rotation;
mod support;
