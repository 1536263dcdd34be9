//! The programs under test, as cargo built them.
#![expect(clippy::expect_used, reason = "a test without its program fails")]

use std::path::PathBuf;

/// The `portcullis` command: `PORTCULLIS_BIN`, or the one beside the running test.
///
/// # Panics
/// When it is not built.
#[expect(clippy::disallowed_methods, reason = "where the program is, is said by who runs the tests")]
pub fn portcullis() -> PathBuf {
    if let Some(path) = std::env::var_os("PORTCULLIS_BIN") {
        return path.into();
    }
    built("portcullis")
}

/// A binary of the workspace, in the profile of the running test.
///
/// # Panics
/// When it is not built.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("tests are in a deps folder of a profile");
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `make test`, or `cargo build --workspace --bins`",
        path.display()
    );
    path
}
