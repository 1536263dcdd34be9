//! The envelope against its independent implementation in Python (`tests/python/envelope.py`): each reads what the other
//! writes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test support: a panic is a failed test")]

#[path = "../../shared/pii/tests/support/vectors.rs"]
mod vectors;

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_pii::{Purpose, SubjectId, envelope::hazmat};
use vectors::{FORMAT, Field, Pseudonym, Record, Vectors, WrappedKey, bytes};

#[test]
fn python_reproduces_the_committed_vectors() {
    let committed = workspace().join("shared/pii/tests/vectors/envelope-v1.json");
    let counts = python(&["check-vectors".as_ref(), committed.as_ref()]);
    let counts: serde_json::Value = serde_json::from_str(&counts).unwrap();
    let wanted =
        serde_json::json!({"fields": 21, "records": 9, "refused": 29, "wrapped_keys": 2, "pseudonyms": 4});
    assert_eq!(counts, wanted);
}

#[test]
fn the_committed_vectors_are_those_that_their_seed_gives() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vectors.json");
    python(&["write-vectors".as_ref(), file.as_ref(), "--seed".as_ref(), "portcullis-envelope-1".as_ref()]);
    let committed = workspace().join("shared/pii/tests/vectors/envelope-v1.json");
    assert_eq!(std::fs::read(file).unwrap(), std::fs::read(committed).unwrap());
}

#[test]
fn rust_opens_and_reproduces_what_python_writes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vectors.json");
    for _ in 0..3 {
        python(&["write-vectors".as_ref(), file.as_ref()]);
        let written: Vectors = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(vectors::check(&written), [9, 21, 29, 2, 4]);
    }
}

#[test]
fn python_opens_and_reproduces_what_rust_writes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vectors.json");
    let written = Vectors {
        format: FORMAT.into(),
        records: (0..40).map(random_record).collect(),
        refused: vec![],
        wrapped_keys: (0..10).map(random_wrapped_key).collect(),
        pseudonyms: (0..10).map(random_pseudonym).collect(),
    };
    std::fs::write(&file, serde_json::to_vec(&written).unwrap()).unwrap();
    let counts: serde_json::Value =
        serde_json::from_str(&python(&["check-vectors".as_ref(), file.as_ref()])).unwrap();
    let fields: usize = written.records.iter().map(|record| record.fields.len()).sum();
    let wanted = serde_json::json!({"records": 40, "fields": fields, "wrapped_keys": 10, "pseudonyms": 10});
    assert_eq!(counts, wanted);
}

#[test]
fn python_notices_a_changed_vector() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vectors.json");
    let mut record = random_record(1);
    record.fields[0].plaintext.push_str("00");
    let written = Vectors {
        format: FORMAT.into(),
        records: vec![record],
        refused: vec![],
        wrapped_keys: vec![],
        pseudonyms: vec![],
    };
    std::fs::write(&file, serde_json::to_vec(&written).unwrap()).unwrap();
    let output = run(&["check-vectors".as_ref(), file.as_ref()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("blob of field-0"));
}

fn random_record(n: usize) -> Record {
    let field = |n: usize| Field {
        name: format!("field-{n}"),
        nonce: random_hex(12),
        plaintext: random_hex(n * 37),
        blob: String::new(),
    };
    let mut record = Record {
        name: format!("random {n}"),
        subject_key: random_hex(32),
        purpose: if n.is_multiple_of(2) { Purpose::Conversation } else { Purpose::Media },
        branch_version: u32::from_be_bytes(bytes(&random_hex(4))).max(1),
        table: format!("table-{}", random_hex(n)),
        record: format!("gravação-{}", random_hex(n)),
        subject: format!("subject-{}", random_hex(n)),
        salt: random_hex(32),
        header: String::new(),
        fields: (0..n % 9).map(field).collect(),
    };
    record.seal();
    record
}

fn random_wrapped_key(n: usize) -> WrappedKey {
    let mut made = WrappedKey {
        name: format!("random {n}"),
        branch_key: random_hex(32),
        table: "keys".into(),
        subject: random_hex(1 + n),
        purpose: if n.is_multiple_of(2) { Purpose::Conversation } else { Purpose::Media },
        branch_version: 1 << n,
        nonce: random_hex(12),
        key: random_hex(32),
        wrapped: String::new(),
    };
    let binding = hazmat::KeyBinding {
        table: &made.table,
        subject: &made.subject,
        purpose: made.purpose,
        branch_version: made.branch_version,
    };
    let wrapped = hazmat::wrap_with_fixed_key(
        &bytes(&made.branch_key),
        &binding,
        bytes(&made.nonce),
        &bytes(&made.key),
    );
    made.wrapped = hex::encode(wrapped.unwrap());
    made
}

fn random_pseudonym(_: usize) -> Pseudonym {
    let (key, value) = (random_hex(32), random_hex(9));
    let index = hazmat::blind_index_with_fixed_key(&bytes(&key));
    let pseudonym = index.subject_index(&SubjectId::User(value.clone()));
    Pseudonym { kind: "user".into(), key, value, pseudonym }
}

fn random_hex(len: usize) -> String {
    let mut bytes = vec![0; len];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    hex::encode(bytes)
}

fn python(arguments: &[&Path]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}{NEEDED}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn run(arguments: &[&Path]) -> std::process::Output {
    let output = Command::new(interpreter())
        .arg(workspace().join("tests/python/envelope.py"))
        .args(arguments)
        .output();
    output.unwrap_or_else(|error| panic!("{error}{NEEDED}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no config.rs: the interpreter is chosen where it is run"
)]
fn interpreter() -> PathBuf {
    std::env::var_os("PORTCULLIS_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

const NEEDED: &str = "\nThis test needs a Python with the package `cryptography`: run `make tools`, \
    or name one in PORTCULLIS_PYTHON.";
