//! What the tests of the whole house share.

pub mod binaries;
pub mod contract;
pub mod emulators;
pub mod local_stack;
