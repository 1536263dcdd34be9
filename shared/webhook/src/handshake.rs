//! Meta's handshake: proof, when the webhook is set up, that the endpoint knows the agreed token.
//!
//! <https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests>

use std::fmt;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use subtle::{Choice, ConstantTimeEq};

/// The verify tokens that are valid now. Only their digests are kept.
pub struct VerifyTokens {
    current: Digest,
    previous: Option<Digest>,
}

impl VerifyTokens {
    /// `previous` is still accepted while a rotation is under way.
    pub fn new(current: &str, previous: Option<&str>) -> Self {
        Self { current: digest_of(current), previous: previous.map(digest_of) }
    }

    /// Compares digests: neither the content nor the length of a token shows in the time taken.
    fn accept(&self, token: &str) -> bool {
        let given = digest_of(token);
        let previous = self.previous.as_ref().map_or(Choice::from(0), |p| same(p, &given));
        (same(&self.current, &given) | previous).into()
    }
}

impl fmt::Debug for VerifyTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyTokens").field("previous", &self.previous.is_some()).finish_non_exhaustive()
    }
}

/// The query parameters of the handshake, decoded.
#[derive(Clone, Copy, Default)]
pub struct Handshake<'a> {
    /// `hub.mode`
    pub mode: Option<&'a str>,
    /// `hub.verify_token`
    pub token: Option<&'a str>,
    /// `hub.challenge`
    pub challenge: Option<&'a str>,
}

impl<'a> Handshake<'a> {
    /// The challenge to answer with.
    ///
    /// # Errors
    /// When the mode is not `subscribe`, the token is not one of `tokens`, or the challenge is missing, longer than
    /// 1024 characters or not printable ASCII.
    pub fn answer(&self, tokens: &VerifyTokens) -> Result<&'a str, HandshakeRefused> {
        let known = self.token.is_some_and(|token| tokens.accept(token));
        let challenge = self.challenge.filter(|c| printable(c));
        match challenge {
            Some(challenge) if known && self.mode == Some("subscribe") => Ok(challenge),
            _ => Err(HandshakeRefused),
        }
    }
}

impl Handshake<'_> {
    /// Whether it has all three parameters: only then may another token be the answer.
    pub const fn is_complete(&self) -> bool {
        self.mode.is_some() && self.token.is_some() && self.challenge.is_some()
    }
}

impl fmt::Debug for Handshake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// The handshake is not Meta's, or not for this endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("handshake refused")]
pub struct HandshakeRefused;

fn digest_of(token: &str) -> Digest {
    digest(&SHA256, token.as_bytes())
}

fn same(a: &Digest, b: &Digest) -> Choice {
    a.as_ref().ct_eq(b.as_ref())
}

/// The challenge is echoed: nothing goes back that could break out of a text/plain answer.
fn printable(challenge: &str) -> bool {
    (1..=MAX_CHALLENGE).contains(&challenge.len()) && challenge.bytes().all(|b| (b' '..=b'~').contains(&b))
}

// Meta sends ten digits.
const MAX_CHALLENGE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions() {
        let long = "7".repeat(1025);
        let longest = "7".repeat(1024);
        for (label, mode, token, challenge, accepted) in [
            ("as Meta sends it", Some("subscribe"), Some("new"), Some("1158201444"), true),
            ("previous token", Some("subscribe"), Some("old"), Some("1158201444"), true),
            ("longest challenge", Some("subscribe"), Some("new"), Some(&*longest), true),
            ("nothing at all", None, None, None, false),
            ("no mode", None, Some("new"), Some("1"), false),
            ("another mode", Some("unsubscribe"), Some("new"), Some("1"), false),
            ("mode in capitals", Some("SUBSCRIBE"), Some("new"), Some("1"), false),
            ("no token", Some("subscribe"), None, Some("1"), false),
            ("empty token", Some("subscribe"), Some(""), Some("1"), false),
            ("wrong token", Some("subscribe"), Some("nee"), Some("1"), false),
            ("prefix of the token", Some("subscribe"), Some("ne"), Some("1"), false),
            ("token and more", Some("subscribe"), Some("new "), Some("1"), false),
            ("token in capitals", Some("subscribe"), Some("NEW"), Some("1"), false),
            ("no challenge", Some("subscribe"), Some("new"), None, false),
            ("empty challenge", Some("subscribe"), Some("new"), Some(""), false),
            ("challenge too long", Some("subscribe"), Some("new"), Some(&*long), false),
            ("line break", Some("subscribe"), Some("new"), Some("1\r\nX: y"), false),
            ("not ASCII", Some("subscribe"), Some("new"), Some("é"), false),
        ] {
            let answer = Handshake { mode, token, challenge }.answer(&VerifyTokens::new("new", Some("old")));
            assert_eq!(answer.is_ok(), accepted, "{label}");
            if accepted {
                assert_eq!(answer.ok(), challenge, "{label}");
            }
        }
    }

    #[test]
    fn previous_token_ends_with_the_rotation() {
        let shake = Handshake { mode: Some("subscribe"), token: Some("old"), challenge: Some("1") };
        assert_eq!(shake.answer(&VerifyTokens::new("new", None)), Err(HandshakeRefused));
    }

    #[test]
    fn debug_output_shows_no_token() {
        let shake = Handshake { mode: Some("subscribe"), token: Some("s3cret"), challenge: Some("1") };
        let shown = format!("{shake:?} {:?}", VerifyTokens::new("s3cret", None));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
