//! What a container knows of one bucket: the cells in its hand, and until when asking for more is pointless.
//!
//! Pure: instants come in, in microseconds since the Unix epoch, and asks go out. A clock that went back makes what is
//! remembered void, because how old it is cannot be known: the store then decides.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_base::Timestamp;

use crate::gcra::{conforms_at, micros, remaining};
use crate::{Ask, Basis, Bucket, Decision, LimiterSettings, OnStoreFailure, Quota, Taken};

/// A quota with what the settings make of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) quota: Quota,
    /// The life of a lease.
    life: i64,
    /// The most cells of a lease.
    most: u32,
}

impl Terms {
    pub(crate) fn new(quota: Quota, settings: &LimiterSettings) -> Self {
        let life = i64::try_from(settings.lease_of(&quota).as_micros()).unwrap_or(i64::MAX);
        Self { quota, life, most: settings.max_lease_of(&quota) }
    }

    fn refusal(&self, cost: NonZeroU32, tat: i64, now: i64) -> Refusal {
        let until = conforms_at(&self.quota, cost, tat).max(now.saturating_add(self.pause()));
        Refusal { cost, span: Span { from: now, until } }
    }

    /// How long a refusal holds at least: until half a lease has come back, so that at the limit a container asks
    /// once for several cells and not once for each.
    fn pause(&self) -> i64 {
        self.quota.time_of(self.most / 2).min(self.life)
    }
}

/// What is known of a bucket.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    lease: Option<Lease>,
    refusal: Option<Refusal>,
    /// The last TAT that the store told: it can only have grown.
    tat: Option<i64>,
    /// The limit of this container's own while the store fails.
    own: Bucket,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    granted: u32,
    left: u32,
    span: Span,
}

/// The store has not so many cells, and will not within the span, or it is too early to ask.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    cost: NonZeroU32,
    span: Span,
}

/// From an instant to before another.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    until: i64,
}

impl Span {
    const fn holds(&self, now: i64) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether it holds or ended less than that long ago.
    const fn lately(&self, now: i64, ago: i64) -> bool {
        self.from <= now && now < self.until.saturating_add(ago)
    }
}

impl Hand {
    /// Decides from what is in the hand. `None`: the store must be asked.
    pub(crate) fn decide(&mut self, terms: &Terms, cost: NonZeroU32, now: i64) -> Option<Decision> {
        if let Some(lease) = self.lease.as_mut().filter(|lease| lease.span.holds(now))
            && let Some(left) = lease.left.checked_sub(cost.get())
        {
            lease.left = left;
            return Some(self.allowed(terms, Basis::Lease, now));
        }
        let refusal = self.refusal.filter(|r| r.span.holds(now) && r.cost <= cost)?;
        Some(self.refused(terms, Basis::Remembered, refusal.span.until, now))
    }

    /// What to ask of the store.
    pub(crate) fn ask(&self, terms: &Terms, cost: NonZeroU32, now: Timestamp) -> Ask {
        let size = self.next_size(terms, now.as_microsecond()).min(terms.most);
        Ask::new(&terms.quota, cost, size, now).with_seen(self.tat)
    }

    /// Takes in what the store answered to an ask made at `asked`, and decides the request that made it.
    pub(crate) fn take_in(&mut self, terms: &Terms, cost: NonZeroU32, ask: &Ask, taken: Taken) -> Decision {
        let now = ask.now();
        self.tat = Some(taken.tat);
        let Some(left) = taken.granted.checked_sub(cost.get()) else {
            let refusal = terms.refusal(cost, taken.tat, now);
            self.refusal = Some(refusal);
            return self.refused(terms, Basis::Store, refusal.span.until, now);
        };
        let span = Span { from: now, until: now.saturating_add(terms.life) };
        self.lease = Some(Lease { granted: taken.granted, left, span });
        // If the bucket is empty now, asking again at once would only be told so.
        let empty = conforms_at(&terms.quota, NonZeroU32::MIN, taken.tat) > now;
        self.refusal = empty.then(|| terms.refusal(NonZeroU32::MIN, taken.tat, now));
        self.allowed(terms, Basis::Store, now)
    }

    /// Decides without the store.
    pub(crate) fn without_store(
        &mut self,
        terms: &Terms,
        cost: NonZeroU32,
        now: Timestamp,
        settings: &LimiterSettings,
    ) -> Decision {
        match settings.on_store_failure {
            OnStoreFailure::Refuse => Decision {
                allowed: false,
                remaining: 0,
                retry_after: settings.pause,
                reset: settings.pause,
                basis: Basis::FailedClosed,
            },
            OnStoreFailure::Allow { containers } => {
                let own = self.own.check(&terms.quota.share(containers), cost, now);
                Decision { basis: Basis::FailedOpen, ..own }
            }
        }
    }

    /// Doubles while leases are spent before they end, falls to what was spent when they are not, and is one when
    /// there was no demand for a lease's life. At the limit, what has come back since.
    fn next_size(&self, terms: &Terms, now: i64) -> u32 {
        let refused = self.refusal.map(|refusal| refusal.span).filter(|span| span.lately(now, terms.life));
        match refused {
            Some(span) => terms.quota.cells_in(now.saturating_sub(span.from)).max(1),
            None => self.by_demand(terms, now),
        }
    }

    fn by_demand(&self, terms: &Terms, now: i64) -> u32 {
        let Some(Lease { granted, left, span }) = self.lease else { return 1 };
        if span.holds(now) {
            granted.saturating_mul(2)
        } else if span.lately(now, terms.life) {
            granted.saturating_sub(left).max(1)
        } else {
            1
        }
    }

    fn allowed(&self, terms: &Terms, basis: Basis, now: i64) -> Decision {
        let in_hand = self.lease.map_or(0, |lease| lease.left);
        let tat = self.tat.unwrap_or(now);
        Decision {
            allowed: true,
            remaining: remaining(&terms.quota, tat, now)
                .saturating_add(in_hand)
                .min(terms.quota.burst_size()),
            retry_after: Duration::ZERO,
            reset: micros(tat.saturating_sub(now)),
            basis,
        }
    }

    fn refused(&self, terms: &Terms, basis: Basis, until: i64, now: i64) -> Decision {
        let tat = self.tat.unwrap_or(now);
        Decision {
            allowed: false,
            remaining: remaining(&terms.quota, tat, now),
            retry_after: micros(until.saturating_sub(now)),
            reset: micros(tat.saturating_sub(now)),
            basis,
        }
    }
}
