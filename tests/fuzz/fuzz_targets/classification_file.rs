//! Any text is a classification policy or is refused with a reason; one that is taken shows nothing to a role that it
//! does not name, and more data never makes a lower class or a longer retention.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_pii::{Access, Class, ClassificationPolicy, Detector};

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::new);

fuzz_target!(|text: &str| {
    let policy = match ClassificationPolicy::parse(text) {
        Ok(policy) => policy,
        Err(error) => return assert!(!error.problems().is_empty()),
    };
    let stranger = "a role that no policy names";
    if policy.roles().all(|role| role != stranger) {
        assert!(Class::ALL.into_iter().all(|class| policy.access(class, stranger) == Access::None));
    }
    let less = policy.classify(&DETECTOR, [("note", "hello")]);
    let more =
        policy.classify(&DETECTOR, [("note", "hello"), ("email", "ana@example.com, 4111 1111 1111 1111")]);
    assert!(less.class <= more.class && less.retention_days >= more.retention_days);
    assert!(!less.encryption_required || more.encryption_required);
});
