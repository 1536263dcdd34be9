//! The files of `events/<function>/`: `<case>.json` is sent, `<case>.expected.json` is what must come back.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// An event and the answer to it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) event: Vec<u8>,
    pub(crate) expected: Value,
}

/// Every case of a function, in order of name: a case may build on what an earlier one left behind.
pub(crate) fn cases(function: &str) -> Vec<Case> {
    let folder = events().join(function);
    let cases = names(&folder, false).into_iter().map(|name| {
        let expected = fs::read(folder.join(format!("{name}{EXPECTED}"))).unwrap();
        Case {
            event: fs::read(folder.join(format!("{name}.json"))).unwrap(),
            expected: serde_json::from_slice(&expected).unwrap_or_else(|e| panic!("{name}{EXPECTED}: {e}")),
            name,
        }
    });
    let cases: Vec<_> = cases.collect();
    assert!(!cases.is_empty(), "no event in {}", folder.display());
    cases
}

/// Functions that have events. What `portcullis drill` plays is in the same folder, and is no function's alone.
pub(crate) fn functions() -> BTreeSet<String> {
    let all: BTreeSet<_> =
        entries(&events()).filter(|path| path.is_dir()).map(|path| file_name(&path)).collect();
    &all - &BTreeSet::from(["drill".to_owned()])
}

/// Names of the cases of a folder: of its events, or of its expected answers.
pub(crate) fn names(folder: &Path, expected: bool) -> BTreeSet<String> {
    entries(folder)
        .map(|path| file_name(&path))
        .filter_map(|name| match name.strip_suffix(EXPECTED) {
            Some(case) => expected.then(|| case.to_owned()),
            None => (!expected).then(|| name.strip_suffix(".json").map(str::to_owned)).flatten(),
        })
        .collect()
}

pub(crate) fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").canonicalize().unwrap()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

const EXPECTED: &str = ".expected.json";
