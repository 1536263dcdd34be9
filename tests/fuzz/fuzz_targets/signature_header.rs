//! No header but the right one, in either case of its hex digits, makes a body Meta's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_webhook::{AppSecrets, sign, verify};

fuzz_target!(|input: (&str, &[u8])| {
    let (header, body) = input;
    let right = sign(body, b"fuzz");
    let taken = verify(body, Some(header), &AppSecrets::new(b"fuzz", Some(b"before"))).is_ok();
    let before = sign(body, b"before");
    let same = |a: &str| header.strip_prefix("sha256=").is_some_and(|hex| hex.eq_ignore_ascii_case(&a[7..]));
    assert_eq!(taken, same(&right) || same(&before));
    assert!(verify(body, Some(&right), &AppSecrets::new(b"other", None)).is_err());
});
