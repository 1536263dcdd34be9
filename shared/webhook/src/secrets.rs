//! The webhook's secret: one JSON object with the three values that the validator needs.

use portcullis_base::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::ZeroizeOnDrop;

use crate::{AppSecrets, ConversationKey, VerifyTokens};

/// The webhook's secret, parsed once and ready for use.
#[derive(Debug)]
pub struct WebhookSecrets {
    /// For [`crate::verify`].
    pub app: AppSecrets,
    /// For [`crate::Handshake::answer`].
    pub tokens: VerifyTokens,
    /// For [`crate::route`].
    pub conversations: ConversationKey,
}

impl WebhookSecrets {
    /// Parses `{"app_secret", "verify_token", "conversation_key"}`; other members are left alone.
    ///
    /// Of the previous version only the app secret and the verify token count: pseudonyms come from the current one.
    /// A previous version that cannot be read counts as absent, so that an old mistake does not refuse good messages.
    ///
    /// # Errors
    /// When the current version lacks a value, has an empty one, or its conversation key is shorter than 32 bytes.
    pub fn parse(current: &SecretString, previous: Option<&SecretString>) -> Result<Self, SecretFormatError> {
        let now = Document::parse(current).ok_or(SecretFormatError)?;
        let before = previous.and_then(Document::parse);
        let before = before.as_ref();
        Ok(Self {
            app: AppSecrets::new(now.app_secret.as_bytes(), before.map(|b| b.app_secret.as_bytes())),
            tokens: VerifyTokens::new(&now.verify_token, before.map(|b| b.verify_token.as_str())),
            conversations: ConversationKey::new(now.conversation_key.as_bytes())
                .map_err(|_| SecretFormatError)?,
        })
    }
}

/// The webhook's secret does not have the expected form. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("webhook secret is malformed")]
pub struct SecretFormatError;

/// The document, wiped when dropped.
#[derive(Deserialize, ZeroizeOnDrop)]
struct Document {
    app_secret: String,
    verify_token: String,
    conversation_key: String,
}

impl Document {
    fn parse(secret: &SecretString) -> Option<Self> {
        let document: Self = serde_json::from_str(secret.expose_secret()).ok()?;
        // An empty secret would let anyone sign, an empty token let anyone subscribe.
        let complete = !document.app_secret.is_empty() && !document.verify_token.is_empty();
        complete.then_some(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Handshake, Party, sign, verify};

    fn secret(app: &str, token: &str, key: &str) -> SecretString {
        format!(r#"{{"app_secret":"{app}","verify_token":"{token}","conversation_key":"{key}","note":"x"}}"#)
            .into()
    }

    fn accepts(secrets: &WebhookSecrets, app: &str) -> bool {
        verify(b"{}", Some(&sign(b"{}", app.as_bytes())), &secrets.app).is_ok()
    }

    fn welcomes(secrets: &WebhookSecrets, token: &str) -> bool {
        Handshake { mode: Some("subscribe"), token: Some(token), challenge: Some("1") }
            .answer(&secrets.tokens)
            .is_ok()
    }

    #[test]
    fn both_versions_count_but_pseudonyms_come_from_the_current_one() {
        let now = secret("a2", "t2", &"k".repeat(32));
        let before = secret("a1", "t1", &"j".repeat(32));
        let both = WebhookSecrets::parse(&now, Some(&before)).unwrap();
        let one = WebhookSecrets::parse(&now, None).unwrap();
        for (label, app, token, during, after) in [
            ("current", "a2", "t2", true, true),
            ("previous", "a1", "t1", true, false),
            ("other", "a0", "t0", false, false),
        ] {
            assert_eq!((accepts(&both, app), welcomes(&both, token)), (during, during), "{label}");
            assert_eq!((accepts(&one, app), welcomes(&one, token)), (after, after), "{label}");
        }
        let of = |s: &WebhookSecrets| s.conversations.pseudonym("1", Party::User("2"));
        assert_eq!(of(&both), of(&one));
    }

    #[test]
    fn malformed_current_version_is_refused() {
        let good_key = "k".repeat(32);
        for (label, text) in [
            ("empty", String::new()),
            ("not an object", "\"a\"".to_owned()),
            (
                "empty app secret",
                format!(r#"{{"app_secret":"","verify_token":"t","conversation_key":"{good_key}"}}"#),
            ),
            (
                "empty token",
                format!(r#"{{"app_secret":"a","verify_token":"","conversation_key":"{good_key}"}}"#),
            ),
            ("no token", format!(r#"{{"app_secret":"a","conversation_key":"{good_key}"}}"#)),
            ("no key", r#"{"app_secret":"a","verify_token":"t"}"#.to_owned()),
            ("short key", r#"{"app_secret":"a","verify_token":"t","conversation_key":"k"}"#.to_owned()),
            ("number", format!(r#"{{"app_secret":1,"verify_token":"t","conversation_key":"{good_key}"}}"#)),
        ] {
            assert_eq!(WebhookSecrets::parse(&text.into(), None).unwrap_err(), SecretFormatError, "{label}");
        }
    }

    #[test]
    fn malformed_previous_version_counts_as_absent() {
        let now = secret("a2", "t2", &"k".repeat(32));
        for text in ["", "{}", r#"{"app_secret":"","verify_token":"","conversation_key":""}"#] {
            let secrets = WebhookSecrets::parse(&now, Some(&text.to_owned().into())).unwrap();
            assert!(accepts(&secrets, "a2") && !accepts(&secrets, "") && !welcomes(&secrets, ""));
        }
    }
}
