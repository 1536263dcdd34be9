//! What was said a moment ago and need not be said again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_base::Timestamp;

/// Remembers texts until a time, within a bound. What is forgotten early is said once more: never the other way.
#[derive(Debug, Default)]
pub(crate) struct Once(Mutex<HashMap<String, Timestamp>>);

impl Once {
    /// Whether this was noted before and still holds.
    pub(crate) fn knows(&self, text: &str, now: Timestamp) -> bool {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(text).is_some_and(|until| now < *until)
    }

    /// Notes it.
    pub(crate) fn note(&self, text: String, until: Timestamp, now: Timestamp) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= MAX {
            noted.retain(|_, until| now < *until);
        }
        if noted.len() >= MAX {
            noted.clear();
        }
        noted.insert(text, until);
    }
}

const MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_until_its_time_and_bounded() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let once = Once::default();
        once.note("a".to_owned(), at(10), at(0));
        assert!(once.knows("a", at(9)) && !once.knows("a", at(10)) && !once.knows("b", at(0)));
        for i in 0..MAX + 10 {
            once.note(i.to_string(), at(100), at(0));
        }
        assert!(once.0.lock().unwrap().len() <= MAX);
    }
}
