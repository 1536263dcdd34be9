//! The token: given, or earned by an AppRole login and kept alive.

use async_lock::Mutex;
use portcullis_base::{Clock, ExposeSecret, SecretString};
use portcullis_secrets::SecretError;
use serde::Deserialize;

use crate::VaultAuth;
use crate::wire::{Body, Wire};

/// Hands out a token that is valid as far as is known.
#[derive(Debug)]
pub(crate) struct Session<C> {
    auth: VaultAuth,
    clock: C,
    lease: Mutex<Option<Lease>>,
}

/// A token of our own.
#[derive(Debug, Clone)]
struct Lease {
    token: SecretString,
    /// Seconds since the Unix epoch.
    since: i64,
    /// Seconds; 0: it does not expire.
    duration: i64,
    renewable: bool,
}

impl<C: Clock> Session<C> {
    /// Logs in when a token is first asked for, not now.
    pub(crate) fn new(auth: VaultAuth, clock: C) -> Self {
        Self { auth, clock, lease: Mutex::new(None) }
    }

    /// The token to use now. Whoever logs in or renews holds the lock: the others wait for the same token.
    pub(crate) async fn token(&self, wire: &Wire) -> Result<SecretString, SecretError> {
        if let VaultAuth::Token(token) = &self.auth {
            return Ok(token.clone());
        }
        let mut lease = self.lease.lock().await;
        let now = self.clock.now().as_second();
        let held = lease.take().filter(|held| !held.expired(now));
        let fresh = match held {
            Some(held) if !held.due(now) => held,
            Some(held) => self.renewed(held, wire).await?,
            None => self.login(wire).await?,
        };
        let token = fresh.token.clone();
        *lease = Some(fresh);
        Ok(token)
    }

    /// A token in place of one that was refused; `None` if there can be no other.
    pub(crate) async fn instead_of(
        &self,
        refused: &SecretString,
        wire: &Wire,
    ) -> Result<Option<SecretString>, SecretError> {
        if matches!(self.auth, VaultAuth::Token(_)) {
            return Ok(None);
        }
        let mut lease = self.lease.lock().await;
        let same = |held: &Lease| held.token.expose_secret() == refused.expose_secret();
        if lease.as_ref().is_none_or(same) {
            // A token of this very second was not revoked: the role may not read, and a login would not help.
            let now = self.clock.now().as_second();
            if lease.as_ref().is_some_and(|held| now.saturating_sub(held.since) < RELOGIN_AFTER) {
                return Ok(None);
            }
            *lease = None;
            *lease = Some(self.login(wire).await?);
        }
        Ok(lease.as_ref().map(|held| held.token.clone()))
    }

    /// Renewed, or still the old one where Vault cannot renew now, or a new login where it will not.
    async fn renewed(&self, held: Lease, wire: &Wire) -> Result<Lease, SecretError> {
        if !held.renewable {
            return self.login(wire).await;
        }
        let path = ["auth", "token", "renew-self"];
        match wire.post("renew", Some(&held.token), &path, &serde_json::json!({})).await {
            Ok(body) => {
                let renewed = self.lease_from(&body)?;
                // At its maximum age a token is renewed for ever shorter times: better a new one.
                let short = renewed.duration != 0 && renewed.duration < held.duration / 2;
                if short { self.login(wire).await } else { Ok(renewed) }
            }
            Err(SecretError::Unavailable) => Ok(held),
            Err(_) => self.login(wire).await,
        }
    }

    async fn login(&self, wire: &Wire) -> Result<Lease, SecretError> {
        let VaultAuth::AppRole { mount, role_id, secret_id } = &self.auth else {
            return Err(SecretError::Denied);
        };
        let body = serde_json::json!({ "role_id": role_id, "secret_id": secret_id.expose_secret() });
        let path: Vec<&str> = ["auth"].into_iter().chain(mount.split('/')).chain(["login"]).collect();
        let body = wire.post("login", None, &path, &body).await.map_err(|error| match error {
            // No such mount: not the secret that is missing, but our way in.
            SecretError::NotFound => SecretError::Denied,
            other => other,
        })?;
        self.lease_from(&body)
    }

    fn lease_from(&self, body: &Body) -> Result<Lease, SecretError> {
        let answer: Answer = serde_json::from_slice(body).map_err(|_| SecretError::Malformed)?;
        Ok(Lease {
            token: answer.auth.client_token,
            since: self.clock.now().as_second(),
            duration: answer.auth.lease_duration.into(),
            renewable: answer.auth.renewable,
        })
    }
}

impl Lease {
    fn expired(&self, now: i64) -> bool {
        self.duration != 0 && !(0..self.duration).contains(&(now - self.since))
    }

    /// Whether two thirds of its time are over.
    fn due(&self, now: i64) -> bool {
        self.duration != 0 && (now - self.since) * 3 >= self.duration * 2
    }
}

#[derive(Deserialize)]
struct Answer {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(deserialize_with = "secret")]
    client_token: SecretString,
    lease_duration: u32,
    renewable: bool,
}

fn secret<'de, D: serde::Deserializer<'de>>(d: D) -> Result<SecretString, D::Error> {
    String::deserialize(d).map(SecretString::from)
}

/// Seconds within which a refused token is not replaced by another login.
const RELOGIN_AFTER: i64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_at_two_thirds_and_dropped_at_its_end() {
        let cases = [
            ("new", 90, 0, false, false),
            ("just before two thirds", 90, 59, false, false),
            ("two thirds", 90, 60, true, false),
            ("last second", 90, 89, true, false),
            ("over", 90, 90, true, true),
            ("a clock that went back proves nothing", 90, -1, false, true),
            ("without an end", 0, 1_000_000, false, false),
        ];
        for (label, duration, age, due, expired) in cases {
            let lease = Lease { token: SecretString::from("t"), since: 1_000, duration, renewable: true };
            assert_eq!((lease.due(1_000 + age), lease.expired(1_000 + age)), (due, expired), "{label}");
        }
    }
}
