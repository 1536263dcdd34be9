//! A certificate authority in a folder.
