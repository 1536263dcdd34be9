//! A header that is taken for Basic credentials holds exactly the two halves that come out of it, and credentials written
//! by the book are read back.
#![no_main]

use base64::prelude::{BASE64_STANDARD, Engine};
use libfuzzer_sys::fuzz_target;
use portcullis_base::ExposeSecret;

// The rooms around them need the whole token service; the readers need nothing.
#[path = "../../../functions/sts/src/client/basic.rs"]
mod basic;
#[path = "../../../functions/sts/src/form.rs"]
#[expect(dead_code, reason = "the token service uses all of it")]
mod form;

use basic::Basic;

fuzz_target!(|text: &str| {
    if let Some(Basic { id, secret }) = Basic::parse(text) {
        assert!(text.len() <= 6 + 2048 && text[..6].eq_ignore_ascii_case("basic "));
        assert!(!id.contains(char::is_control) && !secret.expose_secret().contains(char::is_control));
        // By the book it may be longer than it was, and too long.
        if let Some(again) = Basic::parse(&written(&id, secret.expose_secret())) {
            assert_eq!((&again.id, again.secret.expose_secret()), (&id, secret.expose_secret()));
        }
    }
    let (id, secret) = text.split_once('\n').unwrap_or((text, ""));
    let header = written(id, secret);
    let plain = !id.contains(char::is_control) && !secret.contains(char::is_control);
    match Basic::parse(&header) {
        Some(read) => assert!(plain && read.id == id && read.secret.expose_secret() == secret),
        None => assert!(!plain || header.len() > 6 + 2048),
    }
});

fn written(id: &str, secret: &str) -> String {
    let half = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", half(id), half(secret))))
}
