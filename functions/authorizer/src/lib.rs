//! Api gateway request authorizer.
