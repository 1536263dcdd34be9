//! Any bytes are a form or are refused; a form that is taken says what the URL standard's reader says, no name twice.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The room around it needs the whole token service; the reader needs nothing.
#[path = "../../../functions/sts/src/form.rs"]
mod form;

use form::{Form, FormError};

fuzz_target!(|body: &[u8]| {
    let pairs: Vec<_> = url::form_urlencoded::parse(body).collect();
    let repeated = (1..pairs.len()).any(|n| pairs[..n].iter().any(|(name, _)| *name == pairs[n].0));
    match Form::parse(body) {
        Ok(form) => {
            assert!(!repeated && pairs.len() <= 32, "a form that others read otherwise");
            for (name, value) in &pairs {
                let expected = Some(&**value).filter(|value| !value.is_empty());
                assert_eq!(form.value(name), expected, "{name}");
                assert!(!name.contains(char::is_control) && !value.contains(char::is_control));
            }
            assert_eq!(form.value("a name that no text has\n"), None);
        }
        Err(FormError::Repeated) => assert!(repeated),
        Err(FormError::TooMany) => assert!(pairs.len() > 32),
        Err(FormError::Malformed) => {}
    }
});
