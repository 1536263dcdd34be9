//! RFC 5869, appendix A (HKDF-SHA256) and RFC 4231 (HMAC-SHA256).

use portcullis_pii::envelope::hazmat::{Mac, Prk};

#[test]
fn hkdf_matches_rfc_5869() {
    let sequence = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let table = [
        (
            "A.1",
            vec![0x0b; 22],
            sequence(0x00, 0x0c),
            sequence(0xf0, 0xf9),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            "A.2",
            sequence(0x00, 0x4f),
            sequence(0x60, 0xaf),
            sequence(0xb0, 0xff),
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
             da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            "A.3",
            vec![0x0b; 22],
            vec![],
            vec![],
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ];
    for (name, ikm, salt, info, prk, okm) in table {
        let extracted = Mac::new(&salt).tag(&[&ikm]);
        assert_eq!(hex::encode(extracted), prk, "{name}: PRK");
        let mut expanded = vec![0; okm.len() / 2];
        Prk::new(&extracted).expand(&info, &mut expanded).unwrap();
        assert_eq!(hex::encode(expanded), okm, "{name}: OKM");
    }
}

#[test]
fn hmac_matches_rfc_4231() {
    let long_key = b"This is a test using a larger than block-size key and a larger than block-size data. \
        The key needs to be hashed before being used by the HMAC algorithm.";
    let table: [(&str, Vec<u8>, &[u8], &str); 7] = [
        (
            "1",
            vec![0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            "2",
            b"Jefe".to_vec(),
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            "3",
            vec![0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            "4",
            (1..=25).collect(),
            &[0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        ("5, truncated", vec![0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
        (
            "6",
            vec![0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        ("7", vec![0xaa; 131], long_key, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ];
    for (name, key, message, tag) in table {
        let made = hex::encode(Mac::new(&key).tag(&[message]));
        assert_eq!(made.get(..tag.len()), Some(tag), "case {name}");
    }
}
