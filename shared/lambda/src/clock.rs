use portcullis_base::{Clock, Timestamp};

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the ambient clock becomes a `Clock`")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
