//! What client certificates say, and which say nothing.

use portcullis_base::Timestamp;
use portcullis_token::{ClientCertificate, ClientCertificateError, Thumbprint};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};

const URI: &str = "spiffe://example.org/svc.actuator";

fn made(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut params = CertificateParams::new(vec!["svc.internal".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

#[test]
fn name_life_and_thumbprint_are_read_from_pem_and_der_alike() {
    let certificate = made(|p| p.subject_alt_names.push(uri(URI)));
    let from_pem = ClientCertificate::from_pem(&certificate.pem()).unwrap();
    assert_eq!(ClientCertificate::from_der(certificate.der()), Ok(from_pem.clone()));
    assert_eq!(from_pem.spiffe_id(), Some(URI));
    assert_eq!(from_pem.thumbprint(), Thumbprint::of_certificate_der(certificate.der()));
    assert!(!from_pem.serial().is_empty() && !from_pem.issuer().is_empty());
    for (label, at, valid) in [
        ("before", "2025-12-31T23:59:59Z", false),
        ("from the first second on", "2026-01-01T00:00:00Z", true),
        ("to the last", "2027-01-01T00:00:00Z", true),
        ("after", "2027-01-01T00:00:01Z", false),
    ] {
        assert_eq!(from_pem.is_valid_at(at.parse::<Timestamp>().unwrap()), valid, "{label}");
    }
    assert_eq!(ClientCertificate::from_pem(&made(|_| {}).pem()).unwrap().spiffe_id(), None);
}

#[test]
fn certificates_that_name_no_client() {
    let two = made(|p| p.subject_alt_names.extend([uri(URI), uri("spiffe://example.org/svc.bff")]));
    let ca = made(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let server = made(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let both = made(|p| {
        p.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    });
    let good = made(|_| {}).pem();
    for (label, pem, expected) in [
        ("two uris", two.pem(), Err(ClientCertificateError::SeveralUris)),
        ("a ca", ca.pem(), Err(ClientCertificateError::Usage)),
        ("a server alone", server.pem(), Err(ClientCertificateError::Usage)),
        ("server and client", both.pem(), Ok(())),
        ("empty", String::new(), Err(ClientCertificateError::Malformed)),
        ("two of them", good.repeat(2), Err(ClientCertificateError::Malformed)),
        ("a key", KeyPair::generate().unwrap().serialize_pem(), Err(ClientCertificateError::Malformed)),
        ("cut short", good[..good.len() / 2].to_owned(), Err(ClientCertificateError::Malformed)),
    ] {
        assert_eq!(ClientCertificate::from_pem(&pem).map(drop), expected, "{label}");
    }
    let trailing = [made(|_| {}).der().as_ref(), b"x"].concat();
    assert_eq!(ClientCertificate::from_der(&trailing), Err(ClientCertificateError::Malformed));
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512), text in ".{0,200}") {
        let _verdicts = (ClientCertificate::from_der(&bytes), ClientCertificate::from_pem(&text));
    }
}
