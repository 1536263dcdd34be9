use std::future::Future;
use std::time::Duration;

use portcullis_base::Timestamp;

use super::{FamilyId, RefreshToken};
use crate::StoreError;
use crate::time::{after, between};

/// How families of one kind of identity live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilyPolicy {
    /// From the first token to the last, however often it is rotated.
    pub lifetime: Duration,
    /// How long a token that went unused is good.
    pub idle: Duration,
    /// How long the token before the current one is still taken: an honest client may have lost the answer.
    pub grace: Duration,
}

/// What is kept of a family.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Who it is about.
    pub subject: String,
    /// The client that it was given to: nobody else may use it.
    pub client_id: String,
    /// The scope that was granted, which a refresh may narrow.
    pub scope: String,
    /// Milliseconds since the epoch.
    pub created_at: i64,
    /// Of the last rotation; milliseconds since the epoch.
    pub rotated_at: i64,
    /// Of the tokens that are current.
    pub generation: u32,
    /// The fingerprints of the tokens that are current: one, or some more after retries within the grace window.
    pub current: Vec<String>,
    /// Whether it is dead.
    pub revoked: bool,
}

/// What to do about a token that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// Make the token of the next generation, and store [`Family::rotated`].
    Rotate,
    /// Shown again within the grace window: make another token of the current generation, and store
    /// [`Family::with_sibling`].
    Again,
}

/// Why a refresh is refused. RFC 6749 answers all of them with `invalid_grant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FamilyError {
    /// A token was used twice: somebody stole it. Store [`Family::killed`], revoke the family's access tokens, and write
    /// the audit event.
    #[error("refresh token was reused")]
    Reused,
    /// Shown again within the grace window, and more often than a client retries. It may be a client in a loop: the
    /// family lives on. A thief gets nothing, and is found out when the window has passed.
    #[error("refresh token was retried too often")]
    Exhausted,
    /// The family is dead already.
    #[error("refresh token family is revoked")]
    Revoked,
    /// It came to its end.
    #[error("refresh token has expired")]
    Expired,
    /// It was given to another client.
    #[error("refresh token belongs to another client")]
    Client,
    /// It is of a generation or number that was never given out: a write that lost a race, or a restored table.
    #[error("refresh token is unknown")]
    Unknown,
}

impl Family {
    /// A family with its first token.
    pub fn new(subject: &str, client_id: &str, scope: &str, first: &RefreshToken, now: Timestamp) -> Self {
        Self {
            subject: subject.to_owned(),
            client_id: client_id.to_owned(),
            scope: scope.to_owned(),
            created_at: now.as_millisecond(),
            rotated_at: now.as_millisecond(),
            generation: first.generation(),
            current: vec![first.fingerprint()],
            revoked: false,
        }
    }

    /// Decides about a token of this family.
    ///
    /// # Errors
    /// See [`FamilyError`]. Another client's attempt does not kill the family: it shows a leak, but not that the holder
    /// lost anything but a token that is useless to others.
    pub fn present(
        &self,
        token: &RefreshToken,
        client_id: &str,
        policy: &FamilyPolicy,
        now: Timestamp,
    ) -> Result<Presented, FamilyError> {
        if self.revoked {
            return Err(FamilyError::Revoked);
        }
        if self.client_id != client_id {
            return Err(FamilyError::Client);
        }
        let rotated_at = time(self.rotated_at);
        let is_previous = token.generation().checked_add(1) == Some(self.generation);
        if token.generation() < self.generation {
            let in_grace = is_previous && between(rotated_at, now) < policy.grace && now < self.ends(policy);
            return match in_grace {
                true if self.current.len() < MAX_SIBLINGS => Ok(Presented::Again),
                true => Err(FamilyError::Exhausted),
                false => Err(FamilyError::Reused),
            };
        }
        if token.generation() > self.generation || !self.current.contains(&token.fingerprint()) {
            return Err(FamilyError::Unknown);
        }
        if now >= self.ends(policy) { Err(FamilyError::Expired) } else { Ok(Presented::Rotate) }
    }

    /// When it can no longer be refreshed: the record may go then, for a token of a record that is gone is unknown.
    pub fn ends(&self, policy: &FamilyPolicy) -> Timestamp {
        after(time(self.created_at), policy.lifetime).min(after(time(self.rotated_at), policy.idle))
    }

    /// The generation of the next token, or `None` after four billion rotations.
    pub fn next_generation(&self) -> Option<u32> {
        self.generation.checked_add(1)
    }

    /// The family after [`Presented::Rotate`].
    #[must_use]
    pub fn rotated(&self, next: &RefreshToken, now: Timestamp) -> Self {
        Self {
            rotated_at: now.as_millisecond(),
            generation: next.generation(),
            current: vec![next.fingerprint()],
            ..self.clone()
        }
    }

    /// The family after [`Presented::Again`]. The window does not start anew.
    #[must_use]
    pub fn with_sibling(&self, sibling: &RefreshToken) -> Self {
        let mut family = self.clone();
        family.current.push(sibling.fingerprint());
        family
    }

    /// The family, dead.
    #[must_use]
    pub fn killed(&self) -> Self {
        Self { revoked: true, current: Vec::new(), ..self.clone() }
    }
}

/// Where families are kept.
pub trait RefreshFamilies: Send + Sync {
    /// The record of a family.
    fn load(&self, id: FamilyId) -> impl Future<Output = Result<Option<Family>, StoreError>> + Send;

    /// Adds a family, to be kept until `until`.
    fn create(
        &self,
        id: FamilyId,
        family: &Family,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Replaces a record that is still as it was read. `false`: it is not; load it again and decide anew.
    fn replace(
        &self,
        id: FamilyId,
        seen: &Family,
        next: &Family,
        until: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MIN)
}

// Enough for a client that retries, too few to farm tokens from a stolen one.
const MAX_SIBLINGS: usize = 4;
