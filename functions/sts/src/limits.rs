//! Rates and locks: how often anybody may ask, and how often guess.

use std::num::NonZeroU32;

use portcullis_audit::Kind;
use portcullis_base::Timestamp;
use portcullis_limit::{Basis, LimitKey, Quota};
use portcullis_token::Lockouts as _;

use crate::Ports;
use crate::context::Context;
use crate::refusal::Refusal;

/// Before anything is read: the address.
pub(crate) async fn check_address<P: Ports>(context: &mut Context<'_, P>) -> Result<(), Refusal> {
    let (key, quota) = (LimitKey::address(context.request.address), context.parts.settings.address_rate);
    check(context, &key, &quota, "address-rate").await
}

/// After authentication, so that nobody uses up another's rate: the client.
pub(crate) async fn check_client<P: Ports>(
    context: &mut Context<'_, P>,
    client: &str,
) -> Result<(), Refusal> {
    let settings = &context.parts.settings;
    let (key, quota) = (LimitKey::principal(settings.issuer.as_str(), client), settings.client_rate);
    check(context, &key, &quota, "client-rate").await
}

async fn check<P: Ports>(
    context: &mut Context<'_, P>,
    key: &LimitKey,
    quota: &Quota,
    reason: &'static str,
) -> Result<(), Refusal> {
    let decision = context.parts.limiter.check(key, quota, NonZeroU32::MIN).await;
    match decision.retry_after_secs() {
        None => Ok(()),
        Some(_) if decision.basis == Basis::FailedClosed => Err(Refusal::Unavailable),
        Some(seconds) => {
            // A refusal that is remembered calls no store. A flood of them must stay cheap for the audit trail too.
            if context.is_first_in_a_while() {
                context.note(context.event(Kind::RateLimited, &context.caller).reason(reason));
            }
            context.count("RateLimited");
            Err(Refusal::TooMany(seconds))
        }
    }
}

/// The lock of a client's secret at an address.
pub(crate) struct Lock {
    key: String,
    /// There are failures to forget when it authenticates.
    had_failures: bool,
}

impl Lock {
    /// Looks whether the client is locked out at this address.
    ///
    /// What is refused here was not checked and is not counted: a lock ends however often somebody knocks.
    pub(crate) async fn check<P: Ports>(context: &Context<'_, P>, client: &str) -> Result<Self, Refusal> {
        let parts = context.parts;
        let key = key(context, client);
        let failures = parts.lockouts.load(&key).await?;
        match failures.and_then(|f| parts.settings.lockout.locked_until(&f, context.now)) {
            Some(until) => Err(Refusal::TooMany(seconds_until(until, context.now))),
            None => Ok(Self { key, had_failures: failures.is_some() }),
        }
    }

    /// Counts a failure.
    pub(crate) async fn failed<P: Ports>(self, context: &mut Context<'_, P>) -> Result<(), Refusal> {
        let policy = context.parts.settings.lockout;
        let forget_at = policy.forget_at(context.now);
        let failures = context.parts.lockouts.add(&self.key, context.now, forget_at).await?;
        if policy.locked_until(&failures, context.now).is_some() {
            context.count("Lockouts");
            let event = context.event(Kind::ClientLockedOut, &context.caller);
            context.note(event.detail("failures", &failures.count.to_string()));
        }
        Ok(())
    }

    /// Forgets the failures: the client is who it says.
    pub(crate) async fn succeeded<P: Ports>(self, context: &Context<'_, P>) -> Result<(), Refusal> {
        if self.had_failures {
            context.parts.lockouts.clear(&self.key).await?;
        }
        Ok(())
    }
}

/// Client and address under the hashing key: bounded, and neither of them to be read from it.
fn key<P: Ports>(context: &Context<'_, P>, client: &str) -> String {
    let owner = format!("lockout:{}", LimitKey::address(context.request.address));
    context.parts.hasher.hash(&owner, &client.to_owned().into()).to_hex()
}

fn seconds_until(until: Timestamp, now: Timestamp) -> u64 {
    let millis = until.as_millisecond().saturating_sub(now.as_millisecond());
    u64::try_from(millis).unwrap_or(0).div_ceil(1000).max(1)
}
