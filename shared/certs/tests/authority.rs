//! The CA in its folder: what it writes, what it refuses, and what it remembers.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use portcullis_base::{ManualClock, Timestamp};
use portcullis_certs::{
    Authority, CaOptions, CertsError, Days, Entry, Purpose, RevocationReason, Serial, Service, Status, Which,
};
use tempfile::TempDir;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

const NOW: &str = "2026-11-22T10:00:00Z";
const DAY: i64 = 24 * 60 * 60;

struct Bench {
    root: TempDir,
    clock: Arc<ManualClock>,
    authority: Authority<Arc<ManualClock>>,
}

impl Bench {
    fn empty() -> Self {
        let root = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let authority = Authority::new(root.path().join("certs"), Arc::clone(&clock));
        Self { root, clock, authority }
    }

    fn new() -> Self {
        let bench = Self::empty();
        bench.authority.init(&options()).unwrap();
        bench
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join("certs").join(name)
    }

    fn issue(&self, name: &str) -> Vec<Entry> {
        self.authority.issue(&service(name), &[], &[], Days::default()).unwrap()
    }

    fn later(&self, days: i64) {
        self.clock.advance(days * DAY * 1000);
    }

    fn statuses(&self) -> Vec<Status> {
        self.authority.list().unwrap().into_iter().map(|(_, status)| status).collect()
    }

    /// Number and serial numbers of the revocation list in a folder.
    fn crl(&self, folder: &str) -> (u64, BTreeSet<String>) {
        let pem = pem(&self.path(folder).join("crl.pem"));
        let (_, list) = CertificateRevocationList::from_der(&pem.contents).unwrap();
        let serials = list.iter_revoked_certificates().map(|r| hex::encode(r.user_certificate.to_bytes_be()));
        let number = list.crl_number().unwrap().to_string().parse().unwrap();
        (number, serials.collect())
    }
}

fn options() -> CaOptions {
    CaOptions {
        trust_domain: "corp.example".parse().unwrap(),
        days: 365,
        permitted_dns: vec!["extra.example".parse().unwrap()],
        permitted_ips: vec!["10.1.2.3/16".parse().unwrap()],
    }
}

fn service(name: &str) -> Service {
    name.parse().unwrap()
}

fn pem(path: &Path) -> Pem {
    Pem::iter_from_buffer(&fs::read(path).unwrap()).next().unwrap().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_folder_is_laid_out_as_documented_and_private() {
    let bench = Bench::new();
    bench.issue("svc.actuator");
    assert_eq!(names(&bench.path("")), [".lock", "actuator", "ca"]);
    assert_eq!(names(&bench.path("ca")), ["ca.crt", "ca.key", "crl.pem", "index.json", "truststore.pem"]);
    let expected = ["ca.crt", "client.crt", "client.key", "crl.pem", "server.crt", "server.key"];
    assert_eq!(names(&bench.path("actuator")), expected);
    for folder in ["ca", "actuator"] {
        assert_eq!(fs::metadata(bench.path(folder)).unwrap().mode() & 0o777, 0o700, "{folder}");
        for file in names(&bench.path(folder)) {
            let mode = fs::metadata(bench.path(folder).join(&file)).unwrap().mode();
            assert_eq!(mode & 0o777, 0o600, "{folder}/{file}");
        }
    }
    let same = |a, b| fs::read(bench.path(a)).unwrap() == fs::read(bench.path(b)).unwrap();
    assert!(same("ca/ca.crt", "actuator/ca.crt") && same("ca/ca.crt", "ca/truststore.pem"));
}

#[test]
fn the_ca_is_constrained() {
    let bench = Bench::new();
    let pem = pem(&bench.path("ca/ca.crt"));
    let ca = pem.parse_x509().unwrap();
    let basic = ca.basic_constraints().unwrap().unwrap();
    assert!(basic.critical && basic.value.ca);
    assert_eq!(basic.value.path_len_constraint, Some(0));
    let usage = ca.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    assert!(!usage.value.digital_signature());
    let constraints = ca.name_constraints().unwrap().unwrap();
    assert!(constraints.critical);
    let permitted = constraints.value.permitted_subtrees.as_ref().unwrap();
    let bases: Vec<_> = permitted.iter().map(|subtree| format!("{:?}", subtree.base)).collect();
    assert_eq!(bases.len(), 6, "{bases:?}");
    for name in ["corp.example", "localhost", "extra.example"] {
        assert!(permitted.iter().any(|s| s.base == GeneralName::DNSName(name)), "{name}");
    }
    let net = GeneralName::IPAddress(&[10, 1, 0, 0, 255, 255, 0, 0]);
    assert!(permitted.iter().any(|s| s.base == net), "host bits are cleared");
    assert_eq!(ca.validity().not_after.timestamp() - ca.validity().not_before.timestamp(), 365 * DAY + 300);
}

#[test]
fn certificates_name_their_service_and_have_one_purpose() {
    let bench = Bench::new();
    let dns = ["a.corp.example".parse().unwrap(), "localhost".parse().unwrap()];
    let ips: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    let issued = bench.authority.issue(&service("actuator"), &dns, &ips, "30".parse().unwrap()).unwrap();
    assert_eq!(issued.iter().map(|e| e.purpose).collect::<Vec<_>>(), [Purpose::Server, Purpose::Client]);
    for entry in &issued {
        let label = entry.purpose.as_str();
        let pem = pem(&bench.path("actuator").join(format!("{label}.crt")));
        let certificate = pem.parse_x509().unwrap();
        let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names.len(), if label == "server" { 5 } else { 1 }, "{label}: {names:?}");
        assert!(names.contains(&GeneralName::URI("spiffe://corp.example/svc.actuator")), "{label}");
        // With a dot in it OpenSSL would take it for a host name, and the client's for one that the CA may not certify.
        let common_name = certificate.subject().iter_common_name().next().unwrap().as_str().unwrap();
        assert_eq!(common_name, "actuator", "{label}");
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert_eq!((usage.server_auth, usage.client_auth), (label == "server", label == "client"));
        assert!(!certificate.is_ca() && certificate.key_usage().unwrap().unwrap().value.digital_signature());
        assert_eq!(
            hex::encode(certificate.tbs_certificate.raw_serial()).trim_start_matches("00"),
            entry.serial.to_string()
        );
        let now: Timestamp = NOW.parse().unwrap();
        assert_eq!(certificate.validity().not_after.timestamp(), now.as_second() + 30 * DAY, "{label}");
        assert!(
            certificate
                .extensions()
                .iter()
                .any(|e| matches!(e.parsed_extension(), ParsedExtension::AuthorityKeyIdentifier(_)))
        );
    }
}

#[test]
fn nothing_is_overwritten() {
    let bench = Bench::new();
    bench.issue("actuator");
    let before = fs::read(bench.path("actuator/server.key")).unwrap();
    assert!(matches!(bench.authority.init(&options()), Err(CertsError::Exists(_))));
    let again = bench.authority.issue(&service("actuator"), &[], &[], Days::default());
    assert!(matches!(again, Err(CertsError::Exists(_))));
    assert_eq!(fs::read(bench.path("actuator/server.key")).unwrap(), before);
    assert_eq!(bench.authority.list().unwrap().len(), 2);
    assert_eq!(names(&bench.path("")), [".lock", "actuator", "ca"], "and nothing is left behind");
}

#[test]
fn what_cannot_be_done_is_told() {
    let empty = Bench::empty();
    let nobody = service("nobody");
    assert!(matches!(empty.authority.list(), Err(CertsError::NoAuthority(_))));
    assert!(matches!(empty.authority.renew(&nobody, Days::default()), Err(CertsError::NoAuthority(_))));
    let bench = Bench::new();
    for name in ["other.example", "acorp.example", "example"] {
        let refused = bench.authority.issue(&nobody, &[name.parse().unwrap()], &[], Days::default());
        assert!(matches!(refused, Err(CertsError::NotPermitted(_))), "{name}");
    }
    let refused = bench.authority.issue(&nobody, &[], &["10.2.0.1".parse().unwrap()], Days::default());
    assert!(matches!(refused, Err(CertsError::NotPermitted(_))));
    assert!(matches!(bench.authority.renew(&nobody, Days::default()), Err(CertsError::Unknown(_))));
    let unknown = Which::Serial("00".repeat(16).parse::<Serial>().unwrap());
    for which in [Which::Service(nobody), unknown] {
        let refused = bench.authority.revoke(&which, RevocationReason::Unspecified);
        assert!(matches!(refused, Err(CertsError::Unknown(_))), "{which}");
    }
    assert_eq!(names(&bench.path("")), [".lock", "ca"]);
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    let bench = Bench::new();
    fs::set_permissions(bench.path("ca/ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let refused = bench.authority.issue(&service("a"), &[], &[], Days::default());
    assert!(matches!(refused, Err(CertsError::Exposed(_))));
    assert!(bench.authority.list().is_ok(), "but what needs no key goes on");
}

#[test]
fn renewal_keeps_the_names_and_changes_key_and_number() {
    let bench = Bench::new();
    let dns = ["x.corp.example".parse().unwrap()];
    let old = bench.authority.issue(&service("actuator"), &dns, &[], Days::default()).unwrap();
    let keys = |bench: &Bench| {
        ["server.key", "client.key"].map(|name| fs::read(bench.path("actuator").join(name)).unwrap())
    };
    let old_keys = keys(&bench);
    bench.later(61);
    assert_eq!(bench.statuses(), [Status::RenewSoon; 2]);
    let new = bench.authority.renew(&service("actuator"), Days::default()).unwrap();
    for (old, new) in old.iter().zip(&new) {
        let kept =
            |e: &Entry| (e.spiffe_id.clone(), e.dns.clone(), e.ips.clone(), e.purpose, e.service.clone());
        assert_eq!(kept(old), kept(new));
        assert_ne!((old.serial, &old.fingerprint), (new.serial, &new.fingerprint));
    }
    let changed = keys(&bench);
    assert!(old_keys[0] != changed[0] && old_keys[1] != changed[1]);
    let expected = [Status::Superseded, Status::Superseded, Status::Valid, Status::Valid];
    assert_eq!(bench.statuses(), expected);
    bench.later(30);
    assert_eq!(bench.statuses()[..2], [Status::Expired; 2]);
}

#[test]
fn revocation_is_listed_everywhere_until_the_certificate_is_over() {
    let bench = Bench::new();
    let (a, b) = (bench.issue("a"), bench.issue("b"));
    assert_eq!(bench.crl("ca"), (3, BTreeSet::new()));
    let one = Which::Serial(a[0].serial);
    let revoked = bench.authority.revoke(&one, RevocationReason::KeyCompromise).unwrap();
    assert_eq!(revoked[0].serial, a[0].serial);
    assert!(matches!(
        bench.authority.revoke(&one, RevocationReason::Unspecified),
        Err(CertsError::AlreadyRevoked(_))
    ));
    let all = Which::Service(service("a"));
    assert_eq!(
        bench.authority.revoke(&all, RevocationReason::Superseded).unwrap().len(),
        1,
        "the rest of it"
    );
    let serials: BTreeSet<_> = a.iter().map(|entry| entry.serial.to_string()).collect();
    for folder in ["ca", "a", "b"] {
        assert_eq!(bench.crl(folder), (6, serials.clone()), "{folder}");
    }
    let expected = [Status::Revoked, Status::Revoked, Status::Valid, Status::Valid];
    assert_eq!(bench.statuses(), expected);
    let renewed = bench.authority.renew(&service("a"), Days::default()).unwrap();
    assert_ne!(renewed[0].serial, b[0].serial);
    assert_eq!(bench.crl("a").1, serials, "renewal brings no revoked certificate back");
    bench.later(90);
    bench.authority.renew(&service("b"), Days::default()).unwrap();
    assert!(bench.crl("b").1.is_empty(), "what is over need not be listed");
}

/// A crl.pem that is a folder cannot be replaced, whoever runs the test.
fn block(bench: &Bench, folder: &str) {
    let path = bench.path(folder).join("crl.pem");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
}

fn unblock(bench: &Bench, folder: &str) {
    fs::remove_dir(bench.path(folder).join("crl.pem")).unwrap();
}

#[test]
fn one_folder_that_cannot_be_written_keeps_no_other_server_in_the_dark() {
    for blocked in ["ca", "a", "b"] {
        let bench = Bench::new();
        let revoked = Which::Service(service("c"));
        for name in ["a", "b", "c"] {
            bench.issue(name);
        }
        block(&bench, blocked);
        for attempt in ["first", "said again"] {
            let told = bench.authority.revoke(&revoked, RevocationReason::KeyCompromise).unwrap_err();
            assert!(matches!(&told, CertsError::Undelivered(failures) if failures.len() == 1), "{told}");
            let path = bench.path(blocked).join("crl.pem").display().to_string();
            assert!(told.to_string().contains(&path), "{attempt}: {told}");
        }
        for folder in ["ca", "a", "b", "c"].into_iter().filter(|folder| *folder != blocked) {
            assert_eq!(bench.crl(folder).1.len(), 2, "{folder} without {blocked}");
        }
        unblock(&bench, blocked);
        let told = bench.authority.revoke(&revoked, RevocationReason::KeyCompromise).unwrap_err();
        assert!(matches!(told, CertsError::AlreadyRevoked(_)), "{told}");
        assert_eq!(bench.crl(blocked), bench.crl("c"), "said again, it reaches the folder that was mended");
    }
}

#[test]
fn a_crash_before_the_lists_is_healed_by_saying_the_command_again() {
    let bench = Bench::new();
    let entries = bench.issue("a");
    bench.issue("b");
    // The index of the moment after, the lists of the moment before.
    let lists = ["ca", "a", "b"].map(|folder| bench.path(folder).join("crl.pem"));
    let before = lists.each_ref().map(|path| fs::read(path).unwrap());
    let which = Which::Serial(entries[1].serial);
    bench.authority.revoke(&which, RevocationReason::KeyCompromise).unwrap();
    for (path, contents) in lists.iter().zip(before) {
        fs::write(path, contents).unwrap();
    }
    assert!(bench.crl("b").1.is_empty());
    bench.authority.revoke(&which, RevocationReason::KeyCompromise).unwrap_err();
    for folder in ["ca", "a", "b"] {
        assert_eq!(bench.crl(folder).1, BTreeSet::from([entries[1].serial.to_string()]), "{folder}");
    }
}

#[test]
fn a_list_that_cannot_be_written_elsewhere_keeps_nobody_from_certificates() {
    let bench = Bench::new();
    let old = bench.issue("a");
    bench.issue("b");
    block(&bench, "b");
    let (other, mine) = (service("c"), service("a"));
    let told = bench.authority.issue(&other, &[], &[], Days::default()).unwrap_err();
    assert!(matches!(told, CertsError::Undelivered(_)), "{told}");
    assert_eq!(bench.crl("c"), bench.crl("ca"), "it was issued");
    let told = bench.authority.renew(&mine, Days::default()).unwrap_err();
    assert!(matches!(told, CertsError::Undelivered(_)), "{told}");
    let written = pem(&bench.path("a/server.crt"));
    let (_, certificate) = x509_parser::parse_x509_certificate(&written.contents).unwrap();
    let serial = hex::encode(certificate.serial.to_bytes_be());
    assert_ne!(serial, old[0].serial.to_string(), "it was renewed");
}

#[test]
fn no_certificate_outlives_its_ca() {
    let bench = Bench::new();
    bench.later(300);
    let issued = bench.issue("a");
    assert_eq!(issued[0].not_after, bench.authority.ca().unwrap().not_after);
    bench.later(65);
    let refused = bench.authority.issue(&service("b"), &[], &[], Days::default());
    assert!(matches!(refused, Err(CertsError::AuthorityExpired)));
}

#[test]
fn commands_at_the_same_time_lose_nothing() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let bench = &bench;
            scope.spawn(move || bench.issue(&format!("s{number}")));
        }
    });
    let listed = bench.authority.list().unwrap();
    let serials: BTreeSet<_> = listed.iter().map(|(entry, _)| entry.serial.to_string()).collect();
    assert_eq!(serials.len(), 16);
    assert_eq!(bench.crl("ca").0, 9);
}

#[test]
fn an_index_that_says_more_than_it_should_is_refused() {
    let bench = Bench::new();
    let index = fs::read_to_string(bench.path("ca/index.json")).unwrap();
    for (label, from, to) in [
        ("unknown member", "\"crl_number\"", "\"extra\": 1, \"crl_number\""),
        ("another version", "\"version\": \"1\"", "\"version\": \"2\""),
        ("bad name", "\"corp.example\"", "\"../x\""),
        ("no json", "{", "("),
    ] {
        assert!(index.contains(from), "{label}");
        fs::write(bench.path("ca/index.json"), index.replacen(from, to, 1)).unwrap();
        assert!(matches!(bench.authority.list(), Err(CertsError::Malformed(_))), "{label}");
    }
}
