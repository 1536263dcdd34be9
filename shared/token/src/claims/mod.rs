//! What a token says (RFC 7519, RFC 9068, RFC 8693 `act`, RFC 7800 `cnf`), every part of it bounded.

mod date;
mod read;
mod write;

use std::collections::BTreeMap;
use std::fmt;

pub use date::NumericDate;

use crate::Thumbprint;

/// The claims of a token. Having them says nothing of their truth: see [`crate::VerifiedToken`].
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// Who issued it: compared byte for byte.
    pub iss: String,
    /// Whom it is about.
    pub sub: String,
    /// Whom it is for: one or several.
    pub aud: Vec<String>,
    /// When it ends.
    pub exp: NumericDate,
    /// Before when it must not be taken.
    pub nbf: Option<NumericDate>,
    /// When it was issued.
    pub iat: Option<NumericDate>,
    /// Its own name.
    pub jti: Option<String>,
    /// The client that asked for it (RFC 8693 section 4.3).
    pub client_id: Option<String>,
    /// What it may be used for (RFC 6749 section 3.3).
    pub scope: Scope,
    /// Roles of the subject (RFC 9068 section 2.2.3.1).
    pub roles: Vec<String>,
    /// The refresh-token family that it stems from, so that revoking the family reaches it.
    pub sid: Option<String>,
    /// The key or certificate that whoever shows it must hold.
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject (RFC 8693 section 4.1).
    pub act: Option<Box<Actor>>,
    /// All other claims.
    pub other: BTreeMap<String, serde_json::Value>,
}

impl Claims {
    /// Claims with nothing but who, whom for, and until when.
    pub fn new(
        iss: impl Into<String>,
        sub: impl Into<String>,
        aud: impl Into<String>,
        exp: NumericDate,
    ) -> Self {
        Self {
            iss: iss.into(),
            sub: sub.into(),
            aud: vec![aud.into()],
            exp,
            nbf: None,
            iat: None,
            jti: None,
            client_id: None,
            scope: Scope::default(),
            roles: Vec::new(),
            sid: None,
            cnf: None,
            act: None,
            other: BTreeMap::new(),
        }
    }
}

/// A set of scopes, in the order given, none twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Parses a space-delimited list; repeated scopes count once.
    ///
    /// # Errors
    /// When a scope holds characters that RFC 6749 section 3.3 does not allow, or there are too many or too long ones.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let mut scopes: Vec<String> = Vec::new();
        if text.is_empty() {
            return Ok(Self(scopes));
        }
        for scope in text.split(' ') {
            if !is_scope(scope) || scopes.len() >= MAX_SCOPES {
                return Err(ScopeError);
            }
            if !scopes.iter().any(|s| s == scope) {
                scopes.push(scope.to_owned());
            }
        }
        Ok(Self(scopes))
    }

    /// Whether it holds that scope.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|s| s == scope)
    }

    /// Those of `asked` that are also here: a request narrows, it never widens.
    #[must_use]
    pub fn narrowed_to(&self, asked: &Self) -> Self {
        Self(asked.0.iter().filter(|s| self.contains(s)).cloned().collect())
    }

    /// Those that `keep` keeps.
    #[must_use]
    pub fn kept(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|scope| keep(scope));
        self
    }

    /// The scopes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// A scope list is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scope is malformed")]
pub struct ScopeError;

/// The confirmation of RFC 7800: what the presenter must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confirmation {
    /// The thumbprint of the key that signs DPoP proofs (RFC 9449 section 6.1).
    pub jkt: Option<Thumbprint>,
    /// The thumbprint of the client certificate (RFC 8705 section 3.1).
    pub x5t_s256: Option<Thumbprint>,
    /// It names a member that is not known here: such a token is never taken.
    pub(crate) unknown: bool,
}

impl Confirmation {
    /// Bound to a DPoP key.
    pub fn dpop(jkt: Thumbprint) -> Self {
        Self { jkt: Some(jkt), ..Self::default() }
    }

    /// Bound to a client certificate.
    pub fn certificate(x5t_s256: Thumbprint) -> Self {
        Self { x5t_s256: Some(x5t_s256), ..Self::default() }
    }
}

/// Who acts, and for whom that one acts in turn (RFC 8693 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The acting subject.
    pub sub: String,
    /// Its issuer, where it is another.
    pub iss: Option<String>,
    /// Who acted before it: history, never a reason to allow anything.
    pub act: Option<Box<Actor>>,
}

fn is_scope(scope: &str) -> bool {
    let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !scope.is_empty() && scope.len() <= MAX_SCOPE && scope.bytes().all(allowed)
}

/// Whether a name may enter decisions and logs: not empty, not long, no control characters and none that hide
/// themselves or turn the text around.
pub(crate) fn is_plain(text: &str) -> bool {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    if text.is_empty() || text.len() > MAX_TEXT {
        return false;
    }
    // Of ASCII only the control characters hide.
    if text.is_ascii() { !text.bytes().any(|b| b.is_ascii_control()) } else { !text.chars().any(hidden) }
}

const MAX_TEXT: usize = 512;
const MAX_SCOPE: usize = 128;
const MAX_SCOPES: usize = 64;
const MAX_LIST: usize = 32;
const MAX_ACTORS: usize = 4;
