//! Files that a command reads.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Opens a file, or standard input for `-`, with its size where that is known.
pub(crate) fn open(path: &Path) -> Result<(Box<dyn BufRead + Send>, Option<u64>), Failure> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
    Ok((Box::new(BufReader::with_capacity(1 << 20, file)), size))
}

/// Reads a whole file of at most `max` bytes.
pub(crate) fn read(path: &Path, max: u64) -> Result<Vec<u8>, Failure> {
    let (reader, _) = open(path)?;
    let mut bytes = Vec::new();
    reader.take(max + 1).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
    if bytes.len() as u64 > max {
        return Err(wrong(path, &format_args!("larger than {max} bytes")));
    }
    Ok(bytes)
}

/// Reads a whole text of at most `max` bytes.
pub(crate) fn text(path: &Path, max: u64) -> Result<String, Failure> {
    String::from_utf8(read(path, max)?).map_err(|e| wrong(path, &e.utf8_error()))
}

/// The files and folders of a folder, in the order of their names.
pub(crate) fn folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(path).map_err(|e| unreadable(path, &e))?;
    let mut paths = entries
        .map(|entry| entry.map(|e| e.path()).map_err(|e| unreadable(path, &e)))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// Whether a file's name ends so, without the dot.
pub(crate) fn ends_with(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known))
}

/// Says what is wrong with a file's content.
pub(crate) fn wrong(path: &Path, why: &dyn fmt::Display) -> Failure {
    Failure::usage(format!("{}: {why}", path.display()))
}

/// Says that a file cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    wrong(path, error)
}
