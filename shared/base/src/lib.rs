//! What every room needs: time as an input, secrets in memory, and the error body of the HTTP interface.

mod clock;
mod problem;

pub use clock::{Clock, ManualClock};
pub use jiff::Timestamp;
pub use problem::Problem;
pub use secrecy::{ExposeSecret, SecretSlice, SecretString};
