//! Event in, answer out.

use portcullis_base::Clock;
use portcullis_lambda::{Failure, Handler, Invocation, Reading};

use crate::judge::Judge;
use crate::once::Once;
use crate::{AuthorizerEvent, Parts, Ports, Request, Verdict, answer};

/// The authorizer over its adapters.
pub struct AuthorizerFunction<P: Ports>(Judge<P>);

impl<P: Ports> AuthorizerFunction<P> {
    /// The function, made of these parts.
    pub fn new(parts: Parts<P>) -> Self {
        Self(Judge { parts, recorded: Once::default() })
    }

    /// Judges a request: what the local stack asks in the gateway's place.
    pub async fn judge(&self, request: &Request<'_>) -> Verdict {
        let began = self.0.parts.clock.now();
        let verdict = self.0.judge(request).await;
        let ended = self.0.parts.clock.now();
        let millis = ended.as_millisecond().saturating_sub(began.as_millisecond());
        // Far below the 2^53 from which on whole numbers are not exact.
        let millis = u32::try_from(millis).map_or(f64::from(u32::MAX), f64::from);
        let readings = [Reading::count("Decisions", 1.0), Reading::millis("Latency", millis)];
        self.0.parts.metrics.emit(ended, &[("Verdict", verdict.as_str())], &readings);
        verdict
    }

    /// Whether a request is for a route that no authorizer stands before.
    pub fn is_public(&self, method: &str, path: &str) -> bool {
        self.0.parts.guard.routes().find(method, path).is_some_and(|route| route.action().is_none())
    }
}

impl<P: Ports> Handler for AuthorizerFunction<P> {
    async fn handle(&self, event: &[u8], _: &Invocation) -> Result<Vec<u8>, Failure> {
        let Ok(event) = AuthorizerEvent::parse(event) else { return Err(NOT_OURS) };
        let Some(arn) = event.arn() else { return Err(NOT_OURS) };
        let settings = &self.0.parts.settings;
        let verdict = self.judge(&event.request(&arn, settings.public_url.as_deref())).await;
        answer::of(&verdict, &arn, &self.0.parts.guard, settings)
    }
}

const NOT_OURS: Failure =
    Failure { kind: "UnknownEvent", message: "the event is not that of a REQUEST authorizer" };
