//! What is done to what: the one name that scopes, policies and routes share.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// An action, `verb:object`, such as `read:signals` or `read:conversations.masked`. The scope of that name allows to
/// ask for it; a policy permits it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Action(String);

impl Action {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is done: `read`, `write`, `execute`, ….
    pub fn verb(&self) -> &str {
        self.0.split_once(':').map_or("", |(verb, _)| verb)
    }

    /// To what.
    pub fn object(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, object)| object)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let (verb, object) = text.split_once(':').ok_or(ActionError)?;
        let word = |w: &str| {
            w.starts_with(|c: char| c.is_ascii_lowercase())
                && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
        };
        if text.len() > MAX_LEN || !word(verb) || !word(object) {
            return Err(ActionError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Action {
    type Error = ActionError;

    fn try_from(text: String) -> Result<Self, ActionError> {
        text.parse()
    }
}

/// Not of the form of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an action of the form `verb:object` in lower case, at most 64 bytes")]
pub struct ActionError;

const MAX_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_verb_and_an_object() {
        for (text, parts) in [
            ("read:signals", Some(("read", "signals"))),
            ("read:conversations.masked", Some(("read", "conversations.masked"))),
            ("execute:external", Some(("execute", "external"))),
            ("", None),
            ("read", None),
            ("read:", None),
            (":signals", None),
            ("read:a:b", None),
            ("Read:signals", None),
            ("read: signals", None),
            ("read:*", None),
            ("read:\"a\"", None),
            ("read:.a", None),
        ] {
            let action = text.parse::<Action>().ok();
            assert_eq!(action.as_ref().map(|a| (a.verb(), a.object())), parts, "{text}");
        }
        assert!(format!("read:{}", "a".repeat(60)).parse::<Action>().is_err());
    }
}
