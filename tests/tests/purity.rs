//! The pure rooms stay pure: no SDK, no runtime, no clock, no environment, no files; and one TLS provider for all.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn pure_rooms_depend_on_no_sdk_and_no_runtime() {
    for room in pure_rooms() {
        let mut found = intruders(&dependencies(&["-p", &format!("portcullis-{room}")]));
        found.retain(|line| !EXEMPT.iter().any(|(of, name, _)| *of == room && *name == package(line).0));
        assert!(found.is_empty(), "shared/{room} depends on {found:?}");
    }
}

#[test]
fn pure_rooms_mention_no_clock_environment_file_or_output() {
    for room in pure_rooms() {
        let files = rust_files(&root().join("shared").join(&room).join("src"));
        assert!(!files.is_empty(), "shared/{room} has no source");
        for file in files {
            let found = ambient(&production_code(&fs::read_to_string(&file).unwrap()));
            assert!(found.is_empty(), "{} uses {found:?}", file.display());
        }
    }
}

#[test]
fn exactly_one_tls_provider_is_linked() {
    let found = foreign_tls(&dependencies(&["--workspace"]));
    assert!(found.is_empty(), "linked beside rustls on aws-lc-rs: {found:?}");
}

#[test]
fn every_room_is_checked() {
    let rooms = pure_rooms();
    for room in ["base", "pii", "secrets", "webhook"] {
        assert!(rooms.contains(room), "shared/{room} is not among the pure rooms: {rooms:?}");
    }
    assert!(ROOMS_THAT_ACT.iter().all(|room| !rooms.contains(*room)));
}

#[test]
fn a_doctored_tree_is_caught() {
    let cases = [
        ("runtime", "tokio v1.54.1 rt,sync", true),
        ("part of a runtime", "tokio-util v0.7.20 ", true),
        ("SDK", "aws-sdk-kms v1.129.0 rt-tokio", true),
        ("SDK core", "aws-smithy-types v1.9.3 ", true),
        ("Lambda", "lambda_runtime v1.5.0 ", true),
        ("HTTP client", "reqwest v0.13.5 rustls", true),
        ("HTTP server", "hyper v1.12.0 http1", true),
        ("database", "redb v4.5.0 ", true),
        ("second crate of time", "chrono v0.4.45 clock", true),
        ("a room that acts", "portcullis-local v0.1.0 (/x/shared/local) ", true),
        ("time zone of the machine", "jiff v0.2.5 default,std,tz-system", true),
        ("jiff without the machine's zone", "jiff v0.2.5 alloc,std", false),
        ("cryptography", "aws-lc-rs v1.19.0 alloc,aws-lc-sys", false),
        ("a name that only looks alike", "tokioish v1.0.0 ", false),
        ("another pure room", "portcullis-base v0.1.0 (/x/shared/base) ", false),
    ];
    for (name, line, caught) in cases {
        let tree = format!("portcullis-pii v0.1.0 (/x/shared/pii) \nserde v1.0.0 std\n{line}\n");
        assert_eq!(!intruders(&tree).is_empty(), caught, "{name}");
    }
}

#[test]
fn a_doctored_provider_is_caught() {
    let good = "rustls v0.23.46 aws_lc_rs,std,tls12\naws-lc-rs v1.19.0 alloc\n";
    assert!(foreign_tls(good).is_empty());
    for (name, line) in [
        ("ring", "ring v0.17.14 alloc"),
        ("OpenSSL", "openssl-sys v0.9.1 "),
        ("the platform's TLS", "native-tls v0.2.14 "),
        ("a second rustls", "rustls v0.21.12 ring"),
        ("rustls with two providers", "rustls v0.23.46 aws_lc_rs,ring,std"),
        ("an old HTTP stack", "hyper v0.14.32 client"),
        ("an old HTTP/2", "h2 v0.3.27 "),
    ] {
        assert!(!foreign_tls(&format!("{good}{line}\n")).is_empty(), "{name}");
    }
    assert!(!foreign_tls("serde v1.0.0 std\n").is_empty(), "no provider at all");
}

#[test]
fn doctored_sources_are_caught() {
    for (name, source, caught) in [
        ("environment", "let home = std::env::var(\"HOME\");", true),
        ("imported environment", "use std::env;", true),
        ("clock", "let now = SystemTime::now();", true),
        ("monotonic clock", "let now = Instant::now();", true),
        ("jiff's clock", "let now = Timestamp::now();", true),
        ("file", "std::fs::read(path)", true),
        ("socket", "use std::net::TcpStream;", true),
        ("output", "eprintln!(\"{x}\");", true),
        ("address type", "use std::net::IpAddr;", false),
        ("only in a comment", "/// Never `std::env`, never SystemTime.\nfn f() {}", false),
        ("only in tests", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n", false),
        ("after a test-only item", "#[cfg(test)]\nuse x::Y;\nuse std::fs;", true),
    ] {
        assert_eq!(!ambient(&production_code(source)).is_empty(), caught, "{name}");
    }
}

/// Lines of a dependency tree (`name vX.Y.Z … features`) that no pure room may have.
fn intruders(tree: &str) -> BTreeSet<String> {
    tree.lines()
        .filter(|line| {
            let (name, _, rest) = package(line);
            FORBIDDEN.iter().any(|f| name == *f || name.starts_with(&format!("{f}-")))
                || FORBIDDEN_PREFIXES.iter().any(|f| name.starts_with(f))
                || ROOMS_THAT_ACT.iter().any(|room| name == format!("portcullis-{room}"))
                || (name == "jiff" && rest.contains("tz-system"))
        })
        .map(str::to_owned)
        .collect()
}

/// What breaks the rule of one TLS stack: rustls 0.23 or later, on aws-lc-rs alone.
fn foreign_tls(tree: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut stacks = BTreeSet::new();
    for line in tree.lines() {
        let (name, version, rest) = package(line);
        let other = matches!(name, "ring" | "openssl" | "openssl-sys" | "native-tls" | "boring" | "schannel");
        let old =
            (name == "hyper" && version.starts_with("0.")) || (name == "h2" && version.starts_with("0.3."));
        let mixed = name == "rustls" && rest.split([',', ' ']).any(|feature| feature == "ring");
        if other || old || mixed {
            found.insert(line.to_owned());
        }
        if name == "rustls" {
            stacks.insert(version);
        }
    }
    if stacks.len() != 1 {
        found.insert(format!("versions of rustls: {stacks:?}"));
    }
    found
}

/// What code says that reaches for something ambient.
fn ambient(code: &str) -> Vec<&'static str> {
    AMBIENT.iter().copied().filter(|word| code.contains(word)).collect()
}

/// The source without comment lines and without its trailing test module.
fn production_code(source: &str) -> String {
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Name, version (without the `v`) and the rest of a line of the tree.
fn package(line: &str) -> (&str, &str, &str) {
    let mut parts = line.splitn(3, ' ');
    let name = parts.next().unwrap_or_default();
    let version = parts.next().unwrap_or_default().trim_start_matches('v');
    (name, version, parts.next().unwrap_or_default())
}

/// The packages that a build without tests links, one a line with their features.
fn dependencies(of: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-e", "normal", "--prefix", "none", "-f", "{p} {f}"])
        .args(of)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.lines().count() > 5, "a tree of {of:?} was expected, not {tree:?}");
    tree
}

/// Every room of `shared/` is pure unless it is listed as one that acts: a new room is checked from its first day.
fn pure_rooms() -> BTreeSet<String> {
    fs::read_dir(root().join("shared"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|room| !ROOMS_THAT_ACT.contains(&room.as_str()))
        .collect()
}

/// The Rust files under a folder that are not test modules of their own.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let tests = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !tests {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && !tests {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Rooms that act: over a service, a file, a socket, or the Lambda runtime.
const ROOMS_THAT_ACT: [&str; 7] = ["aws", "certs", "client", "lambda", "local", "redis", "vault"];

/// Room, crate, and why it may be there.
const EXEMPT: [(&str, &str, &str); 3] = [
    (
        "detection",
        "chrono",
        "rsigma-eval reads timestamps with it; no source of ours may name it (see AMBIENT)",
    ),
    ("response", "chrono", "through detection"),
    ("access", "chrono", "Cedar reads timestamps with it; no source of ours may name it (see AMBIENT)"),
];

/// Crates (and families `name-*`) of runtimes, transports and storage.
const FORBIDDEN: [&str; 19] = [
    "tokio",
    "mio",
    "async-std",
    "smol",
    "aws-config",
    "aws-sdk",
    "aws-smithy",
    "aws-types",
    "aws-runtime",
    "aws-credential-types",
    "reqwest",
    "hyper",
    "h2",
    "axum",
    "redb",
    "chrono",
    "rustls",
    "tracing-subscriber",
    "tempfile",
];

const FORBIDDEN_PREFIXES: [&str; 2] = ["lambda_", "aws_lambda"];

const AMBIENT: [&str; 19] = [
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "stdin()",
    "stdout()",
    "println!",
    "eprintln!",
    "dbg!",
    "chrono",
    "tokio::",
];
