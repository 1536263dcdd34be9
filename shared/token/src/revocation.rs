//! Revocation: which tokens are dead before their time.

use std::collections::HashMap;
use std::future::Future;
use std::iter::successors;

use portcullis_base::Timestamp;

use crate::{Claims, Family, StoreError, Thumbprint, TokenError};

/// One revocation. It is kept until the last token that it hits has expired by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// What it hits.
    pub target: RevocationTarget,
    /// Until when it is kept.
    pub until: Timestamp,
}

/// What a revocation hits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// The token of that issuer with that `jti`.
    Token {
        /// Its `iss`.
        iss: String,
        /// Its `jti`.
        jti: String,
    },
    /// Every token of a refresh-token family (`sid`).
    Family {
        /// The family.
        sid: String,
    },
    /// Every token issued before a time that is about that subject, was given to it as a client (`client_id`), or is used by
    /// it in another's name (`act`): a user's "log out everywhere", a service's lost secret.
    Subject {
        /// The issuer that gave it this name.
        iss: String,
        /// Its name.
        sub: String,
        /// Tokens with an `iat` before this, or with none, are dead.
        before: Timestamp,
    },
    /// A client certificate: nobody gets in with it, and no token that is bound to it is taken.
    Certificate {
        /// Its SHA-256 (RFC 8705 section 3.1).
        thumbprint: Thumbprint,
    },
}

/// The revocations that matter now, bounded.
#[derive(Debug, Clone, Default)]
pub struct RevocationList {
    tokens: HashMap<(String, String), Timestamp>,
    families: HashMap<String, Timestamp>,
    subjects: HashMap<(String, String), (Timestamp, Timestamp)>,
    certificates: HashMap<Thumbprint, Timestamp>,
}

impl RevocationList {
    /// The most entries that are held.
    pub const MAX_ENTRIES: usize = 100_000;

    /// Adds a revocation; a longer one of the same target stays.
    ///
    /// # Errors
    /// When the list is full: the caller must then refuse what it cannot check, or prune first.
    pub fn add(&mut self, revocation: Revocation) -> Result<(), RevocationFull> {
        if self.len() >= Self::MAX_ENTRIES {
            return Err(RevocationFull);
        }
        let until = revocation.until;
        match revocation.target {
            RevocationTarget::Token { iss, jti } => {
                later(self.tokens.entry((iss, jti)).or_insert(until), until);
            }
            RevocationTarget::Family { sid } => later(self.families.entry(sid).or_insert(until), until),
            RevocationTarget::Subject { iss, sub, before } => {
                let entry = self.subjects.entry((iss, sub)).or_insert((before, until));
                later(&mut entry.0, before);
                later(&mut entry.1, until);
            }
            RevocationTarget::Certificate { thumbprint } => {
                later(self.certificates.entry(thumbprint).or_insert(until), until);
            }
        }
        Ok(())
    }

    /// Forgets what has expired.
    pub fn prune(&mut self, now: Timestamp) {
        self.tokens.retain(|_, until| *until > now);
        self.families.retain(|_, until| *until > now);
        self.subjects.retain(|_, (_, until)| *until > now);
        self.certificates.retain(|_, until| *until > now);
    }

    /// Whether a token is still good.
    ///
    /// # Errors
    /// [`TokenError::Revoked`].
    pub fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        let by_token = || {
            let jti = claims.jti.clone()?;
            self.tokens.get(&(claims.iss.clone(), jti))
        };
        let by_family = || self.families.get(claims.sid.as_ref()?);
        // `iat` counts whole seconds: a token of the very second is dead as well.
        let issued = claims.iat.map_or(i64::MIN, |iat| iat.millis());
        let by_certificate = || self.certificates.get(&claims.cnf?.x5t_s256?);
        let hit = (!self.tokens.is_empty() && by_token().is_some())
            || (!self.families.is_empty() && by_family().is_some())
            || self.hits_anyone(claims, issued)
            || (!self.certificates.is_empty() && by_certificate().is_some());
        if hit { Err(TokenError::Revoked) } else { Ok(()) }
    }

    /// Whether a session of that issuer still goes on: neither its subject nor the client that holds it was revoked since it
    /// began.
    ///
    /// # Errors
    /// [`TokenError::Revoked`].
    pub fn check_session(&self, iss: &str, family: &Family) -> Result<(), TokenError> {
        let names = [&family.subject, &family.client_id];
        let hit = names.into_iter().any(|name| self.hits_subject(iss, name, family.created_at));
        if hit { Err(TokenError::Revoked) } else { Ok(()) }
    }

    /// Whether a client certificate is still good.
    ///
    /// # Errors
    /// [`TokenError::Revoked`].
    pub fn check_certificate(&self, thumbprint: &Thumbprint) -> Result<(), TokenError> {
        if self.certificates.contains_key(thumbprint) { Err(TokenError::Revoked) } else { Ok(()) }
    }

    /// Whoever a token is about, was given to or is used by: a client that was broken into may hold tokens in the names of
    /// all its users.
    fn hits_anyone(&self, claims: &Claims, since: i64) -> bool {
        let iss = claims.iss.as_str();
        let actors = successors(claims.act.as_deref(), |actor| actor.act.as_deref());
        let actors = actors.map(|actor| (actor.iss.as_deref().unwrap_or(iss), actor.sub.as_str()));
        let client = claims.client_id.iter().map(|client| (iss, client.as_str()));
        let mut names = std::iter::once((iss, claims.sub.as_str())).chain(client).chain(actors);
        !self.subjects.is_empty() && names.any(|(iss, name)| self.hits_subject(iss, name, since))
    }

    fn hits_subject(&self, iss: &str, sub: &str, since: i64) -> bool {
        let found = || self.subjects.get(&(iss.to_owned(), sub.to_owned()));
        !self.subjects.is_empty() && found().is_some_and(|(before, _)| since < before.as_millisecond())
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.tokens.len() + self.families.len() + self.subjects.len() + self.certificates.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn later(kept: &mut Timestamp, other: Timestamp) {
    *kept = (*kept).max(other);
}

/// The revocation list is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revocation list is full")]
pub struct RevocationFull;

/// Where revocations are kept, in the order in which they came.
pub trait RevocationStore: Send + Sync {
    /// Adds a revocation. Adding it twice does no harm.
    fn add(&self, revocation: &Revocation) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What came after `cursor` (from the start where there is none), and the cursor for the next call.
    fn since(&self, cursor: Option<&str>) -> impl Future<Output = Result<RevocationPage, StoreError>> + Send;
}

/// Revocations that came after a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationPage {
    /// The revocations.
    pub items: Vec<Revocation>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// Whether there is more at once.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Confirmation, NumericDate};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            jti: Some("t-1".into()),
            sid: Some("f-1".into()),
            cnf: Some(Confirmation::certificate(thumbprint("ours"))),
            iat: NumericDate::from_seconds(1_000),
            ..Claims::new("https://a", "svc.bff", "api", NumericDate::from_seconds(2_000).unwrap())
        }
    }

    fn thumbprint(certificate: &str) -> Thumbprint {
        Thumbprint::of_certificate_der(certificate.as_bytes())
    }

    fn certificate(name: &str) -> RevocationTarget {
        RevocationTarget::Certificate { thumbprint: thumbprint(name) }
    }

    fn token(iss: &str, jti: &str) -> RevocationTarget {
        RevocationTarget::Token { iss: iss.into(), jti: jti.into() }
    }

    fn family(subject: &str, client: &str, began: i64) -> Family {
        Family {
            subject: subject.into(),
            client_id: client.into(),
            scope: String::new(),
            created_at: began * 1_000,
            rotated_at: 1_900_000,
            generation: 3,
            current: Vec::new(),
            revoked: false,
        }
    }

    fn actor(sub: &str, iss: Option<&str>, act: Option<Box<Actor>>) -> Option<Box<Actor>> {
        Some(Box::new(Actor { sub: sub.into(), iss: iss.map(Into::into), act }))
    }

    fn subject(iss: &str, sub: &str, before: Timestamp) -> RevocationTarget {
        RevocationTarget::Subject { iss: iss.into(), sub: sub.into(), before }
    }

    fn list(target: RevocationTarget) -> RevocationList {
        let mut list = RevocationList::default();
        list.add(Revocation { target, until: at(2_000) }).unwrap();
        list
    }

    #[test]
    fn what_each_target_hits() {
        let family = |sid: &str| RevocationTarget::Family { sid: sid.into() };
        let just_after = Timestamp::from_millisecond(1_000_500).unwrap();
        for (label, target, hit) in [
            ("the token", token("https://a", "t-1"), true),
            ("another token", token("https://a", "t-2"), false),
            ("the same name of another issuer", token("https://b", "t-1"), false),
            ("the family", family("f-1"), true),
            ("another family", family("f-2"), false),
            ("the subject, issued before", subject("https://a", "svc.bff", at(1_001)), true),
            ("the subject, issued in that second", subject("https://a", "svc.bff", just_after), true),
            ("the subject, issued after", subject("https://a", "svc.bff", at(1_000)), false),
            ("another subject", subject("https://a", "svc.memory", at(1_001)), false),
            ("the subject of another issuer", subject("https://b", "svc.bff", at(1_001)), false),
            ("the certificate that it is bound to", certificate("ours"), true),
            ("another certificate", certificate("another"), false),
        ] {
            assert_eq!(list(target).check(&claims()).is_err(), hit, "{label}");
        }
        assert_eq!(RevocationList::default().check(&claims()), Ok(()));
    }

    #[test]
    fn a_certificate_and_a_session_are_judged_without_a_token() {
        let by_certificate = list(certificate("ours"));
        assert_eq!(by_certificate.check_certificate(&thumbprint("ours")), Err(TokenError::Revoked));
        assert_eq!(by_certificate.check_certificate(&thumbprint("another")), Ok(()));
        assert_eq!(list(token("https://a", "ours")).check_certificate(&thumbprint("ours")), Ok(()));
        let unbound = Claims { cnf: None, ..claims() };
        assert_eq!(by_certificate.check(&unbound), Ok(()), "a token that is bound to nothing");

        let ended = list(subject("https://a", "svc.bff", at(1_000)));
        for (label, iss, sub, client, began, expected) in [
            ("began before", "https://a", "svc.bff", "svc.bff", 999, Err(TokenError::Revoked)),
            ("held in another's name", "https://a", "idp:user-7", "svc.bff", 999, Err(TokenError::Revoked)),
            ("held by another", "https://a", "svc.bff", "svc.memory", 999, Err(TokenError::Revoked)),
            ("began then", "https://a", "svc.bff", "svc.bff", 1_000, Ok(())),
            ("another subject and client", "https://a", "idp:user-7", "svc.memory", 999, Ok(())),
            ("another issuer", "https://b", "svc.bff", "svc.bff", 999, Ok(())),
        ] {
            assert_eq!(ended.check_session(iss, &family(sub, client, began)), expected, "{label}");
        }
        let mut later = ended;
        later.prune(at(2_000));
        assert!(later.is_empty());
    }

    #[test]
    fn tokens_in_other_names_end_with_whoever_holds_or_uses_them() {
        let chain = actor("svc.memory", None, actor("gateway", Some("https://b"), None));
        let held =
            Claims { sub: "idp:user-7".into(), client_id: Some("svc.bff".into()), act: chain, ..claims() };
        for (label, target, hit) in [
            ("the client", subject("https://a", "svc.bff", at(1_001)), true),
            ("the client, issued after", subject("https://a", "svc.bff", at(1_000)), false),
            ("a client of that name of another issuer", subject("https://b", "svc.bff", at(1_001)), false),
            ("who acts", subject("https://a", "svc.memory", at(1_001)), true),
            ("who acts, issued after", subject("https://a", "svc.memory", at(1_000)), false),
            ("who acted before, of another issuer", subject("https://b", "gateway", at(1_001)), true),
            ("one of that name here", subject("https://a", "gateway", at(1_001)), false),
            ("whom it is about", subject("https://a", "idp:user-7", at(1_001)), true),
            ("somebody else", subject("https://a", "svc.actuator", at(1_001)), false),
        ] {
            assert_eq!(list(target).check(&held).is_err(), hit, "{label}");
        }
    }

    #[test]
    fn token_that_hides_its_age_counts_as_old() {
        let undated = Claims { iat: None, ..claims() };
        assert!(list(subject("https://a", "svc.bff", at(1))).check(&undated).is_err());
    }

    #[test]
    fn later_and_longer_entry_wins_in_either_order() {
        for order in [[1_500, 500], [500, 1_500]] {
            let mut list = RevocationList::default();
            for before in order {
                let target = subject("https://a", "svc.bff", at(before));
                list.add(Revocation { target, until: at(before + 1_000) }).unwrap();
            }
            list.prune(at(2_000));
            assert!(list.check(&claims()).is_err(), "{order:?}");
            list.prune(at(2_500));
            assert!(list.is_empty(), "{order:?}");
        }
    }

    #[test]
    fn full_list_says_so() {
        let mut list = RevocationList::default();
        for i in 0..RevocationList::MAX_ENTRIES {
            list.add(Revocation { target: token("a", &i.to_string()), until: at(1) }).unwrap();
        }
        let one_more = Revocation { target: token("a", "x"), until: at(1) };
        assert_eq!(list.add(one_more.clone()), Err(RevocationFull));
        list.prune(at(1));
        assert_eq!(list.add(one_more), Ok(()));
    }
}
