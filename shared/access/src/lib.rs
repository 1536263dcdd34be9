//! Who may do what: identities, policies, the decision and its reason, and the IAM policy document.

mod action;
mod file;
mod identity;
mod roles;
mod routes;

pub use action::{Action, ActionError};
pub use file::FileError;
pub use identity::{AuthMethod, Grant, Identities, IdentitiesError, Identity};
pub use roles::{Role, Roles};
pub use routes::{Method, PathTemplate, Route, RouteAccess, Routes};
