//! Certificate files: read together, bounded, and compared by what they hold.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

/// What some files held when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest(Vec<u8>);

/// Some files of a folder.
#[derive(Debug, Clone)]
pub(crate) struct Files(Vec<PathBuf>);

impl Files {
    pub(crate) fn new(folder: &Path, names: &[&str]) -> Self {
        Self(names.iter().map(|name| folder.join(name)).collect())
    }

    /// Reads them all. The digest tells contents, not times: links that are moved and files that are restored count.
    pub(crate) fn read(&self) -> io::Result<(Vec<Zeroizing<Vec<u8>>>, Digest)> {
        let mut digest = Context::new(&SHA256);
        let mut all = Vec::with_capacity(self.0.len());
        for path in &self.0 {
            let contents = read(path)?;
            digest.update(&contents.len().to_be_bytes());
            digest.update(&contents);
            all.push(contents);
        }
        Ok((all, Digest(digest.finish().as_ref().to_vec())))
    }
}

/// Reads a file of at most a megabyte: a revocation list may be long.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length > MAX_FILE {
        return Err(io::Error::other("file is too large"));
    }
    // All the room at once: a vector that grows leaves its old bytes behind unwiped.
    let mut contents = Zeroizing::new(Vec::with_capacity(MAX_FILE.min(length + 1)));
    file.take(MAX_FILE as u64).read_to_end(&mut contents)?;
    Ok(contents)
}

const MAX_FILE: usize = 1 << 20;
