//! `portcullis respond`: plans for recorded attacks and for findings, and nothing but plans.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portcullis_tests::binaries;
use serde_json::{Value, json};

fn respond(files: &[&Path], more: &[&str]) -> Output {
    Command::new(binaries::portcullis()).arg("respond").args(files).args(more).output().unwrap()
}

fn plans(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn steps(answer: &Value) -> Vec<(String, String)> {
    let text = |step: &Value, name: &str| step[name].as_str().unwrap().to_owned();
    let steps = answer["plan"]["steps"].as_array().unwrap().iter();
    steps.map(|step| (text(step, "kind"), text(step, "disposition"))).collect()
}

fn attack(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/detection/tests/attacks").join(name)
}

fn finding(folder: &Path, sample: bool) -> PathBuf {
    let path = folder.join("finding.json");
    let event = json!({"version": "0", "id": "e-1", "detail-type": "GuardDuty Finding", "source": "aws.guardduty",
        "account": "111122223333", "region": "eu-west-1", "time": "2026-11-22T08:00:00Z", "detail": {
        "schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-west-1", "id": "f-1",
        "type": "CryptoCurrency:EC2/BitcoinTool.B", "severity": 8, "title": "A coin miner runs",
        "createdAt": "2026-11-22T07:59:00Z", "updatedAt": "2026-11-22T08:00:00Z",
        "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-0abc", "networkInterfaces": []}},
        "service": {"count": 1, "detectorId": "d-1", "archived": false,
            "additionalInfo": {"sample": sample}},
    }});
    fs::write(&path, event.to_string()).unwrap();
    path
}

#[test]
fn shipped_playbooks_plan_and_run_nothing_that_changes_an_account() {
    let mut seen = 0;
    for entry in fs::read_dir(attack("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let output = respond(&[&path], &["--json"]);
        assert_eq!(output.status.code(), Some(1), "{}: incidents", path.display());
        for answer in plans(&output) {
            seen += 1;
            for (kind, disposition) in steps(&answer) {
                let harmless = ["notify", "comment_finding"].contains(&kind.as_str());
                assert!(harmless || disposition != "run", "{}: {kind} {disposition}", path.display());
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_finding_gets_the_playbook_of_its_type() {
    let folder = tempfile::tempdir().unwrap();
    let output = respond(&[&finding(folder.path(), false)], &["--json"]);
    let answers = plans(&output);
    assert_eq!(answers[0]["signal"]["incident_type"], "CRYPTO_MINING");
    let planned = steps(&answers[0]);
    assert!(planned.iter().any(|(kind, is)| kind == "isolate_instance" && is == "dry_run"), "{planned:?}");
    let text = String::from_utf8(respond(&[&finding(folder.path(), false)], &[]).stdout).unwrap();
    assert!(text.contains("A coin miner runs") && text.contains("instance/i-0abc"), "{text}");
}

#[test]
fn a_sample_finding_is_never_contained_whatever_the_playbook_says() {
    let folder = tempfile::tempdir().unwrap();
    let books = folder.path().join("books");
    fs::create_dir(&books).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/playbooks");
    for entry in fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        let on = fs::read_to_string(&path).unwrap().replace("dry_run: true", "dry_run: false");
        fs::write(books.join(path.file_name().unwrap()), on).unwrap();
    }
    let own = ["--json", "--playbooks", books.to_str().unwrap()];
    for (label, sample, runs) in [("real", false, true), ("sample", true, false)] {
        let answers = plans(&respond(&[&finding(folder.path(), sample)], &own));
        let acts = |(kind, is): &(String, String)| {
            kind == "isolate_instance" && ["run", "ask"].contains(&is.as_str())
        };
        assert_eq!(steps(&answers[0]).iter().any(acts), runs, "{label}: {answers:?}");
    }
}

#[test]
fn quiet_logs_end_with_0_and_unreadable_ones_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let (quiet, broken) = (folder.path().join("quiet.json"), folder.path().join("broken.json"));
    fs::write(&quiet, "[]").unwrap();
    fs::write(&broken, "{").unwrap();
    assert_eq!(respond(&[&quiet], &[]).status.code(), Some(0));
    let output = respond(&[&broken], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("broken.json"));
}

#[test]
fn what_is_applied_is_decided_by_the_stack_and_needs_one() {
    let folder = tempfile::tempdir().unwrap();
    let finding = finding(folder.path(), false);
    let (secret, books) = (folder.path().join("secret"), folder.path().to_str().unwrap());
    fs::write(&secret, "any").unwrap();
    // Nobody listens on port 1.
    let stack = ["--apply", "--url", "http://127.0.0.1:1", "--secret-file", secret.to_str().unwrap()];
    for (label, more, why) in [
        ("own playbooks", &["--apply", "--playbooks", books][..], "--playbooks"),
        ("own rules", &["--apply", "--rules", books], "--rules"),
        ("own safety rules", &["--apply", "--safety", books], "--safety"),
        ("no stack", &stack, "127.0.0.1:1"),
    ] {
        let output = respond(&[&finding], more);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{label}: {said}");
        assert!(said.contains(why), "{label}: {said}");
        assert!(output.stdout.is_empty(), "{label}");
    }
}
