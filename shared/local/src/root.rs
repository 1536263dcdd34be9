//! The local root of the key hierarchy: a file that stands in for KMS.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

/// A 256-bit key from which everything on this machine is derived. Kept outside the data directory, so that a copy
/// of the data alone opens nothing. Wiped from memory when dropped.
pub struct RootKey {
    bytes: Zeroizing<[u8; LENGTH]>,
    file: Option<PathBuf>,
}

impl RootKey {
    /// Reads the key from `path`, making one first if there is none. A new file appears whole or not at all, with
    /// mode 0600, and never replaces one that another process made meanwhile.
    ///
    /// # Errors
    /// As [`RootKey::load`], and when the file cannot be made.
    pub fn load_or_create(path: &Path) -> Result<Self, RootKeyError> {
        match Self::load(path) {
            Err(RootKeyError::Io(e)) if e.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                Self::load(path)
            }
            other => other,
        }
    }

    /// Reads the key from `path`: 32 bytes.
    ///
    /// # Errors
    /// When the file is missing, of another length, not a regular file, or open to other users.
    pub fn load(path: &Path) -> Result<Self, RootKeyError> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(RootKeyError::NotAFile);
        }
        if meta.mode() & OTHERS != 0 {
            return Err(RootKeyError::Exposed);
        }
        if meta.len() != LENGTH as u64 {
            return Err(RootKeyError::WrongLength);
        }
        let mut bytes = Zeroizing::new([0; LENGTH]);
        file.read_exact(bytes.as_mut_slice())?;
        Ok(Self { bytes, file: Some(path.canonicalize()?) })
    }

    /// A fresh key that lives in memory only.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn random() -> Result<Self, RootKeyError> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| RootKeyError::NoRandomness)?;
        Ok(Self { bytes, file: None })
    }

    /// A key that the caller keeps.
    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self { bytes: Zeroizing::new(bytes), file: None }
    }

    /// Whether the key's file lies inside `dir`.
    pub(crate) fn is_inside(&self, dir: &Path) -> bool {
        self.file.as_ref().is_some_and(|f| f.starts_with(dir))
    }

    /// The key for one use. HMAC-SHA256 as a pseudo-random function over the label: one block of the KDF in counter
    /// mode of NIST SP 800-108r1, which for 256 bits needs no counter.
    pub(crate) fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let prf = hmac::Key::new(hmac::HMAC_SHA256, self.bytes.as_slice());
        derive(&prf, &[LABEL_PREFIX, label.as_bytes()])
    }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey(…)")
    }
}

/// Why there is no root key. Never carries key material.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The file could not be read or made.
    #[error("root key file: {0}")]
    Io(#[from] io::Error),
    /// A directory, pipe or device.
    #[error("root key file is not a regular file")]
    NotAFile,
    /// Someone other than its owner could read or change it.
    #[error(
        "root key file is open to group or others: chmod 600 it, and replace the key if others could have read it"
    )]
    Exposed,
    /// Not 32 bytes.
    #[error("root key file does not hold exactly 32 bytes")]
    WrongLength,
    /// No random numbers to make a key from.
    #[error("no random numbers available")]
    NoRandomness,
}

/// HMAC-SHA256 of the parts under `key`, as a key.
pub(crate) fn derive(key: &hmac::Key, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let tag = context.sign();
    let mut derived = Zeroizing::new([0; 32]);
    derived.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    derived
}

fn create(path: &Path) -> Result<(), RootKeyError> {
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let key = RootKey::random()?;
    let draft = draft_path(path)?;
    let made = write_draft(&draft, key.bytes.as_slice()).and_then(|()| publish(&draft, path));
    let _ = fs::remove_file(&draft);
    made?;
    File::open(parent)?.sync_all()?;
    Ok(())
}

/// A name beside the key that no other process uses: a link needs the same file system.
fn draft_path(path: &Path) -> Result<PathBuf, RootKeyError> {
    let mut suffix = [0; 8];
    rand::fill(&mut suffix).map_err(|_| RootKeyError::NoRandomness)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", hex::encode(suffix)));
    Ok(path.with_file_name(name))
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A hard link, unlike a rename, never replaces what is there.
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

const LENGTH: usize = 32;
const OTHERS: u32 = 0o077;
const LABEL_PREFIX: &[u8] = b"portcullis-local/1/";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_with_mode_0600_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/root.key");
        let first = RootKey::load_or_create(&path).unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.len(), meta.mode() & 0o777), (32, 0o600));
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        let second = RootKey::load_or_create(&path).unwrap();
        assert_eq!(first.derive("x"), second.derive("x"));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft stays behind");
    }

    #[test]
    fn makers_at_once_end_up_with_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.key");
        let keys: Vec<_> = std::thread::scope(|s| {
            let threads: Vec<_> =
                (0..8).map(|_| s.spawn(|| RootKey::load_or_create(&path).unwrap())).collect();
            threads.into_iter().map(|t| *t.join().unwrap().derive("x")).collect()
        });
        assert!(keys.iter().all(|k| *k == keys[0]));
    }

    #[test]
    fn a_key_file_that_cannot_be_trusted_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |name: &str, bytes: &[u8], mode: u32| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            RootKey::load_or_create(&path).unwrap_err()
        };
        assert!(matches!(refused("group-reads", &[1; 32], 0o640), RootKeyError::Exposed));
        assert!(matches!(refused("world-reads", &[1; 32], 0o604), RootKeyError::Exposed));
        assert!(matches!(refused("group-writes", &[1; 32], 0o620), RootKeyError::Exposed));
        assert!(matches!(refused("short", &[1; 31], 0o600), RootKeyError::WrongLength));
        assert!(matches!(refused("long", &[1; 33], 0o600), RootKeyError::WrongLength));
        assert!(matches!(refused("empty", &[], 0o600), RootKeyError::WrongLength));
        assert!(matches!(RootKey::load(&dir.path().join("none")), Err(RootKeyError::Io(_))));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(RootKey::load(dir.path()), Err(RootKeyError::NotAFile)));
    }

    #[test]
    fn every_label_and_every_root_gives_another_key() {
        let (a, b) = (RootKey::from_bytes([1; 32]), RootKey::from_bytes([2; 32]));
        assert_eq!(a.derive("x"), RootKey::from_bytes([1; 32]).derive("x"));
        assert_ne!(a.derive("x"), a.derive("y"));
        assert_ne!(a.derive("x"), b.derive("x"));
    }

    #[test]
    fn debug_output_holds_no_key() {
        assert_eq!(format!("{:?}", RootKey::from_bytes([0xab; 32])), "RootKey(…)");
    }
}
