//! When a request is sent again, and after what pause.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};
use portcullis_base::Timestamp;

use crate::error::ClientError;
use crate::pacing::Pacing;

/// How often and how patiently a request is sent again. Only requests that may be repeated are: idempotent methods, and
/// those that the caller declares to be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// The longest first pause; it doubles with each attempt, and the pause itself is random up to it.
    pub base: Duration,
    /// The longest pause of all.
    pub cap: Duration,
    /// The longest `Retry-After` that is waited for. Longer ones end the call: its answer goes to the caller.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(2),
            max_retry_after: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// The pause before the next attempt; `None`: the outcome stands.
    pub(super) fn pause<P: Pacing>(
        &self,
        attempt: u32,
        idempotent: bool,
        outcome: &Result<reqwest::Response, ClientError>,
        now: Timestamp,
        pacing: &P,
    ) -> Option<Duration> {
        let may_pass = match outcome {
            Ok(answer) => matches!(answer.status().as_u16(), 429 | 502 | 503 | 504),
            Err(error) => matches!(error, ClientError::Connect),
        };
        if !may_pass || !idempotent || attempt >= self.attempts {
            return None;
        }
        let longest = self.base.saturating_mul(1 << (attempt - 1).min(16)).min(self.cap);
        match outcome.as_ref().ok().map(|answer| RetryAfter::of(answer.headers(), now)) {
            // A little later than asked, so that not all come back in the same instant.
            Some(RetryAfter::Wait(span)) if span <= self.max_retry_after => {
                Some(span + pacing.jitter(self.base))
            }
            Some(RetryAfter::Wait(_)) => None,
            // A limiter that does not say when has said no.
            Some(RetryAfter::Unsaid) if outcome.as_ref().is_ok_and(|a| a.status().as_u16() == 429) => None,
            _ => Some(pacing.jitter(longest)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetryAfter {
    Unsaid,
    Wait(Duration),
}

impl RetryAfter {
    /// Seconds, or a date (RFC 9110 section 10.2.3). What cannot be read was not said.
    fn of(headers: &HeaderMap, now: Timestamp) -> Self {
        let text =
            headers.get(RETRY_AFTER).map(HeaderValue::to_str).and_then(Result::ok).unwrap_or("").trim();
        let seconds = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        seconds.or_else(|| until(text, now)).map_or(Self::Unsaid, |s| Self::Wait(Duration::from_secs(s)))
    }
}

fn until(date: &str, now: Timestamp) -> Option<u64> {
    let at = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(u64::try_from(at.as_second().saturating_sub(now.as_second())).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Half;

    impl Pacing for Half {
        fn jitter(&self, max: Duration) -> Duration {
            max / 2
        }

        async fn pause(&self, _: Duration) {}
    }

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn answer(status: u16, retry_after: &str) -> Result<reqwest::Response, ClientError> {
        let mut answer = http::Response::builder().status(status);
        if !retry_after.is_empty() {
            answer = answer.header(RETRY_AFTER, retry_after);
        }
        Ok(answer.body("").unwrap().into())
    }

    #[test]
    fn what_is_sent_again_and_when() {
        for (label, attempt, idempotent, outcome, millis) in [
            ("fine", 1, true, answer(200, ""), None),
            ("bad gateway", 1, true, answer(502, ""), Some(50)),
            ("second time", 2, true, answer(504, ""), Some(100)),
            ("last time", 3, true, answer(503, ""), None),
            ("not idempotent", 1, false, answer(503, "1"), None),
            ("our fault", 1, true, answer(500, ""), None),
            ("forbidden", 1, true, answer(403, "1"), None),
            ("redirect", 1, true, answer(302, "1"), None),
            ("told when", 1, true, answer(503, "2"), Some(2050)),
            ("told when, by date", 1, true, answer(503, "Sun, 22 Nov 2026 10:00:03 GMT"), Some(3050)),
            ("date gone by", 1, true, answer(503, "Sun, 22 Nov 2026 09:00:00 GMT"), Some(50)),
            ("too long", 1, true, answer(503, "11"), None),
            ("far too long", 1, true, answer(503, "99999999999999999999999"), Some(50)),
            ("nonsense", 1, true, answer(503, "-1"), Some(50)),
            ("limited", 1, true, answer(429, "1"), Some(1050)),
            ("limited, not told when", 1, true, answer(429, ""), None),
            ("no connection", 1, true, Err(ClientError::Connect), Some(50)),
            ("no connection, not idempotent", 1, false, Err(ClientError::Connect), None),
            ("no answer: it may be at work on it", 1, true, Err(ClientError::Timeout), None),
        ] {
            let pause = RetryPolicy::default().pause(attempt, idempotent, &outcome, now(), &Half);
            assert_eq!(pause, millis.map(Duration::from_millis), "{label}");
        }
    }

    #[test]
    fn pauses_stop_growing() {
        let policy = RetryPolicy { attempts: u32::MAX, ..RetryPolicy::default() };
        for attempt in [6, 40, u32::MAX - 1] {
            let pause = policy.pause(attempt, true, &answer(503, ""), now(), &Half);
            assert_eq!(pause, Some(policy.cap / 2), "{attempt}");
        }
    }
}
