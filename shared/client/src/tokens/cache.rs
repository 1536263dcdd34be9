//! The token in hand: one request at a time for a new one, before the old one ends.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_base::{Clock, Timestamp};

use super::{AccessToken, Grant};
use crate::client::Via;
use crate::error::ClientError;
use crate::pacing::{Pacing, after};

/// Where tokens come from. One call is one request.
pub(crate) trait TokenFetcher: Send + Sync {
    fn fetch(&self, via: &Via) -> impl Future<Output = Result<Grant, ClientError>> + Send;
}

/// Keeps a token and renews it.
///
/// While one caller renews a token that is still good the others go on with it; without a good one they wait for that one
/// caller. A token service that fails is left alone for a while: with a good token in hand nobody notices. One that hangs
/// costs one caller its patience before it is left alone too.
#[derive(Debug)]
pub(crate) struct TokenCache<F, C, P> {
    fetcher: F,
    clock: C,
    pacing: P,
    /// How long the renewal of a token that is still good may hold up the call that does it.
    patience: Duration,
    state: Mutex<State>,
    flight: async_lock::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    trouble: Option<Trouble>,
    /// When a refused token was last replaced before its time.
    forced_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Held {
    token: Arc<AccessToken>,
    /// The connections that it was got over: it may be bound to their certificate.
    generation: u64,
    since: Timestamp,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Trouble {
    error: ClientError,
    failures: u32,
    quiet_until: Timestamp,
}

/// What there is to do about a token.
enum Look {
    Good(Arc<AccessToken>),
    /// Good, and due for renewal.
    Due(Arc<AccessToken>),
    None,
    /// None, and it is too early to ask again.
    Quiet(ClientError),
}

impl<F: TokenFetcher, C: Clock, P: Pacing> TokenCache<F, C, P> {
    /// A cache for calls that may take `timeout`: waiting for a token's renewal leaves them half of it at least.
    pub(crate) fn new(fetcher: F, clock: C, pacing: P, timeout: Duration) -> Self {
        let patience = (timeout / 2).min(MAX_PATIENCE);
        let (state, flight) = (Mutex::default(), async_lock::Mutex::new(()));
        Self { fetcher, clock, pacing, patience, state, flight }
    }

    /// A token that is good now.
    pub(crate) async fn current(&self, via: &Via) -> Result<Arc<AccessToken>, ClientError> {
        match self.look(via) {
            Look::Good(token) => Ok(token),
            Look::Quiet(error) => Err(error),
            Look::Due(token) => match self.flight.try_lock() {
                None => Ok(token),
                Some(_turn) => Ok(self.renew_in_time(via).await.unwrap_or(token)),
            },
            Look::None => {
                let _turn = self.flight.lock().await;
                // Whoever waited here for another's request looks anew: mostly there is nothing left to ask for.
                match self.look(via) {
                    Look::Good(token) | Look::Due(token) => Ok(token),
                    Look::Quiet(error) => Err(error),
                    Look::None => self.insist(via).await,
                }
            }
        }
    }

    /// A token in place of one that a service refused; `None` if there is none better to be had just now.
    pub(crate) async fn instead_of(&self, refused: &Arc<AccessToken>, via: &Via) -> Option<Arc<AccessToken>> {
        let _turn = self.flight.lock().await;
        match self.look(via) {
            Look::Good(token) | Look::Due(token) if !Arc::ptr_eq(&token, refused) => return Some(token),
            Look::Quiet(_) => return None,
            _ => {}
        }
        let now = self.clock.now();
        let early = |at: Timestamp| now >= at && now < after(at, FORCE_INTERVAL);
        if self.state().forced_at.replace(now).is_some_and(early) {
            // A service that refuses every token must not make us ask for one at each request.
            return None;
        }
        self.renew(via).await.ok()
    }

    fn look(&self, via: &Via) -> Look {
        let now = self.clock.now();
        let state = self.state();
        // A clock that went back must not make the pause longer.
        let trouble = state.trouble.filter(|t| now < t.quiet_until && after(now, MAX_QUIET) >= t.quiet_until);
        let held = state.held.as_ref().filter(|held| held.is_good(via, now));
        match (held, trouble) {
            (Some(held), None) if now >= held.renew_at => Look::Due(Arc::clone(&held.token)),
            (Some(held), _) => Look::Good(Arc::clone(&held.token)),
            (None, Some(trouble)) => Look::Quiet(trouble.error),
            (None, None) => Look::None,
        }
    }

    /// Asks several times: without a token nothing goes on. A refusal is final.
    async fn insist(&self, via: &Via) -> Result<Arc<AccessToken>, ClientError> {
        let mut span = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.attempt(via).await {
                Err(ClientError::TokenUnavailable) => self.pacing.pause(self.pacing.jitter(span)).await,
                Err(error) => return Err(self.note(error)),
                good => return good,
            }
            span *= 2;
        }
        self.renew(via).await
    }

    /// Asks once, and not for long. `None`: the token in hand has to do.
    async fn renew_in_time(&self, via: &Via) -> Option<Arc<AccessToken>> {
        let mut unanswered = Unanswered { cache: self, is_answered: false };
        let answer = tokio::time::timeout(self.patience, self.renew(via)).await.ok()?;
        unanswered.is_answered = true;
        answer.ok()
    }

    /// Asks once.
    async fn renew(&self, via: &Via) -> Result<Arc<AccessToken>, ClientError> {
        self.attempt(via).await.map_err(|error| self.note(error))
    }

    async fn attempt(&self, via: &Via) -> Result<Arc<AccessToken>, ClientError> {
        // The life counts from before the request: the answer may have been long on its way.
        let since = self.clock.now();
        let grant = self.fetcher.fetch(via).await?;
        let margin = (grant.lifetime / 4).min(MAX_MARGIN) + self.pacing.jitter(grant.lifetime / 10);
        let token = Arc::new(grant.token);
        let mut state = self.state();
        state.trouble = None;
        state.held = Some(Held {
            token: Arc::clone(&token),
            generation: via.generation,
            since,
            renew_at: after(since, grant.lifetime.saturating_sub(margin)),
            ends_at: after(since, grant.lifetime.saturating_sub((grant.lifetime / 10).min(SAFETY))),
        });
        Ok(token)
    }

    fn note(&self, error: ClientError) -> ClientError {
        self.leave_alone(error, Timestamp::MAX);
        error
    }

    fn leave_alone(&self, error: ClientError, at_most_until: Timestamp) {
        let now = self.clock.now();
        let failures = self.state().trouble.map_or(0, |t| t.failures);
        let span = FIRST_QUIET.saturating_mul(1 << failures.min(8)).min(MAX_QUIET) / 2;
        let quiet_until = after(now, span + self.pacing.jitter(span)).min(at_most_until);
        self.state().trouble = Some(Trouble { error, failures: failures.saturating_add(1), quiet_until });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// A clock that went back behind its beginning says nothing of its end.
    fn is_good(&self, via: &Via, now: Timestamp) -> bool {
        self.generation == via.generation && now >= self.since && now < self.ends_at
    }
}

/// A renewal under way: dropped without an answer, because it took too long or the call around it was given up, it counts
/// as a failure, or the next caller would hang as well.
struct Unanswered<'a, F: TokenFetcher, C: Clock, P: Pacing> {
    cache: &'a TokenCache<F, C, P>,
    is_answered: bool,
}

impl<F: TokenFetcher, C: Clock, P: Pacing> Drop for Unanswered<'_, F, C, P> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        // Calls are given up for other reasons too: once the token in hand has ended the service is asked all the same.
        let ends_at = self.cache.state().held.as_ref().map_or(Timestamp::MAX, |held| held.ends_at);
        self.cache.leave_alone(ClientError::TokenUnavailable, ends_at);
    }
}

/// How long a call waits at most for a renewal that it could do without.
const MAX_PATIENCE: Duration = Duration::from_secs(1);
/// Requests for a token while there is none.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A token is renewed a quarter of its life before its end, at most this much, and a random tenth earlier.
const MAX_MARGIN: Duration = Duration::from_secs(60);
/// It is no longer used a tenth of its life before its end, at most this much: a request takes time to arrive.
const SAFETY: Duration = Duration::from_secs(5);
/// For how long a failing token service is left alone: doubled at each failure, half of it by chance.
const FIRST_QUIET: Duration = Duration::from_secs(1);
const MAX_QUIET: Duration = Duration::from_secs(30);
/// The least time between two tokens that replace refused ones.
const FORCE_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
