//! Who holds a resource: the one rule for every store.

use serde::{Deserialize, Serialize};

use crate::incident::IncidentId;

/// The incidents that hold one resource, in the order in which they took hold. Serialized, it is the list of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holders(Vec<IncidentId>);

impl Holders {
    /// Adds the incident at the end, unless it is there.
    pub fn hold(&mut self, incident: &IncidentId) {
        if !self.0.contains(incident) {
            self.0.push(incident.clone());
        }
    }

    /// Removes the incident wherever it is, if it is there.
    pub fn forget(&mut self, incident: &IncidentId) {
        self.0.retain(|holder| holder != incident);
    }

    /// Who they are, in order.
    pub fn ids(&self) -> &[IncidentId] {
        &self.0
    }

    /// Whether nobody holds the resource.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Act {
        Hold(u8),
        Forget(u8),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (0..5_u8).prop_map(Act::Hold),
            2 => (0..5_u8).prop_map(Act::Forget),
        ]
    }

    fn id(name: u8) -> IncidentId {
        IncidentId::of(&name.to_string())
    }

    proptest! {
        /// The model knows when each incident took hold, and nothing else.
        #[test]
        fn whoever_holds_is_there_once_since_it_took_hold(acts in prop::collection::vec(act(), 0..60)) {
            let (mut holders, mut since) = (Holders::default(), [None; 5]);
            for (turn, act) in acts.into_iter().enumerate() {
                match act {
                    Act::Hold(n) => {
                        holders.hold(&id(n));
                        let slot = &mut since[usize::from(n)];
                        *slot = slot.or(Some(turn));
                    }
                    Act::Forget(n) => {
                        holders.forget(&id(n));
                        since[usize::from(n)] = None;
                    }
                }
                let mut all: Vec<_> = (0..5_u8).filter(|n| since[usize::from(*n)].is_some()).collect();
                all.sort_by_key(|n| since[usize::from(*n)]);
                let all: Vec<_> = all.into_iter().map(id).collect();
                prop_assert_eq!(holders.ids(), &all[..]);
                prop_assert_eq!(holders.is_empty(), all.is_empty());
                let text = serde_json::to_string(&holders).unwrap();
                prop_assert_eq!(serde_json::from_str::<Holders>(&text).unwrap(), holders.clone());
                prop_assert_eq!(serde_json::from_str::<Vec<IncidentId>>(&text).unwrap(), all);
            }
        }
    }
}
