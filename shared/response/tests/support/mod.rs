//! A responder on a simulated account, and what tests do with it.
#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::unwrap_used, reason = "test support: what is not as expected fails the test")]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use futures_util::future::FutureExt;
use portcullis_base::{ManualClock, Timestamp};
use portcullis_response::simulation::{
    Fault, Faults, Faulty, Inbox, NoWait, SimulatedAccount, World, example_signal,
};
use portcullis_response::{
    Band, Incident, MemoryDesk, Mode, PLAYBOOKS, Playbook, Playbooks, Released, RespondError, Responder,
    SAFETY, Safety, Signal, StepStatus,
};

pub(crate) type Rig = Responder<SimulatedAccount, Faulty<MemoryDesk>, Faulty<Inbox>, ManualClock, NoWait>;

/// A rig with its faults.
pub(crate) struct Bench {
    pub(crate) rig: Rig,
    pub(crate) faults: Arc<Faults>,
}

pub(crate) fn start() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

/// The shipped playbooks as they are.
pub(crate) fn shipped() -> Playbooks {
    Playbooks::load(PLAYBOOKS).unwrap()
}

/// The shipped playbooks, each with every step turned on.
pub(crate) fn all_on() -> Playbooks {
    static ALL_ON: LazyLock<Playbooks> = LazyLock::new(|| {
        adapted(|book| {
            (book.dry_run, book.automatic_from) = (false, Band::Low);
            book.steps.iter_mut().for_each(|step| step.mode = Mode::Automatic);
        })
    });
    ALL_ON.clone()
}

fn safety() -> Safety {
    static SHIPPED: LazyLock<Safety> = LazyLock::new(|| Safety::parse(SAFETY).unwrap());
    SHIPPED.clone()
}

pub(crate) fn adapted(change: impl Fn(&mut Playbook)) -> Playbooks {
    let files = PLAYBOOKS.iter().map(|(name, yaml)| {
        let mut book = Playbook::parse(yaml).unwrap();
        change(&mut book);
        (*name, serde_norway::to_string(&book).unwrap())
    });
    Playbooks::load(files).unwrap()
}

pub(crate) fn bench(playbooks: Playbooks) -> Bench {
    bench_on(World::example(), playbooks)
}

pub(crate) fn bench_on(world: World, playbooks: Playbooks) -> Bench {
    let faults = Arc::new(Faults::default());
    let rig = Responder {
        account: SimulatedAccount::new(world, Arc::clone(&faults)),
        store: Faulty::new(MemoryDesk::default(), Arc::clone(&faults)),
        notifier: Faulty::new(Inbox::default(), Arc::clone(&faults)),
        clock: ManualClock::at(start()),
        wait: NoWait::default(),
        playbooks,
        safety: safety(),
    };
    Bench { rig, faults }
}

/// A signal of that type about everything in the example world.
pub(crate) fn signal(id: &str, book: &Playbook) -> Signal {
    Signal { incident_type: book.incident, happened_at: start(), ..example_signal(id) }
}

impl Bench {
    pub(crate) fn respond(&self, signal: &Signal) -> Result<Incident, RespondError> {
        self.rig.respond(signal).now_or_never().unwrap()
    }

    pub(crate) fn release(&self, incident: &Incident) -> Result<Released, RespondError> {
        self.rig.release(&incident.id, "lead").now_or_never().unwrap()
    }

    pub(crate) fn approve(&self, incident: &Incident) -> Result<Incident, RespondError> {
        self.rig.approve(&incident.id, "lead", None).now_or_never().unwrap()
    }

    /// Longer than any lease.
    pub(crate) fn later(&self) {
        self.rig.clock.advance(121_000);
    }

    /// What a broken call left, delivered again as EventBridge does: `None` where nothing was broken.
    pub(crate) fn with_fault<T>(
        &self,
        at: usize,
        fault: Fault,
        act: impl Fn() -> Option<Result<T, RespondError>>,
    ) -> Option<(String, T)> {
        self.faults.arm(at, fault);
        let first = act();
        let hit = self.faults.hit();
        self.faults.disarm();
        let hit = hit?;
        if let Some(Ok(done)) = first {
            return Some((hit, done));
        }
        self.later();
        Some((hit, act().unwrap().unwrap()))
    }

    /// Nothing had its effect twice.
    pub(crate) fn assert_nothing_twice(&self, case: &str) {
        let effects = self.rig.account.effects();
        let distinct: BTreeSet<&String> = effects.iter().collect();
        assert_eq!(distinct.len(), effects.len(), "{case}: {effects:#?}");
    }
}

/// Without what depends on when it was done.
pub(crate) fn timeless(world: &World) -> World {
    let mut world = world.clone();
    world.snapshots.sort();
    for role in world.roles.values_mut() {
        role.policies.values_mut().for_each(String::clear);
    }
    world
}

/// Every step that may have changed something has its rollback record.
pub(crate) fn assert_recorded(incident: &Incident, case: &str) {
    for step in &incident.steps {
        if step.kind.changes() && step.status == StepStatus::Done && !step.changed.is_empty() {
            assert!(step.before.is_some(), "{case}: {} {}", step.kind, step.target);
        }
    }
}
