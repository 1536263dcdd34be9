//! The cap of containments: the one rule for every store.

use jiff::SignedDuration;
use portcullis_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incident::IncidentId;
use crate::store::Slot;

/// The slots that are taken, each with its time. A store keeps them whole, and replaces them only if they are still what
/// it has read: then the cap is exact. Serialized, it is a list of pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slots(Vec<(IncidentId, Timestamp)>);

impl Slots {
    /// Takes one of `cap` slots in the `window` that ends now. An incident that has a slot keeps it. Nothing changes
    /// unless a slot is taken.
    ///
    /// Time never goes back here: a clock that is behind takes the time of the newest slot. Otherwise it would look at a
    /// window of which a clock that is ahead has forgotten a part already, and that window could hold more than `cap`.
    pub fn reserve(
        &mut self,
        incident: &IncidentId,
        now: Timestamp,
        window: SignedDuration,
        cap: u32,
    ) -> Slot {
        let now = self.0.iter().map(|(_, at)| *at).fold(now, Timestamp::max);
        let open = || self.0.iter().filter(|(_, at)| at.duration_until(now) < window);
        if open().any(|(holder, _)| holder == incident) {
            return Slot::Granted;
        }
        if open().count() >= usize::try_from(cap).unwrap_or(usize::MAX) {
            return Slot::Full;
        }
        let mut kept: Vec<_> = open().cloned().collect();
        kept.push((incident.clone(), now));
        self.0 = kept;
        Slot::Granted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn id(name: u8) -> IncidentId {
        IncidentId::of(&name.to_string())
    }

    const WINDOW: SignedDuration = SignedDuration::from_secs(10);

    proptest! {
        /// Whatever the clocks say: the model never forgets, and looks at every window.
        #[test]
        fn no_window_ever_holds_more_than_the_cap(
            asks in prop::collection::vec((0..20_u8, 0..60_i64), 0..80),
            cap in 0..5_u32,
        ) {
            let (mut slots, mut granted) = (Slots::default(), Vec::<(IncidentId, Timestamp)>::new());
            for (name, second) in asks {
                let before = slots.clone();
                let slot = slots.reserve(&id(name), at(second), WINDOW, cap);
                prop_assert_ne!(slot, Slot::NotNeeded);
                prop_assert!(slot == Slot::Granted || slots == before, "a refusal changes nothing");
                if slots != before {
                    granted.push(slots.0.last().unwrap().clone());
                }
                for (_, end) in &granted {
                    let within = granted.iter().filter(|(_, at)| at <= end && at.duration_until(*end) < WINDOW);
                    prop_assert!(within.count() <= usize::try_from(cap).unwrap());
                }
                let text = serde_json::to_string(&slots).unwrap();
                prop_assert_eq!(serde_json::from_str::<Slots>(&text).unwrap(), slots.clone());
            }
        }

        /// With clocks that go forward, an incident is refused only where it has to be.
        #[test]
        fn who_fits_is_let_in(
            asks in prop::collection::vec((0..20_u8, 0..5_i64), 0..80),
            cap in 0..5_u32,
        ) {
            let (mut slots, mut granted, mut second) = (Slots::default(), Vec::new(), 0);
            for (name, wait) in asks {
                second += wait;
                let open: Vec<u8> =
                    granted.iter().filter(|(_, at)| second - at < 10).map(|(name, _)| *name).collect();
                let expected = open.contains(&name) || open.len() < usize::try_from(cap).unwrap();
                let slot = slots.reserve(&id(name), at(second), WINDOW, cap);
                prop_assert_eq!(slot == Slot::Granted, expected);
                if expected && !open.contains(&name) {
                    granted.push((name, second));
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_behind_gets_nothing_that_is_gone() {
        let mut slots = Slots::default();
        let mut reserve = |name, second| slots.reserve(&id(name), at(second), WINDOW, 2);
        assert_eq!([reserve(1, 0), reserve(2, 0)], [Slot::Granted; 2]);
        assert_eq!(reserve(3, 10), Slot::Granted, "ten seconds later by one clock");
        assert_eq!(reserve(4, 9), Slot::Granted, "by another: counted at ten, not at nine");
        assert_eq!(reserve(5, 9), Slot::Full);
    }
}
