//! The classification file and what it decides.

use std::collections::BTreeSet;

use portcullis_pii::{Access, Class, ClassificationPolicy, Detector, PiiKind};
use proptest::prelude::*;

const SHIPPED: &str = include_str!("../../../config/classification.yaml");

#[test]
fn the_default_is_what_the_shipped_file_says() {
    assert_eq!(ClassificationPolicy::parse(SHIPPED).unwrap(), ClassificationPolicy::default());
}

#[test]
fn a_record_is_of_its_strictest_part() {
    let (policy, detector) = (ClassificationPolicy::default(), Detector::new());
    // label, fields, class, days, encrypted
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Class, u32, bool);
    let cases: &[Case<'_>] = &[
        ("no fields", &[], Class::Internal, 30, true),
        ("nothing found", &[("content", "oi, tudo bem?")], Class::Internal, 30, true),
        ("an e-mail", &[("content", "é ana@example.com")], Class::Pii, 7, true),
        ("a card", &[("content", "4111 1111 1111 1111")], Class::Sensitive, 7, true),
        ("a condition", &[("content", "tenho diabetes")], Class::Sensitive, 7, true),
        (
            "a card and an e-mail",
            &[("content", "ana@example.com 4111111111111111")],
            Class::Sensitive,
            7,
            true,
        ),
        ("named field", &[("name", "Ana")], Class::Pii, 7, true),
        ("named field in capitals", &[("Name", "Ana")], Class::Pii, 7, true),
        ("named field without content", &[("name", ""), ("content", "oi")], Class::Internal, 30, true),
        ("sensitive by name", &[("payment_info", "boleto")], Class::Sensitive, 7, true),
        ("internal by name", &[("session_id", "abc")], Class::Internal, 30, true),
        ("public by name", &[("product_info", "azul")], Class::Public, 30, false),
        ("public and unnamed", &[("product_info", "azul"), ("content", "oi")], Class::Internal, 30, true),
        ("public by name with a phone in it", &[("product_info", "+5511912345678")], Class::Pii, 7, true),
        ("two fields", &[("product_info", "x"), ("email", "y")], Class::Pii, 7, true),
    ];
    for (label, fields, class, days, encrypted) in cases {
        let found = policy.classify(&detector, fields.iter().copied());
        assert_eq!((found.class, found.retention_days), (*class, *days), "{label}");
        assert_eq!(found.encryption_required, *encrypted, "{label}");
        assert_eq!(found.pii_detected, *class >= Class::Pii, "{label}");
        assert_eq!(found.sensitive_detected, *class == Class::Sensitive, "{label}");
    }
}

#[test]
fn what_was_found_is_named() {
    let (policy, detector) = (ClassificationPolicy::default(), Detector::new());
    let found = policy.classify(&detector, [("a", "ana@example.com"), ("b", "ip 8.8.8.8")]);
    assert_eq!(found.kinds, BTreeSet::from([PiiKind::Email, PiiKind::Ipv4]));
    assert_eq!(found.access.get("auditor"), Some(&Access::Masked));
}

#[test]
fn a_role_sees_what_its_class_grants_and_nothing_else() {
    let policy = ClassificationPolicy::default();
    for class in [Class::Internal, Class::Pii, Class::Sensitive] {
        for (role, access) in [
            ("pii-reader", Access::Full),
            ("svc.memory", Access::Full),
            ("auditor", Access::Masked),
            ("svc.bff", Access::Masked),
            ("security-admin", Access::None),
            ("svc.analyst", Access::None),
            ("svc.optimizer", Access::None),
            ("svc.enterprise", Access::None),
            ("svc.actuator", Access::None),
            ("nobody", Access::None),
            ("", Access::None),
            ("PII-READER", Access::None),
        ] {
            assert_eq!(policy.access(class, role), access, "{role} {}", class.as_str());
        }
    }
    assert_eq!(policy.roles().count(), 9);
    assert!(policy.roles().all(|role| policy.access(Class::Public, role) == Access::Full));
    assert_eq!(policy.access(Class::Public, "nobody"), Access::None);
}

#[test]
fn names_of_classes_are_read_back() {
    assert!(Class::ALL.iter().all(|class| Class::parse(class.as_str()) == Some(*class)));
    assert_eq!(Class::parse("pii"), None);
}

#[test]
fn every_fault_of_a_file_is_refused_and_named() {
    // What is replaced in the shipped file, by what, and what the message must say.
    for (from, to, says) in [
        ("version: 1", "version: 2", "version is not 1"),
        ("version: 1", "", "version is missing"),
        ("unnamed: INTERNAL", "unnamed: OTHER", "unnamed is not one of the four classes"),
        ("unnamed: INTERNAL", "unnamed: INTERNAL\nextra: 1", "extra is unknown"),
        (
            "    retention_days: 30\n    encryption_required: true",
            "    retention_days: 0\n    encryption_required: true",
            "classes/INTERNAL/retention_days",
        ),
        (
            "    retention_days: 30\n    encryption_required: true",
            "    retention_days: 9999\n    encryption_required: true",
            "from 1 to 3650",
        ),
        ("encryption_required: false", "encryption_required: perhaps", "classes/PUBLIC/encryption_required"),
        (
            "encryption_required: false",
            "encryption_required: false\n    color: red",
            "classes/PUBLIC/color is unknown",
        ),
        ("read_masked: []", "read_masked: 7", "classes/PUBLIC/read_masked is not a list"),
        ("read_masked: []", "read_masked: [auditor]", "names the role auditor twice"),
        ("read_masked: []", "read_masked: ['a b']", "is no name"),
        ("read_masked: []", "read_masked: [7]", "no text"),
        ("  PUBLIC: [product_info", "  SECRET: [product_info", "\"SECRET\" is not one of the four classes"),
        ("  PUBLIC: [product_info", "  PUBLIC: [email, product_info", "email stands there twice"),
        ("kinds:\n  SENSITIVE: [card, ", "kinds:\n  SENSITIVE: [", "card has no class"),
        ("kinds:\n  SENSITIVE: [card, ", "kinds:\n  SENSITIVE: [card, passport, ", "passport is no kind"),
        (
            "fields:\n  SENSITIVE: [payment_info, health_data, biometric_data]\n",
            "fields: 7\nx:\n",
            "fields is not a mapping",
        ),
        ("version: 1", "version: 1\nversion: 1", "not YAML"),
        ("version: 1", "\t- {", "not YAML"),
    ] {
        assert!(SHIPPED.contains(from), "{from}");
        let error = ClassificationPolicy::parse(&SHIPPED.replacen(from, to, 1)).unwrap_err();
        assert!(error.to_string().contains(says), "{to:?}: {error}");
    }
    for (yaml, says) in [
        ("", "not a mapping"),
        ("[]", "not a mapping"),
        ("classes: 7", "classes is not a mapping"),
        ("7: 8", "no text"),
    ] {
        let error = ClassificationPolicy::parse(yaml).unwrap_err();
        assert!(error.to_string().contains(says), "{yaml:?}: {error}");
    }
    let long = format!("{SHIPPED}#{}", "x".repeat(64 * 1024));
    assert!(ClassificationPolicy::parse(&long).unwrap_err().to_string().contains("longer than"));
}

#[test]
fn all_faults_are_reported_at_once_with_their_lines() {
    let yaml =
        SHIPPED.replace("version: 1", "version: 3").replace("[card, health", "[card, passport, health");
    let error = ClassificationPolicy::parse(&yaml).unwrap_err();
    let line_of = |part: &str| yaml.lines().position(|line| line.contains(part)).map(|i| i + 1);
    let lines: Vec<_> = error.problems().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [line_of("version: 3"), line_of("passport")], "{error}");
}

#[test]
fn a_document_of_aliases_is_refused() {
    let mut yaml = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in
        ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"])
    {
        yaml.push_str(&format!(
            "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"
        ));
    }
    assert!(ClassificationPolicy::parse(&yaml).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(yaml in "(version: 1\n)?(classes:\n)?\\PC{0,80}(\n[a-z]{1,8}: [\\[{]\\PC{0,20})*") {
        if let Err(error) = ClassificationPolicy::parse(&yaml) {
            prop_assert!(!error.problems().is_empty());
        }
    }

    /// More text never makes a record less strict, kept longer or less protected.
    #[test]
    fn more_fields_are_never_less_strict(
        a in "[a-z@. 0-9]{1,40}", b in prop_oneof![Just("4111111111111111"), Just("ana@example.com"), Just("oi"), Just("tenho câncer")],
        name in prop_oneof![Just("email"), Just("product_info"), Just("content")],
    ) {
        let (policy, detector) = (ClassificationPolicy::default(), Detector::new());
        let one = policy.classify(&detector, [("content", a.as_str())]);
        let two = policy.classify(&detector, [("content", a.as_str()), (name, b)]);
        prop_assert!(two.class >= one.class);
        prop_assert!(two.retention_days <= one.retention_days);
        prop_assert!(two.encryption_required >= one.encryption_required);
        prop_assert!(two.kinds.is_superset(&one.kinds));
    }
}
