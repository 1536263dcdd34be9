//! Client certificates: whose they are, and what each mode makes of that.

use authorizer_function::{Certificate, MtlsMode, Request, Verdict};
use portcullis_access::Identities;
use portcullis_token::{Revocation, RevocationStore, RevocationTarget, Thumbprint};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use serde_json::json;

use crate::support::*;

/// A certificate in PEM form with these names.
fn certificate(common_name: &str, uris: &[&str]) -> String {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn shown(request: Request<'static>, pem: &str, subject: &str) -> Request<'static> {
    let certificate = Certificate { pem: pem.to_owned().into(), subject: subject.to_owned().into() };
    Request { certificate: Some(certificate), ..request }
}

fn world(mode: MtlsMode) -> World {
    World::with(|s| s.settings.mtls = mode)
}

const MEMORY: &str = "spiffe://portcullis.internal/svc.memory";

#[tokio::test]
async fn strict_takes_only_the_caller_s_own_certificate() {
    let own = certificate("x", &[MEMORY]);
    for (label, certificate, subject, reason) in [
        ("its own", Some(own.clone()), "", None),
        ("none", None, "", Some("certificate-missing")),
        (
            "another's",
            Some(certificate("x", &["spiffe://portcullis.internal/svc.bff"])),
            "",
            Some("certificate-of-another"),
        ),
        (
            "nobody's",
            Some(certificate("x", &["spiffe://portcullis.internal/svc.memory.evil"])),
            "",
            Some("certificate-unknown"),
        ),
        (
            "another domain's",
            Some(certificate("x", &["spiffe://evil.example/svc.memory"])),
            "",
            Some("certificate-unknown"),
        ),
        (
            "only a common name",
            Some(certificate("svc.memory", &[])),
            "CN=svc.memory",
            Some("certificate-unknown"),
        ),
        (
            "two names",
            Some(certificate("x", &[MEMORY, "spiffe://a.example/b"])),
            "",
            Some("certificate-several-uris"),
        ),
        (
            "not a certificate",
            Some("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----".to_owned()),
            "",
            Some("certificate-malformed"),
        ),
        ("two certificates", Some(own.repeat(2)), "", Some("certificate-malformed")),
    ] {
        let world = world(MtlsMode::Strict);
        let request = read_with(&token_of("svc.memory"));
        let request = match certificate {
            Some(pem) => shown(request, &pem, subject),
            None => request,
        };
        let verdict = world.judge(&request).await;
        match reason {
            None => assert_eq!(allowed(&verdict).principal, "svc.memory", "{label}"),
            Some(reason) => {
                assert_eq!(verdict, Verdict::Unauthorized, "{label}");
                assert_eq!(world.codes(), ["certificate-refused"], "{label}");
                assert!(world.last_record().contains(reason), "{label}: {}", world.last_record());
            }
        }
    }
}

#[tokio::test]
async fn permissive_reports_who_would_break_and_lets_it_pass() {
    let world = world(MtlsMode::Permissive);
    for _ in 0..5 {
        let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
    }
    let refused = world.codes().iter().filter(|c| *c == "certificate-refused").count();
    assert_eq!(refused, 1, "a report a minute, not one a request");
    assert_eq!(world.metric_lines().matches("MtlsWouldRefuse\":1.0").count(), 5);
    let other = shown(
        read_with(&token_of("svc.memory")),
        &certificate("x", &["spiffe://portcullis.internal/svc.bff"]),
        "",
    );
    let _ = allowed(&world.judge(&other).await);
    let events = world.audit.records();
    assert!(
        events.iter().any(|r| r.body().contains("certificate-of-another") && r.body().contains("permissive"))
    );
    let own = shown(
        read_with(&token_of("svc.bff")),
        &certificate("x", &["spiffe://portcullis.internal/svc.bff"]),
        "",
    );
    let before = world.codes().len();
    let _ = allowed(&world.judge(&own).await);
    assert!(!world.codes()[before..].contains(&"certificate-refused".to_owned()));
}

#[tokio::test]
async fn off_looks_at_no_certificate_that_nothing_is_bound_to() {
    let world = world(MtlsMode::Off);
    let request = shown(read_with(&token_of("svc.memory")), "rubbish", "");
    let _ = allowed(&world.judge(&request).await);
    assert!(!world.codes().contains(&"certificate-refused".to_owned()));
}

#[tokio::test]
async fn a_subject_names_an_identity_only_where_there_is_no_uri() {
    let file = include_str!("../../../../config/access/identities.yml").replace(
        "    spiffe_id: spiffe://portcullis.internal/svc.memory\n",
        "    tls_subject_dn: CN=svc.memory,O=Example\n",
    );
    for (label, uris, subject, passes) in [
        ("equal", &[][..], "CN=svc.memory,O=Example", true),
        ("longer", &[][..], "CN=svc.memory,O=Example Evil", false),
        ("another case", &[][..], "cn=svc.memory,O=Example", false),
        ("beside an unknown URI", &["spiffe://evil.example/x"][..], "CN=svc.memory,O=Example", false),
        ("empty", &[][..], "", false),
    ] {
        let world = World::with(|s| {
            s.settings.mtls = MtlsMode::Strict;
            s.identities = Identities::parse(&file).unwrap();
        });
        let request = shown(read_with(&token_of("svc.memory")), &certificate("svc.memory", uris), subject);
        assert_eq!(matches!(world.judge(&request).await, Verdict::Allow(_)), passes, "{label}");
    }
}

/// The connection is the acting client's, whoever the token is about.
#[tokio::test]
async fn an_exchanged_token_comes_with_its_client_s_certificate() {
    let world = world(MtlsMode::Strict);
    let delegated = with(claims("svc.memory"), "sub", json!("u-7"));
    let delegated = es256(&with(delegated, "act", json!({"sub": "svc.memory"})));
    let verdict = world.judge(&shown(read_with(&delegated), &certificate("x", &[MEMORY]), "")).await;
    let grant = allowed(&verdict);
    assert_eq!((grant.principal.as_str(), grant.value("actor")), ("u-7", Some("svc.memory")));
}

#[tokio::test]
async fn a_bound_token_needs_its_certificate_in_every_mode() {
    let pem = certificate("x", &[MEMORY]);
    let print = Thumbprint::of_certificate_pem(&pem).unwrap().to_string();
    let bound = es256(&with(claims("svc.memory"), "cnf", json!({"x5t#S256": print})));
    for mode in [MtlsMode::Off, MtlsMode::Permissive, MtlsMode::Strict] {
        let world = world(mode);
        let verdict = world.judge(&shown(read_with(&bound), &pem, "")).await;
        assert_eq!(allowed(&verdict).value("clientCertFingerprint"), Some(&*print), "{mode:?}");
        let other = shown(read_with(&bound), &certificate("x", &[MEMORY]), "");
        assert_eq!(world.judge(&other).await, Verdict::Unauthorized, "{mode:?}");
        assert_eq!(world.judge(&read_with(&bound)).await, Verdict::Unauthorized, "{mode:?}");
    }
    let keeping = World::with(|setup| setup.settings.answers_are_kept = true);
    let verdict = keeping.judge(&shown(read_with(&bound), &pem, "")).await;
    assert_eq!(verdict, Verdict::Unauthorized, "the answer would do for whoever has the token alone");
}

#[tokio::test]
async fn a_revoked_certificate_lets_nobody_in_whatever_certificates_are_for() {
    for mode in [MtlsMode::Off, MtlsMode::Permissive, MtlsMode::Strict] {
        let world = world(mode);
        let (pem, other) = (certificate("x", &[MEMORY]), certificate("x", &[MEMORY]));
        let request = || read_with(&token_of("svc.memory"));
        let _ = allowed(&world.judge(&shown(request(), &pem, "")).await);
        let target =
            RevocationTarget::Certificate { thumbprint: Thumbprint::of_certificate_pem(&pem).unwrap() };
        let revocation = Revocation { target, until: at(NOW + 600) };
        RevocationStore::add(&world.tokens, &revocation).await.unwrap();
        world.clock.advance(2_001);
        assert_eq!(world.judge(&shown(request(), &pem, "")).await, Verdict::Unauthorized, "{mode:?}");
        let record = world.last_record();
        assert!(record.contains("certificate-revoked") && record.contains("certificate-refused"), "{record}");
        let _ = allowed(&world.judge(&shown(request(), &other, "")).await);
    }
}

#[tokio::test]
async fn while_revocations_are_unknown_no_certificate_is_taken() {
    let world = world(MtlsMode::Off);
    world.tokens.fail(true);
    let request = shown(read_with("forged"), &certificate("x", &[MEMORY]), "");
    assert_eq!(world.judge(&request).await, Verdict::Unavailable);
}
