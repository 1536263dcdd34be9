//! The security token service.
