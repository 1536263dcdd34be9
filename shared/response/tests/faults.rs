//! Every step of every playbook, with every fault at every call: the incident ends in the right state, nothing is done
//! twice, the rollback record is complete, and release restores the account.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what is not as expected fails the test")]

mod support;

use std::thread;

use futures_util::future::FutureExt;
use portcullis_response::simulation::{Fault, World};
use portcullis_response::{Incident, IncidentStore, Playbook, RespondError, Status};

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
fn a_release_that_was_cut_short_is_carried_on_and_contains_nothing_again() {
    let runs = each(&carry_release_on);
    assert!(runs > 1_000, "{runs}");
}

/// By the schedule, by the end of its blocks, or by the signal that comes again.
fn carry_release_on(book: &Playbook) -> usize {
    let initial = World::example().without_traces();
    let mut runs = 0;
    for (turn, fault) in [Fault::CrashBefore, Fault::CrashAfter, Fault::Denied].into_iter().enumerate() {
        for at in 0.. {
            let (bench, incident) = contained(book);
            bench.faults.arm(at, fault);
            let _cut = bench.rig.release(&incident.id, "lead").now_or_never();
            let Some(hit) = bench.faults.hit() else { break };
            bench.faults.disarm();
            runs += 1;
            let case = format!("{:?}, {fault:?} at call {at} ({hit})", book.incident);
            let expires = (at + turn) % 3 == 1 && incident.expires_at.is_some();
            bench.rig.clock.advance(if expires { 91 * 86_400_000 } else { 121_000 });
            let load = || bench.rig.store.load(&incident.id).now_or_never().unwrap().unwrap().unwrap();
            if load().release_asked.is_none() {
                // It was cut short before anything of it was kept.
                assert!(at <= 2, "{case}");
                assert_eq!(bench.release(&incident).unwrap().not_released, [], "{case}");
                continue;
            }
            let effects = bench.rig.account.effects().len();
            if expires {
                bench.rig.expire(10).now_or_never().unwrap().unwrap();
            } else if (at + turn) % 3 == 2 {
                let again = bench.respond(&portcullis_response::Signal { count: 9, ..signal("f", book) });
                assert_eq!(again.unwrap().status, Status::Released, "{case}");
            } else {
                bench.rig.resume(&incident.id).now_or_never().unwrap().unwrap();
            }
            assert_eq!(load().status, Status::Released, "{case}: {:#?}", load());
            assert_eq!(load().lease, None, "{case}");
            assert_eq!(bench.rig.account.world().without_traces(), initial, "{case}");
            let later = bench.rig.account.effects();
            let contains =
                ["DeleteLoginProfile", "DetachInstances", "PutRolePolicy", "PutUserPolicy", "Archive"];
            let contained_again = later.iter().skip(effects).find(|effect| {
                contains.iter().any(|what| effect.contains(what)) && !effect.contains("Unarchive")
            });
            assert_eq!(contained_again, None, "{case}");
            bench.assert_nothing_twice(&case);
        }
    }
    runs
}

#[test]
fn of_two_incidents_at_once_the_last_to_be_released_restores_what_was_there_before_both() {
    let runs = each(&two_at_once);
    assert!(runs > 1_000, "{runs}");
}

/// One is cut short anywhere, the other comes in between, and the first goes on: each of them may have read the other's
/// work, or not.
fn two_at_once(book: &Playbook) -> usize {
    let initial = World::example().without_traces();
    let mut runs = 0;
    for first_first in [true, false] {
        for at in 1.. {
            let bench = bench(all_on());
            let one = signal("f", book);
            bench.faults.arm(at, Fault::CrashBefore);
            let whole = bench.rig.respond(&one).now_or_never().is_some();
            bench.faults.disarm();
            let case = format!("{:?}, cut at call {at}, first first: {first_first}", book.incident);
            let other = bench.respond(&signal("g", book)).unwrap();
            bench.later();
            let one = bench.respond(&one).unwrap();
            assert_eq!((one.status, other.status), (Status::Contained, Status::Contained), "{case}");
            let contained = held(&bench.rig.account.world());
            let (one, other) = if first_first { (one, other) } else { (other, one) };
            assert_eq!(bench.release(&one).unwrap().not_released, [], "{case}");
            assert_eq!(
                held(&bench.rig.account.world()),
                contained,
                "{case}: contained as long as one holds it"
            );
            assert_eq!(bench.release(&other).unwrap().not_released, [], "{case}");
            assert_eq!(bench.rig.account.world().without_traces(), initial, "{case}");
            runs += 1;
            if whole {
                break;
            }
        }
    }
    runs
}

#[test]
fn a_release_beside_another_incident_survives_every_fault_at_every_call() {
    let runs = each(&release_beside_another);
    assert!(runs > 1_000, "{runs}");
}

/// With every second fault the one that took hold later is released first.
fn release_beside_another(book: &Playbook) -> usize {
    let initial = World::example().without_traces();
    let mut runs = 0;
    for (turn, fault) in Fault::ALL.into_iter().enumerate() {
        for at in 0.. {
            let (bench, one) = contained(book);
            let other = bench.respond(&signal("g", book)).unwrap();
            let (one, other) = if turn % 2 == 0 { (one, other) } else { (other, one) };
            let contained = held(&bench.rig.account.world());
            let act = || bench.rig.release(&one.id, "lead").now_or_never();
            let Some((hit, released)) = bench.with_fault(at, fault, act) else { break };
            runs += 1;
            let case = format!("{:?}, {fault:?} at call {at} ({hit})", book.incident);
            assert_eq!(held(&bench.rig.account.world()), contained, "{case}");
            if !released.not_released.is_empty() {
                assert_eq!(bench.release(&one).unwrap().not_released, [], "{case}");
            }
            bench.later();
            assert_eq!(held(&bench.rig.account.world()), contained, "{case}");
            assert_eq!(bench.release(&other).unwrap().not_released, [], "{case}");
            assert_eq!(bench.rig.account.world().without_traces(), initial, "{case}");
        }
    }
    runs
}

/// What two incidents may hold together: without what bears the name of one of them.
fn held(world: &World) -> World {
    let mut world = world.without_traces();
    world.findings.clear();
    world.users.values_mut().for_each(|user| user.policies.clear());
    world.roles.values_mut().for_each(|role| role.policies.clear());
    for instance in world.instances.values_mut() {
        instance.tags.retain(|key, _| !key.starts_with("portcullis:evidence:"));
    }
    world
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
