//! `portcullis token` as people and scripts use it: verdicts on standard output, warnings on standard error, exit codes.
#![cfg(test)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use portcullis_base::Clock;
use portcullis_lambda::SystemClock;
use portcullis_tests::binaries;
use portcullis_token::{Algorithm, Claims, IssuedType, Jwks, LocalSigner, NumericDate};
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUER: &str = "https://sts.example";
const AUDIENCE: &str = "portcullis";
const VECTORS: &str = include_str!("../../shared/token/tests/vectors/json_web_signature_test.json");

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

fn run(args: &[&str], input: impl AsRef<[u8]>) -> Output {
    let mut command = Command::new(binaries::portcullis());
    command.arg("token").args(args).env_remove("PORTCULLIS_CLIENT_SECRET");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.as_ref().to_vec();
    // A command that refuses before it reads closes the pipe: that is its right.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn verdicts(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn errors(output: &Output) -> Vec<Option<String>> {
    verdicts(output)
        .into_iter()
        .map(|verdict| {
            let error = verdict.get("error").map(|e| e.as_str().unwrap().to_owned());
            assert_eq!(verdict["valid"], json!(error.is_none()), "{verdict}");
            error
        })
        .collect()
}

fn now() -> i64 {
    SystemClock.now().as_second()
}

fn claims(from: i64, seconds: i64) -> Claims {
    let date = |at| NumericDate::from_seconds(at).unwrap();
    let mut claims = Claims::new(ISSUER, "svc.actuator", AUDIENCE, date(from + seconds));
    claims.iat = Some(date(from));
    claims.jti = Some("token-1".to_owned());
    claims.client_id = Some("svc.actuator".to_owned());
    claims
}

fn set(signers: &[&LocalSigner]) -> String {
    Jwks::new(signers.iter().map(|s| s.public().clone())).unwrap().to_json()
}

fn verify<'a>(jwks: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let start = ["verify", "--jwks", jwks.to_str().unwrap(), "--issuer", ISSUER, "--audience", AUDIENCE];
    [&start[..], more].concat()
}

#[test]
fn each_line_gets_a_verdict_in_order_and_no_token_is_repeated() {
    let (signer, stranger) =
        (LocalSigner::generate(Algorithm::Es256).unwrap(), LocalSigner::generate(Algorithm::Es256).unwrap());
    let folder = Folder::new();
    let jwks = folder.file("jwks.json", &set(&[&signer]));
    let issue =
        |signer: &LocalSigner, claims: &Claims| signer.issue_now(claims, IssuedType::AccessToken).unwrap();
    let good = issue(&signer, &claims(now(), 600));
    let mut elsewhere = claims(now(), 600);
    elsewhere.aud = vec!["other".to_owned()];
    let mut foreign = claims(now(), 600);
    foreign.iss = "https://else.example".to_owned();
    let expectations = [
        (good.clone(), None),
        (format!("{good}\r"), None),
        (String::new(), Some("not-compact")),
        (format!("{good}="), Some("base64")),
        (issue(&stranger, &claims(now(), 600)), Some("unknown-key")),
        (issue(&signer, &claims(now() - 700, 600)), Some("expired")),
        (issue(&signer, &claims(now() + 60, 600)), Some("issued-in-future")),
        (issue(&signer, &claims(now(), 7200)), Some("lifetime-too-long")),
        (issue(&signer, &elsewhere), Some("audience")),
        (issue(&signer, &foreign), Some("issuer")),
        (signer.issue_now(&claims(now(), 600), IssuedType::Jwt).unwrap(), Some("type-mismatch")),
        ("x".repeat(9_000), Some("oversize")),
        ("x".repeat(3_000_000), Some("oversize")),
        (good.clone(), None),
    ];
    let input = expectations.iter().map(|(token, _)| token.as_str()).collect::<Vec<_>>().join("\n");
    let output = run(&verify(&jwks, &[]), &input);
    let expected: Vec<_> = expectations.iter().map(|(_, error)| error.map(str::to_owned)).collect();
    assert_eq!(errors(&output), expected);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("11 of 14"), "{}", text(&output.stderr));
    let signature = good.rsplit_once('.').unwrap().1;
    assert!(!text(&output.stdout).contains(signature) && !text(&output.stderr).contains(signature));
}

#[test]
fn all_valid_ends_with_0_for_every_algorithm() {
    let signers = Algorithm::ALL.map(|algorithm| LocalSigner::generate(algorithm).unwrap());
    let folder = Folder::new();
    let jwks = folder.file("jwks.json", &set(&signers.iter().collect::<Vec<_>>()));
    let tokens: String = signers
        .iter()
        .map(|s| format!("{}\n", s.issue_now(&claims(now(), 600), IssuedType::AccessToken).unwrap()))
        .collect();
    let output = run(&verify(&jwks, &[]), &tokens);
    assert_eq!((output.status.code(), errors(&output)), (Some(0), vec![None; 4]), "{}", text(&output.stderr));
    let file = folder.file("tokens", &tokens);
    let output = run(&verify(&jwks, &[file.to_str().unwrap()]), "");
    assert_eq!((output.status.code(), errors(&output)), (Some(0), vec![None; 4]), "from a file");
    let output = run(&verify(&jwks, &["--algorithm", "ES256"]), &tokens);
    let refused = Some("algorithm-not-allowed".to_owned());
    assert_eq!(errors(&output), [refused.clone(), refused.clone(), None, refused]);
}

#[test]
fn other_tokens_are_taken_when_asked_for() {
    let signer = LocalSigner::generate(Algorithm::EdDsa).unwrap();
    let folder = Folder::new();
    let jwks = folder.file("jwks.json", &set(&[&signer]));
    let token = signer.issue_now(&claims(now() - 30, 86_400), IssuedType::Jwt).unwrap();
    for (more, code) in [
        (&["--typ", "jwt", "--max-lifetime", "90000"][..], 0),
        (&["--typ", "jwt-or-absent", "--max-lifetime", "90000"], 0),
        (&["--typ", "jwt"], 1),
        (&["--typ", "at+jwt", "--max-lifetime", "90000"], 1),
    ] {
        assert_eq!(run(&verify(&jwks, more), &token).status.code(), Some(code), "{more:?}");
    }
}

#[test]
fn signature_only_gives_the_verdicts_of_wycheproof() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let folder = Folder::new();
    // What is marked otherwise than RFC 7515 and 7517 say; `shared/token` gives the reasons.
    let otherwise = [346, 350, 367, 370, 372, 373];
    for group in vectors["testGroups"].as_array().unwrap() {
        let jwks = folder.file("jwks.json", &json!({"keys": group["keys"]}).to_string());
        let tests = group["tests"].as_array().unwrap();
        let input: String = tests.iter().map(|t| format!("{}\n", t["jws"].as_str().unwrap())).collect();
        let output = run(&["verify", "--jwks", jwks.to_str().unwrap(), "--signature-only"], input);
        let found = errors(&output);
        assert_eq!(found.len(), tests.len(), "{}", text(&output.stderr));
        for (test, error) in tests.iter().zip(&found) {
            let marked = test["result"] == "valid";
            let excepted = otherwise.contains(&test["tcId"].as_i64().unwrap());
            assert_eq!(error.is_none(), marked != excepted, "{} {error:?}", test["tcId"]);
        }
        assert_eq!(output.status.code(), Some(i32::from(found.iter().any(Option::is_some))));
    }
}

#[test]
fn what_cannot_be_judged_ends_with_2() {
    let folder = Folder::new();
    let good = folder.file("good.json", &set(&[&LocalSigner::generate(Algorithm::EdDsa).unwrap()]));
    let (good, private) = (
        good.to_str().unwrap(),
        folder.file("d.json", r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}]}"#),
    );
    let (private, broken) = (private.to_str().unwrap(), folder.file("b.json", "{"));
    for args in [
        &["verify"][..],
        &["verify", "--jwks", good],
        &["verify", "--jwks", good, "--issuer", ISSUER],
        &["verify", "--jwks", good, "--audience", AUDIENCE],
        &["verify", "--jwks", good, "--issuer", ISSUER, "--audience", AUDIENCE, "--signature-only"],
        &["verify", "--jwks", good, "--issuer", "", "--audience", AUDIENCE],
        &["verify", "--jwks", good, "--issuer", ISSUER, "--audience", ""],
        &["verify", "--jwks", good, "--issuer", ISSUER, "--audience", AUDIENCE, "--algorithm", "HS256"],
        &["verify", "--jwks", good, "--issuer", ISSUER, "--audience", AUDIENCE, "--leeway", "61"],
        &["verify", "--jwks", "/does/not/exist", "--signature-only"],
        &["verify", "--jwks", broken.to_str().unwrap(), "--signature-only"],
        &["verify", "--jwks", private, "--signature-only"],
        &["verify", "--jwks", good, "--signature-only", "/does/not/exist"],
        &["get"],
        &["get", "--service", "svc.actuator", "--url", "http://example.com"],
        &["get", "--service", "svc.actuator", "--secret-file", "/does/not/exist"],
        &["inspect", "/does/not/exist"],
    ] {
        let output = run(args, "a.b.c\n");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
    let nothing = run(&["verify", "--jwks", good, "--signature-only"], "");
    assert_eq!(nothing.status.code(), Some(2), "no token at all is not a yes");
}

#[test]
fn inspect_decodes_and_says_loudly_that_nothing_is_verified() {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let token = format!(
        "{}.{}.c2lnbmF0dXJl",
        part(r#"{"alg":"none","typ":"JWT"}"#),
        part(r#"{"sub":"mallory","note":"\u001b[2J"}"#)
    );
    let output = run(&["inspect"], format!("{token}\n"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("NOT VERIFIED"));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        shown,
        json!({"verified": false, "problem": "algorithm-none", "header": {"alg": "none", "typ": "JWT"},
               "claims": {"sub": "mallory", "note": "\u{1b}[2J"}})
    );
    assert!(!text(&output.stdout).contains("c2lnbmF0dXJl") && !output.stdout.contains(&0x1b));
    let lines = run(&["inspect", "--json"], &token);
    assert_eq!(verdicts(&lines), [shown]);
    let broken = run(&["inspect"], "not a token");
    assert_eq!(broken.status.code(), Some(1));
    assert!(broken.stdout.is_empty() && !text(&broken.stderr).contains("not a token"));
}

#[test]
fn every_command_says_what_it_does_with_an_example() {
    for command in ["get", "inspect", "verify"] {
        let output = run(&[command, "--help"], "");
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(text(&output.stdout).contains("Example"), "{command} has no example");
    }
}
