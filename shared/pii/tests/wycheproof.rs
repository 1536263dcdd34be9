//! Project Wycheproof's vectors, run through the very functions that the envelope is made of.

#![expect(clippy::panic, reason = "test support: a panic is a failed test")]

use portcullis_pii::envelope::hazmat::{Gcm, Mac, Prk, same};
use wycheproof::{TestResult, aead, hkdf, mac};

#[test]
fn hmac_sha256_accepts_every_valid_tag_and_no_other() {
    let (mut valid, mut invalid) = (0, 0);
    for group in mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let tag = Mac::new(&test.key).tag(&[&test.msg]);
            let wanted = group.tag_size / 8;
            let accepted = test.tag.len() == wanted && same(&tag[..wanted], &test.tag);
            assert_eq!(accepted, test.result == TestResult::Valid, "test {}: {}", test.tc_id, test.comment);
            count(test.result, &mut valid, &mut invalid);
        }
    }
    assert_eq!((valid, invalid), (66, 108), "vectors of the set");
}

#[test]
fn hmac_sha256_does_not_depend_on_how_a_message_is_split() {
    for group in mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let mac = Mac::new(&test.key);
            let (a, b) = test.msg.split_at(test.msg.len() / 2);
            assert_eq!(mac.tag(&[a, b]), mac.tag(&[&test.msg]), "test {}", test.tc_id);
        }
    }
}

#[test]
fn aes_256_gcm_opens_every_valid_ciphertext_and_no_other() {
    let (mut valid, mut invalid, mut other_sizes) = (0, 0, 0);
    for group in aead::TestSet::load(aead::TestName::AesGcm).unwrap().test_groups {
        let ours = (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128);
        for test in group.tests {
            // The type of a key and of a nonce already excludes every other size.
            let (Ok(key), Ok(nonce), true) = (test.key[..].try_into(), test.nonce[..].try_into(), ours)
            else {
                other_sizes += 1;
                continue;
            };
            let (gcm, sealed) = (Gcm::new(key).unwrap(), [&test.ct[..], &test.tag].concat());
            let mut opened = b"before".to_vec();
            let good = test.result == TestResult::Valid;
            assert_eq!(
                gcm.open(nonce, &test.aad, &sealed, &mut opened).is_some(),
                good,
                "test {}",
                test.tc_id
            );
            let left: &[u8] = if good { &test.pt } else { b"" };
            assert_eq!(opened, [b"before", left].concat(), "test {}: {}", test.tc_id, test.comment);

            let mut made = b"before".to_vec();
            gcm.seal(nonce, &test.aad, &test.pt, &mut made).unwrap();
            assert_eq!(
                made == [b"before", &sealed[..]].concat(),
                good,
                "test {}: {}",
                test.tc_id,
                test.comment
            );
            count(test.result, &mut valid, &mut invalid);
        }
    }
    assert_eq!((valid, invalid, other_sizes), (39, 27, 250), "vectors of the set");
}

#[test]
fn hkdf_sha256_gives_every_valid_output_and_refuses_impossible_lengths() {
    let (mut valid, mut invalid) = (0, 0);
    for group in hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap().test_groups {
        for test in group.tests {
            // The extract step is one HMAC (RFC 5869, section 2.2). The envelope has no use for it: its keys are random.
            let prk = Prk::new(&Mac::new(&test.salt).tag(&[&test.ikm]));
            let mut okm = vec![0; test.size];
            let expanded = prk.expand(&test.info, &mut okm).is_ok();
            let good = test.result == TestResult::Valid;
            assert_eq!(expanded && okm == test.okm[..], good, "test {}: {}", test.tc_id, test.comment);
            assert_eq!(expanded, good, "test {}: an impossible length is an error", test.tc_id);
            count(test.result, &mut valid, &mut invalid);
        }
    }
    assert_eq!((valid, invalid), (83, 3), "vectors of the set");
}

fn count(result: TestResult, valid: &mut u32, invalid: &mut u32) {
    match result {
        TestResult::Valid => *valid += 1,
        TestResult::Invalid => *invalid += 1,
        TestResult::Acceptable => panic!("a vector that may go either way tells nothing"),
    }
}
