//! A thousand findings at once, in eight threads, with a cap of 20 an hour.

mod support;

use std::collections::BTreeSet;
use std::thread;

use futures_util::future::FutureExt;
use portcullis_detection::IncidentType;
use portcullis_response::simulation::{SimulatedUser, World};
use portcullis_response::{IncidentStore, Signal, Status, StepStatus, Target};

use support::{all_on, bench_on, signal};

#[test]
fn twenty_are_contained_the_rest_await_approval_and_nothing_is_lost() {
    let mut world = World::example();
    for i in 0..1_000 {
        let user = SimulatedUser { keys: [(format!("AKIA{i}"), true)].into(), ..SimulatedUser::default() };
        world.users.insert(format!("user-{i}"), user);
    }
    let bench = bench_on(world, all_on());
    let books = all_on();
    let book = books.of(IncidentType::CompromisedCredentials);
    thread::scope(|scope| {
        for lane in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                for i in (lane..1_000).step_by(8) {
                    let targets = vec![Target::User { name: format!("user-{i}") }];
                    let signal = Signal { targets, ..signal(&format!("f-{i}"), book) };
                    // Each is delivered twice, as EventBridge may.
                    bench.respond(&signal).unwrap();
                    bench.respond(&signal).unwrap();
                }
            });
        }
    });
    let all = bench.rig.store.inner().list(None, 2_000).now_or_never().unwrap().unwrap();
    assert_eq!(all.len(), 1_000);
    let contained: Vec<_> = all.iter().filter(|i| i.status == Status::Contained).collect();
    let waiting: Vec<_> = all.iter().filter(|i| i.status == Status::AwaitingApproval).collect();
    assert_eq!((contained.len(), waiting.len()), (20, 980));
    let why =
        |status| move |step: &portcullis_response::Step| step.status == status && step.why.contains("cap");
    assert!(waiting.iter().all(|i| i.steps.iter().any(why(StepStatus::AwaitingApproval))));
    let world = bench.rig.account.world();
    let inactive =
        world.users.values().filter(|u| !u.keys.is_empty() && u.keys.values().all(|active| !active));
    assert_eq!(inactive.count(), 20);
    let ids: BTreeSet<String> = bench
        .rig
        .notifier
        .inner()
        .messages()
        .iter()
        .filter(|m| m.id.ends_with("-opened"))
        .map(|m| m.id.clone())
        .collect();
    assert_eq!(ids.len(), 1_000, "everybody was told of every one");
    bench.assert_nothing_twice("surge");

    let approved = bench.approve(waiting[0]).unwrap();
    assert_eq!(approved.status, Status::Contained);
    bench.rig.clock.advance(3_600_000);
    let next = Signal { targets: vec![Target::User { name: "ana".into() }], ..signal("next", book) };
    assert_eq!(bench.respond(&next).unwrap().status, Status::Contained, "the hour is over");
}
