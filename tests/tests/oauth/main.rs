//! OAuth clients and token verifiers of others against the running local stack, over TLS: what they take for granted of an
//! authorization server must hold of ours (RFC 6749, 7009, 7523, 7662, 8414, 8693, 8705, 9068, 9449).
#![cfg(test)]

mod stack;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stack::Stack;

#[test]
fn authlib_does_all_that_a_client_does_and_pyjwt_and_joserfc_verify_the_tokens() {
    let stack = Stack::start();
    let mut command = Command::new(tool("oauth-python/bin/python"));
    command.arg(source("python/oauth_client.py")).arg(stack.config());
    assert_eq!(
        held(&command.output().unwrap(), &stack),
        [
            "discovered",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt RS256",
            "private_key_jwt PS256",
            "private_key_jwt ES256",
            "private_key_jwt EdDSA",
            "tls_client_auth",
            "service_id and client_secret",
            "scope and audience",
            "every signing algorithm",
            "refusals",
            "introspected",
            "revoked",
            "a user's token exchanged",
            "tokens that may not be exchanged",
            "refreshed",
            "a replayed refresh token ends its family",
            "a revoked refresh token is refused",
        ]
    );
}

#[test]
fn oauth4webapi_does_all_that_a_client_does_and_jose_and_aws_jwt_verify_verify_the_tokens() {
    let stack = Stack::start();
    // Node finds packages from where a script is: a copy beside a link to them.
    let script = stack.folder().join("oauth_client.mjs");
    fs::copy(source("node/oauth_client.mjs"), &script).unwrap();
    symlink(tool("oauth-node/node_modules"), stack.folder().join("node_modules")).unwrap();
    let mut command = Command::new("node");
    command.arg(&script).arg(stack.config()).env("NODE_EXTRA_CA_CERTS", stack.ca());
    assert_eq!(
        held(&command.output().expect("node, which this test needs"), &stack),
        [
            "discovered",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt RS256",
            "private_key_jwt PS256",
            "private_key_jwt ES256",
            "private_key_jwt EdDSA",
            "tls_client_auth",
            "every signing algorithm",
            "scope and audience",
            "refusals",
            "introspected",
            "revoked",
            "refreshed",
            "a user's token exchanged",
            "tokens that may not be exchanged",
            "an approval used once",
            "DPoP",
            "RFC 9068 access token",
        ]
    );
}

/// What the script says that held, all of it.
fn held(output: &Output, stack: &Stack) -> Vec<String> {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "held: {out}\nthen: {errors}\nthe stack: {}", stack.log());
    out.lines().map(str::to_owned).collect()
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What `scripts/tools` installed.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no config.rs: where tools are is said by who runs it"
)]
fn tool(path: &str) -> PathBuf {
    let tools = std::env::var_os("PORTCULLIS_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools"), PathBuf::from);
    let path = tools.join(path);
    assert!(path.exists(), "{} is not installed: run `make tools`", path.display());
    path
}
