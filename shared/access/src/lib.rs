//! Who may do what: identities, policies, the decision and its reason, and the IAM policy document.

mod action;
mod api_key;
mod file;
mod gateway;
mod identity;
mod policy;
mod rates;
mod roles;
mod routes;

pub use action::{Action, ActionError};
pub use api_key::{
    ApiKey, ApiKeyError, ApiKeyStore, KnownApiKey, MAX_KEYS, MAX_LISTED, NoRandomness, PresentedKey,
    RotateError,
};
pub use file::FileError;
pub use gateway::{GuardError, MethodArn, PolicyDocument, PolicyTooLarge, RouteGuard};
pub use identity::{AuthMethod, Grant, Identities, IdentitiesError, Identity};
pub use policy::{
    AccessDecision, ApprovalFacts, Because, Circumstances, PolicyError, PolicySet, PolicyText, Principal,
};
pub use rates::Rates;
pub use roles::{Role, Roles};
pub use routes::{Method, PathTemplate, Route, RouteAccess, Routes};
