//! Every step of every playbook, with every fault at every call: the incident ends in the right state, nothing is done
//! twice, the rollback record is complete, and release restores the account.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what is not as expected fails the test")]

mod support;

use std::thread;

use futures_util::future::FutureExt;
use portcullis_response::simulation::{Fault, World};
use portcullis_response::{Incident, Playbook, RespondError, Status};

use support::{Bench, all_on, assert_recorded, bench, signal, timeless};

fn contained(book: &Playbook) -> (Bench, Incident) {
    let bench = bench(all_on());
    let incident = bench.respond(&signal("f", book)).unwrap();
    (bench, incident)
}

#[test]
fn containment_survives_every_fault_at_every_call() {
    let runs = each(&contain_with_every_fault);
    assert!(runs > 2_000, "{runs}");
}

/// Each playbook in a thread of its own. How many faults there were.
fn each(test: &(dyn Fn(&Playbook) -> usize + Sync)) -> usize {
    let books = all_on();
    thread::scope(|scope| {
        let lanes: Vec<_> = books.iter().map(|book| scope.spawn(move || test(book))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    })
}

fn contain_with_every_fault(book: &Playbook) -> usize {
    let initial = World::example().without_traces();
    let mut runs = 0;
    let (good, incident) = contained(book);
    let (wanted, effects) = (timeless(&good.rig.account.world()), good.rig.account.effects().len());
    assert!(matches!(incident.status, Status::Contained), "{:?}: {incident:#?}", book.incident);
    for fault in Fault::ALL {
        for at in 0.. {
            let bench = bench(all_on());
            let signal = signal("f", book);
            let act = || bench.rig.respond(&signal).now_or_never();
            let Some((hit, mut incident)) = bench.with_fault(at, fault, act) else { break };
            runs += 1;
            let case = format!("{:?}, {fault:?} at call {at} ({hit})", book.incident);
            assert_recorded(&incident, &case);
            bench.assert_nothing_twice(&case);
            // A store that denies ends the delivery, but for the cap: without a slot, containment asks.
            if fault == Fault::Denied && (!hit.starts_with("store:") || hit == "store:reserve") {
                assert_denied(&incident, &hit, &case);
                bench.later();
                incident = bench.approve(&incident).unwrap();
            }
            assert_eq!(incident.status, Status::Contained, "{case}: {incident:#?}");
            assert_eq!(timeless(&bench.rig.account.world()), wanted, "{case}");
            assert_eq!(bench.rig.account.effects().len(), effects, "{case}");
            bench.assert_nothing_twice(&case);
            let released = bench.release(&incident).unwrap();
            assert_eq!(released.not_released, [], "{case}");
            assert_eq!(released.incident.status, Status::Released, "{case}");
            assert_eq!(bench.rig.account.world().without_traces(), initial, "{case}");
        }
    }
    runs
}

/// What could not be done is said, and says which permission was missing.
fn assert_denied(incident: &Incident, hit: &str, case: &str) {
    // Where the outcome's message is refused, everything is done; where the tags are not read, nothing is, unasked.
    let told = incident.timeline.iter().any(|entry| entry.what.contains(hit));
    let reasons = ["tags could not be read", "the cap of containments"];
    let asked = incident.steps.iter().any(|step| reasons.iter().any(|why| step.why.contains(why)));
    let failed = incident.steps.iter().any(|step| step.failures.iter().any(|failure| failure.contains(hit)));
    assert!(told || asked || failed, "{case}: {incident:#?}");
    if failed {
        assert!(matches!(incident.status, Status::Partial | Status::AwaitingApproval), "{case}");
    }
    if asked {
        assert_eq!(incident.status, Status::AwaitingApproval, "{case}");
    }
}

#[test]
fn release_survives_every_fault_at_every_call() {
    let runs = each(&release_with_every_fault);
    assert!(runs > 1_000, "{runs}");
}

fn release_with_every_fault(book: &Playbook) -> usize {
    let initial = World::example().without_traces();
    let mut runs = 0;
    for fault in Fault::ALL {
        for at in 0.. {
            let (bench, incident) = contained(book);
            let act = || bench.rig.release(&incident.id, "lead").now_or_never();
            let Some((hit, mut released)) = bench.with_fault(at, fault, act) else { break };
            runs += 1;
            let case = format!("{:?}, {fault:?} at call {at} ({hit})", book.incident);
            if !released.not_released.is_empty() {
                assert_eq!(fault, Fault::Denied, "{case}");
                assert_eq!(released.incident.status, Status::Partial, "{case}");
                let why = released.not_released.iter().any(|left| left.why.iter().any(|w| w.contains(&hit)));
                assert!(why, "{case}: {:?}", released.not_released);
                released = bench.release(&incident).unwrap();
            }
            assert_eq!(released.not_released, [], "{case}");
            assert_eq!(released.incident.status, Status::Released, "{case}: {released:#?}");
            assert_eq!(bench.rig.account.world().without_traces(), initial, "{case}");
            bench.assert_nothing_twice(&case);
        }
    }
    runs
}

#[test]
fn a_crash_anywhere_can_be_released_without_going_on() {
    let runs = each(&release_after_every_crash);
    assert!(runs > 500, "{runs}");
}

/// Only what was recorded before it was changed can be restored.
fn release_after_every_crash(book: &Playbook) -> usize {
    let initial = World::example().without_traces();
    let mut runs = 0;
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for at in 0.. {
            let bench = bench(all_on());
            let signal = signal("f", book);
            bench.faults.arm(at, fault);
            let crashed = bench.rig.respond(&signal).now_or_never().is_none();
            bench.faults.disarm();
            if !crashed {
                break;
            }
            runs += 1;
            bench.later();
            let case = format!("{:?}, {fault:?} at call {at}", book.incident);
            match bench.rig.release(&signal.incident_id(), "lead").now_or_never().unwrap() {
                Ok(released) => {
                    assert_eq!(released.not_released, [], "{case}");
                    assert_eq!(released.incident.status, Status::Released, "{case}");
                }
                Err(error) => assert_eq!((error, at), (RespondError::Unknown, 0), "{case}"),
            }
            assert_eq!(bench.rig.account.world().without_traces(), initial, "{case}");
            // Nothing is held any more: another incident on the same targets comes and goes.
            if at % 5 == 0 {
                let next = bench.respond(&support::signal("g", book)).unwrap();
                assert_eq!(bench.release(&next).unwrap().not_released, [], "{case}");
            }
        }
    }
    runs
}

#[test]
fn writes_that_are_seen_late_are_not_repeated() {
    for lag in 1..=3 {
        for book in all_on().iter() {
            let (good, _) = contained(book);
            let bench = bench(all_on());
            bench.rig.account.lag_by(lag);
            let incident = bench.respond(&signal("f", book)).unwrap();
            let case = format!("{:?}, {lag} reads late", book.incident);
            assert_eq!(incident.status, Status::Contained, "{case}: {incident:#?}");
            assert_eq!(timeless(&bench.rig.account.world()), timeless(&good.rig.account.world()), "{case}");
            bench.assert_nothing_twice(&case);
            assert!(bench.rig.wait.pauses() > 0, "{case}");
            let released = bench.release(&incident).unwrap();
            assert_eq!(released.not_released, [], "{case}");
            assert_eq!(
                bench.rig.account.world().without_traces(),
                World::example().without_traces(),
                "{case}"
            );
            bench.assert_nothing_twice(&case);
        }
    }
}

#[test]
fn a_write_without_an_answer_that_is_seen_late_is_not_repeated() {
    let book = all_on();
    let book = book.of(portcullis_detection::IncidentType::Backdoor);
    let (good, _) = contained(book);
    for lag in 1..=2 {
        for at in 0.. {
            let bench = bench(all_on());
            bench.rig.account.lag_by(lag);
            let signal = signal("f", book);
            let act = || bench.rig.respond(&signal).now_or_never();
            let Some((hit, incident)) = bench.with_fault(at, Fault::TimeoutAfter, act) else { break };
            let case = format!("{lag} reads late, call {at} ({hit})");
            assert_eq!(incident.status, Status::Contained, "{case}: {incident:#?}");
            assert_eq!(timeless(&bench.rig.account.world()), timeless(&good.rig.account.world()), "{case}");
            bench.assert_nothing_twice(&case);
        }
    }
}

#[test]
fn a_write_that_is_never_seen_is_reported_and_not_repeated() {
    let book = all_on();
    let book = book.of(portcullis_detection::IncidentType::CompromisedCredentials);
    let bench = bench(all_on());
    bench.rig.account.lag_by(1_000);
    let incident = bench.respond(&signal("f", book)).unwrap();
    assert_eq!(incident.status, Status::Partial);
    let failures: Vec<_> = incident.steps.iter().flat_map(|step| &step.failures).collect();
    assert!(
        failures.iter().all(|why| why.contains("not seen") || why.contains("may have had")),
        "{failures:?}"
    );
    bench.assert_nothing_twice("never seen");
}

#[test]
fn lasting_faults_end_in_bounded_time_and_are_carried_on_from() {
    for book in all_on().iter() {
        let (good, _) = contained(book);
        for fault in [Fault::Throttled, Fault::TimeoutBefore, Fault::TimeoutAfter] {
            for at in [0, 3, 10, 20, 40] {
                let bench = bench(all_on());
                let signal = signal("f", book);
                bench.faults.arm_from(at, fault);
                let first = bench.respond(&signal);
                assert!(bench.faults.calls() < 2_000, "{}", bench.faults.calls());
                bench.faults.disarm();
                let case = format!("{:?}, {fault:?} from call {at}", book.incident);
                let mut incident = match first {
                    Ok(incident) => incident,
                    Err(error) => {
                        assert!(
                            matches!(error, RespondError::Store(_) | RespondError::Conflict),
                            "{case}: {error}"
                        );
                        bench.later();
                        bench.respond(&signal).unwrap()
                    }
                };
                if incident.status != Status::Contained {
                    bench.later();
                    incident = bench.approve(&incident).unwrap();
                }
                assert_eq!(incident.status, Status::Contained, "{case}: {incident:#?}");
                assert_eq!(
                    timeless(&bench.rig.account.world()),
                    timeless(&good.rig.account.world()),
                    "{case}"
                );
                bench.assert_nothing_twice(&case);
            }
        }
    }
}
