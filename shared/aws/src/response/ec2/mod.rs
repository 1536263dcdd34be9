//! EC2 and Auto Scaling by their Query APIs: the few calls that a response makes, without the crate of the whole service.
//!
//! Forms out, XML in, through the SDK's own orchestrator: credentials, signature, HTTP client, TLS, proxy and time limits
//! are those of its clients. Nothing is retried here.

mod endpoint;
mod form;
mod groups;
mod instances;
mod query;
mod scaling;
#[cfg(test)]
mod tests;
mod xml;

pub(crate) use query::QueryClient;
