//! The webhook Lambda: API Gateway proxy events in, queue messages out. Generic over its ports, so that the Lambda
//! binary, the local stack and the benchmarks run the same code.

mod answer;
pub mod config;
mod dispatch;
mod handler;
mod recorded;
mod request;
mod subject_dn;
mod tally;

pub use config::Config;
pub use dispatch::SendSettings;
pub use handler::{HandlerSettings, Parts, Ports, WebhookFunction};
