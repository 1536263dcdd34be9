//! Rotation of client secrets and signing keys.
