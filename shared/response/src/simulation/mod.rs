//! A small account that exists only here: for drills without an account, wherever its state is kept ([`Keeper`]), and, in
//! memory with everything that can go wrong, for the tests of every step.

mod account;
mod faults;
mod keeper;
mod world;

use portcullis_base::Timestamp;
use portcullis_detection::IncidentType;

pub use account::Simulation;
pub use faults::{Fault, Faults, Faulty, Inbox, NoWait};
pub use keeper::{FaultyWorld, Keeper, SimulatedAccount};
pub use world::{SimulatedGroup, SimulatedInstance, SimulatedRole, SimulatedUser, World};

use crate::severity::Band;
use crate::signal::{Signal, Source};
use crate::target::Target;

/// A signal about everything that the example world has.
pub fn example_signal(id: &str) -> Signal {
    Signal {
        source: Source::Finding {
            id: id.to_owned(),
            kind: "UnauthorizedAccess:IAMUser/TorIPCaller".to_owned(),
        },
        incident_type: IncidentType::CompromisedCredentials,
        severity: Band::High,
        title: "Credentials were used from a Tor exit node".to_owned(),
        account: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        happened_at: Timestamp::UNIX_EPOCH,
        count: 1,
        sample: false,
        containable: true,
        targets: vec![
            Target::User { name: "ana".to_owned() },
            Target::role("app"),
            Target::Instance { id: "i-web".to_owned() },
            Target::Function { name: "resize".to_owned() },
            Target::Bucket { name: "reports".to_owned() },
            Target::Address { ip: [198, 51, 100, 7].into() },
            Target::Finding { detector: "d-1".to_owned(), id: "finding".to_owned() },
        ],
    }
}
