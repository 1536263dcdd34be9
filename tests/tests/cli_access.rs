//! `portcullis access`: what a person learns about a decision, and what a script reads.
#![cfg(test)]

use std::fs;
use std::process::{Command, Output};

use portcullis_tests::binaries;
use serde_json::Value;

fn explain(args: &[&str]) -> Output {
    Command::new(binaries::portcullis()).args(["access", "explain"]).args(args).output().unwrap()
}

fn json(args: &[&str]) -> (Option<i32>, Value) {
    let output = explain(&[args, &["--json"]].concat());
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[test]
fn the_verdict_its_reason_and_the_policies_that_decide() {
    let approved = &["--approved-plan", "plan-7", "--approver", "svc.enterprise"][..];
    let own = &["--approved-plan", "plan-7", "--approver", "svc.actuator"][..];
    for (label, who, action, more, expected) in [
        ("matrix permits", "svc.analyst", "read:signals", &[][..], (0, "permitted", "matrix.analyst")),
        ("nothing permits", "svc.analyst", "read:budget", &[], (1, "nothing-permits", "")),
        (
            "restricted",
            "svc.analyst",
            "execute:external",
            approved,
            (1, "forbidden", "restrict.analyst-executes-nothing-outside"),
        ),
        ("with approval", "svc.actuator", "execute:external", approved, (0, "permitted", "matrix.actuator")),
        (
            "without approval",
            "svc.actuator",
            "execute:external",
            &[],
            (1, "forbidden", "restrict.external-needs-approval"),
        ),
        (
            "approved by itself",
            "svc.actuator",
            "execute:external",
            own,
            (1, "forbidden", "restrict.no-own-approval"),
        ),
        (
            "a token without the scope",
            "ops.auditor",
            "read:conversations",
            &["--scope", "read:audit"],
            (1, "scope-missing", "api.read-conversations"),
        ),
    ] {
        let args = ["--as", who, "--action", action, "--resource", "plan-7"];
        let (code, said) = json(&[&args, more].concat());
        let policies = said["policies"].as_array().unwrap();
        let ids: Vec<&str> = policies.iter().map(|p| p["id"].as_str().unwrap()).collect();
        assert_eq!((code, said["because"].as_str()), (Some(expected.0), Some(expected.1)), "{label}");
        assert_eq!(said["allowed"], expected.0 == 0, "{label}");
        assert_eq!(ids.join(" "), expected.2, "{label}");
        assert!(policies.iter().all(|p| p["text"].as_str().unwrap().contains("principal")), "{label}");
    }
}

#[test]
fn a_person_reads_a_sentence_and_the_policy() {
    let output = explain(&["--as", "svc.bff", "--action", "relay:requests"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("svc.bff (role svc.bff) may relay:requests: "), "{text}");
    assert!(text.contains("@id(\"matrix.bff\")"), "{text}");
}

#[test]
fn what_cannot_be_asked_ends_with_2() {
    let empty = tempfile::tempdir().unwrap();
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("a.cedar"), "permit (principal, action, resource);").unwrap();
    let (empty, broken) = (empty.path().to_str().unwrap(), broken.path().to_str().unwrap());
    for (label, args, words) in [
        ("unknown identity", &["--as", "svc.nobody", "--action", "read:signals"][..], "svc.nobody"),
        ("no action", &["--as", "svc.bff", "--action", "everything"], "verb:object"),
        ("no policies", &["--as", "svc.bff", "--action", "a:b", "--policies", empty], "no policies"),
        ("a policy without @id", &["--as", "svc.bff", "--action", "a:b", "--policies", broken], "@id"),
        (
            "an approval by nobody",
            &["--as", "svc.bff", "--action", "a:b", "--approved-plan", "p"],
            "approver",
        ),
    ] {
        let output = explain(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{label}: {error}");
        assert!(error.contains(words), "{label}: {error}");
        assert!(output.stdout.is_empty(), "{label}");
    }
}

#[test]
fn policies_of_ones_own_decide_in_place_of_the_shipped_ones() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "@id(\"mine\") permit (principal in Role::\"svc.bff\", action == Action::\"read:signals\", resource);";
    fs::write(folder.path().join("mine.cedar"), policy).unwrap();
    let own = ["--policies", folder.path().to_str().unwrap()];
    // Scopes still narrow: the role's do not hold this one.
    let (code, said) = json(&[&["--as", "svc.bff", "--action", "read:signals"], &own[..]].concat());
    assert_eq!((code, &said["because"]), (Some(1), &Value::from("scope-missing")));
    let args = ["--as", "svc.bff", "--action", "read:signals", "--scope", "read:signals"];
    let (code, said) = json(&[&args, &own[..]].concat());
    assert_eq!((code, &said["policies"][0]["id"]), (Some(0), &Value::from("mine")));
}
