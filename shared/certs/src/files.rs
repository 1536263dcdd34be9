//! Files that are there whole or not at all, and private from their first moment on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::CertsError;

/// Makes a folder for its owner only. It must not be there yet.
pub(crate) fn make_folder(path: &Path) -> Result<(), CertsError> {
    DirBuilder::new().mode(PRIVATE_FOLDER).create(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CertsError::Exists(path.to_owned()),
        _ => CertsError::Io { path: path.to_owned(), source: error },
    })
}

/// Makes a folder and those above it, unless they are there.
pub(crate) fn make_folders(path: &Path) -> Result<(), CertsError> {
    DirBuilder::new().mode(PRIVATE_FOLDER).recursive(true).create(path).map_err(CertsError::io(path))
}

/// A folder under construction: it gets its name when all is in it.
pub(crate) struct NewFolder {
    temporary: PathBuf,
    name: PathBuf,
}

impl NewFolder {
    pub(crate) fn at(name: &Path) -> Result<Self, CertsError> {
        if name.symlink_metadata().is_ok() {
            return Err(CertsError::Exists(name.to_owned()));
        }
        let temporary = beside(name)?;
        make_folder(&temporary)?;
        Ok(Self { temporary, name: name.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    pub(crate) fn finish(self) -> Result<(), CertsError> {
        // Onto a folder that somebody made meanwhile this fails, unless that is empty.
        fs::rename(&self.temporary, &self.name).map_err(CertsError::io(&self.name))?;
        sync_folder_of(&self.name)
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        // Gone already if it was finished; if not, half a set of certificates is of no use to anyone.
        let _gone = fs::remove_dir_all(&self.temporary);
    }
}

/// Writes a file in one step: a reader sees the old one or the new one, and so does the disk after a crash.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<(), CertsError> {
    let temporary = beside(path)?;
    let written = write_new(&temporary, contents).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _gone = fs::remove_file(&temporary);
    }
    written.map_err(CertsError::io(path))?;
    sync_folder_of(path)
}

fn write_new(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, CertsError> {
    let file = File::open(path).map_err(CertsError::io(path))?;
    let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
    file.take(MAX_FILE).read_to_string(&mut text).map_err(CertsError::io(path))?;
    Ok(text)
}

/// Reads a file that only its owner may read.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<String>, CertsError> {
    let mode = fs::metadata(path).map_err(CertsError::io(path))?.mode();
    if mode & 0o077 != 0 {
        return Err(CertsError::Exposed(path.to_owned()));
    }
    read(path)
}

/// Waits until no other command works in the folder. The lock ends with the value, and with the process.
pub(crate) fn lock(folder: &Path) -> Result<File, CertsError> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(PRIVATE_FILE).open(&path);
    let file = file.map_err(CertsError::io(&path))?;
    file.lock().map_err(CertsError::io(&path))?;
    Ok(file)
}

/// A name in the same folder that nobody uses.
fn beside(path: &Path) -> Result<PathBuf, CertsError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{}", hex::encode(random))))
}

fn sync_folder_of(path: &Path) -> Result<(), CertsError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(CertsError::io(folder))
}

const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
const LOCK: &str = ".lock";
const MAX_FILE: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_gets_its_name_when_all_is_in_it() {
        let root = tempfile::tempdir().unwrap();
        let name = root.path().join("x");
        let abandoned = NewFolder::at(&name).unwrap();
        write(&abandoned.path().join("a"), b"1").unwrap();
        assert!(!name.exists());
        drop(abandoned);
        assert!(names(root.path()).is_empty(), "nothing is left behind");
        let finished = NewFolder::at(&name).unwrap();
        write(&finished.path().join("a"), b"1").unwrap();
        finished.finish().unwrap();
        assert_eq!(names(&name), ["a"]);
        assert!(matches!(NewFolder::at(&name), Err(CertsError::Exists(_))));
    }

    #[test]
    fn a_file_is_replaced_whole_and_stays_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("key");
        for contents in ["old", "new"] {
            write(&path, contents.as_bytes()).unwrap();
            assert_eq!(*read_private(&path).unwrap(), contents);
        }
        assert_eq!(names(root.path()), ["key"]);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(read_private(&path), Err(CertsError::Exposed(_))));
    }
}
