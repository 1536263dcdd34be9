//! Secrets from files and from environment variables.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use portcullis_base::SecretString;
use portcullis_secrets::{SecretError, SecretSource, SecretVersions};
use zeroize::Zeroizing;

/// A directory with a file for each secret; `name.previous` beside `name` is the version before it. A name may have
/// several parts separated by `/`: then the file is in a subdirectory.
///
/// A file that group or others may access is refused, and so is one over 64 KiB, one that is not UTF-8, and a link
/// that leads out of the directory. One line ending at the end of a file is not part of the secret.
#[derive(Debug, Clone)]
pub struct FileSecrets {
    dir: PathBuf,
}

impl FileSecrets {
    /// The secrets in that directory.
    ///
    /// # Errors
    /// When there is no such directory, or others may change what is in it.
    pub fn open(dir: &Path) -> Result<Self, SecretsDirError> {
        let dir = dir.canonicalize()?;
        let meta = dir.metadata()?;
        if !meta.is_dir() {
            return Err(SecretsDirError::NotADirectory);
        }
        if meta.mode() & OTHERS_WRITE != 0 {
            return Err(SecretsDirError::Exposed);
        }
        Ok(Self { dir })
    }

    fn read(&self, name: &str) -> Result<SecretString, SecretError> {
        // A link may lead within the directory, as mounted secrets of Kubernetes do, but not out of it.
        let path = self.dir.join(name).canonicalize().map_err(|e| io_error(&e))?;
        if !path.starts_with(&self.dir) {
            return Err(SecretError::Denied);
        }
        // Looked at before it is opened: opening a pipe would wait for its writer.
        if !path.metadata().map_err(|e| io_error(&e))?.is_file() {
            return Err(SecretError::Malformed);
        }
        let mut file = File::open(path).map_err(|e| io_error(&e))?;
        if file.metadata().map_err(|e| io_error(&e))?.mode() & OTHERS != 0 {
            tracing::warn!(secret = name, "the file of a secret is open to group or others: chmod 600 it");
            return Err(SecretError::Denied);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        file.by_ref().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|e| io_error(&e))?;
        parse(&bytes)
    }
}

impl SecretSource for FileSecrets {
    async fn fetch(&self, name: &str) -> Result<SecretVersions, SecretError> {
        if !is_name(name) {
            return Err(SecretError::NotFound);
        }
        let current = self.read(name)?;
        let previous = match self.read(&format!("{name}{PREVIOUS}")) {
            Ok(previous) => Some(previous),
            Err(SecretError::NotFound) => None,
            Err(other) => return Err(other),
        };
        Ok(SecretVersions { current, previous, since: None })
    }
}

/// Why a directory of secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsDirError {
    /// It could not be read.
    #[error("secrets directory: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("secrets directory is not a directory")]
    NotADirectory,
    /// Others could put their own secrets there.
    #[error("secrets directory can be changed by group or others: chmod go-w it")]
    Exposed,
}

/// Secrets from environment variables that a `config.rs` has read.
///
/// With the prefix `PORTCULLIS_SECRET_`, the secret `whatsapp/app-secret` is in
/// `PORTCULLIS_SECRET_WHATSAPP_APP_SECRET` and its previous version in
/// `PORTCULLIS_SECRET_WHATSAPP_APP_SECRET_PREVIOUS`.
pub struct EnvSecrets {
    prefix: String,
    values: HashMap<String, SecretString>,
}

impl EnvSecrets {
    /// Keeps those of the variables that start with `prefix`.
    pub fn from_pairs(prefix: &str, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let of_ours = pairs.into_iter().filter(|(name, _)| name.starts_with(prefix));
        let values = of_ours.map(|(name, value)| (name, SecretString::from(value))).collect();
        Self { prefix: prefix.to_owned(), values }
    }

    fn read(&self, variable: &str) -> Result<SecretString, SecretError> {
        use portcullis_base::ExposeSecret;
        let value = self.values.get(variable).ok_or(SecretError::NotFound)?;
        parse(value.expose_secret().as_bytes())
    }
}

impl SecretSource for EnvSecrets {
    async fn fetch(&self, name: &str) -> Result<SecretVersions, SecretError> {
        if !is_name(name) {
            return Err(SecretError::NotFound);
        }
        let words = name.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        // Or `x-previous` would be a way to the previous version of `x`.
        if words.ends_with(PREVIOUS_VARIABLE) {
            return Err(SecretError::NotFound);
        }
        let variable = format!("{}{words}", self.prefix);
        let current = self.read(&variable)?;
        let previous = match self.read(&format!("{variable}{PREVIOUS_VARIABLE}")) {
            Ok(previous) => Some(previous),
            Err(SecretError::NotFound) => None,
            Err(other) => return Err(other),
        };
        Ok(SecretVersions { current, previous, since: None })
    }
}

impl std::fmt::Debug for EnvSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvSecrets").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Parts of letters, digits, `_`, `-` and `.`, none of which starts with a dot: no way out of the directory, and none
/// to a hidden file. `x.previous` is no name, but the previous version of `x`.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    name.len() <= MAX_NAME && !name.ends_with(PREVIOUS) && name.split('/').all(is_part)
}

fn parse(bytes: &[u8]) -> Result<SecretString, SecretError> {
    if bytes.len() > MAX_BYTES {
        return Err(SecretError::Malformed);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| SecretError::Malformed)?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() { Err(SecretError::Malformed) } else { Ok(SecretString::from(text)) }
}

fn io_error(error: &io::Error) -> SecretError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SecretError::NotFound,
        io::ErrorKind::PermissionDenied => SecretError::Denied,
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => SecretError::Malformed,
        _ => SecretError::Unavailable,
    }
}

const PREVIOUS: &str = ".previous";
const PREVIOUS_VARIABLE: &str = "_PREVIOUS";
const MAX_NAME: usize = 200;
const MAX_BYTES: usize = 64 * 1_024;
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use portcullis_base::ExposeSecret;

    use super::*;

    fn put(dir: &Path, name: &str, bytes: &[u8], mode: u32) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn current(found: Result<SecretVersions, SecretError>) -> Result<String, SecretError> {
        found.map(|v| v.current.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_secret_and_its_previous_version_are_read_afresh_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = FileSecrets::open(dir.path()).unwrap();
        put(dir.path(), "app/key", b"new\n", 0o600);
        assert!(secrets.fetch("app/key").await.unwrap().previous.is_none());
        put(dir.path(), "app/key.previous", b"old", 0o400);
        let both = secrets.fetch("app/key").await.unwrap();
        assert_eq!(both.current.expose_secret(), "new");
        assert_eq!(both.previous.unwrap().expose_secret(), "old");
        put(dir.path(), "app/key", b"newer", 0o600);
        assert_eq!(current(secrets.fetch("app/key").await).unwrap(), "newer");
    }

    #[tokio::test]
    async fn files_that_are_no_secrets_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = FileSecrets::open(dir.path()).unwrap();
        let outside = tempfile::tempdir().unwrap();
        put(outside.path(), "key", b"x", 0o600);
        symlink(outside.path().join("key"), dir.path().join("link-out")).unwrap();
        put(dir.path(), "real", b"x", 0o600);
        symlink("real", dir.path().join("link-in")).unwrap();
        put(dir.path(), "group", b"x", 0o640);
        put(dir.path(), "world", b"x", 0o604);
        put(dir.path(), "empty", b"", 0o600);
        put(dir.path(), "newline", b"\r\n", 0o600);
        put(dir.path(), "latin1", b"\xe7", 0o600);
        put(dir.path(), "largest", &[b'x'; 65_536], 0o600);
        put(dir.path(), "too-large", &[b'x'; 65_537], 0o600);
        put(dir.path(), "rotating", b"x", 0o600);
        put(dir.path(), "rotating.previous", b"x", 0o644);
        put(dir.path(), "sub/x", b"x", 0o600);
        for (name, expected) in [
            ("link-out", Err(SecretError::Denied)),
            ("link-in", Ok(1)),
            ("group", Err(SecretError::Denied)),
            ("world", Err(SecretError::Denied)),
            ("empty", Err(SecretError::Malformed)),
            ("newline", Err(SecretError::Malformed)),
            ("latin1", Err(SecretError::Malformed)),
            ("largest", Ok(65_536)),
            ("too-large", Err(SecretError::Malformed)),
            ("rotating", Err(SecretError::Denied)),
            ("sub", Err(SecretError::Malformed)),
            ("sub/x/y", Err(SecretError::NotFound)),
            ("none", Err(SecretError::NotFound)),
        ] {
            assert_eq!(current(secrets.fetch(name).await).map(|s| s.len()), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn no_name_leads_out_of_the_directory() {
        let parent = tempfile::tempdir().unwrap();
        put(parent.path(), "key", b"x", 0o600);
        put(parent.path(), "in/.hidden", b"x", 0o600);
        put(parent.path(), "in/key.previous", b"x", 0o600);
        let secrets = FileSecrets::open(&parent.path().join("in")).unwrap();
        let absolute = parent.path().join("key");
        for name in [
            "../key",
            "a/../../key",
            absolute.to_str().unwrap(),
            "",
            "/",
            "a//b",
            "a/",
            ".",
            "..",
            ".hidden",
            "key.previous",
            "key\0",
            "key ",
            "chave-é",
            &"a".repeat(201),
        ] {
            assert_eq!(current(secrets.fetch(name).await), Err(SecretError::NotFound), "{name:?}");
        }
    }

    #[test]
    fn a_directory_that_others_can_change_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(FileSecrets::open(dir.path()), Err(SecretsDirError::Exposed)));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(FileSecrets::open(dir.path()).is_ok());
        assert!(matches!(FileSecrets::open(&dir.path().join("none")), Err(SecretsDirError::Io(_))));
        put(dir.path(), "file", b"x", 0o600);
        assert!(matches!(FileSecrets::open(&dir.path().join("file")), Err(SecretsDirError::NotADirectory)));
    }

    #[tokio::test]
    async fn variables_are_found_by_prefix_and_name() {
        let pairs = [("P_APP_KEY", "new"), ("P_APP_KEY_PREVIOUS", "old"), ("P_EMPTY", ""), ("OTHER", "x")];
        let secrets = EnvSecrets::from_pairs("P_", pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
        let found = secrets.fetch("app/key").await.unwrap();
        assert_eq!(found.previous.unwrap().expose_secret(), "old");
        assert_eq!(current(secrets.fetch("app-key").await).unwrap(), "new");
        for (name, error) in [
            ("empty", SecretError::Malformed),
            ("app/key/previous", SecretError::NotFound),
            ("app/key.previous", SecretError::NotFound),
            ("none", SecretError::NotFound),
            ("", SecretError::NotFound),
        ] {
            assert_eq!(current(secrets.fetch(name).await), Err(error), "{name}");
        }
        assert!(!format!("{secrets:?}").contains("new"));
    }
}
