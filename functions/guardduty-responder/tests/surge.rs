//! A thousand findings at once, each delivered twice, in eight threads, with a cap of 20 an hour.

mod support;

use std::collections::BTreeSet;
use std::thread;

use portcullis_response::simulation::{SimulatedUser, World};
use portcullis_response::{Status, StepStatus};
use serde_json::json;

use support::{bench_on, finding, playbooks};

#[test]
fn twenty_are_contained_the_rest_await_approval_and_nothing_is_lost() {
    let mut world = World::example();
    for i in 0..1_000 {
        let user = SimulatedUser { keys: [(format!("AKIA{i}"), true)].into(), ..SimulatedUser::default() };
        world.users.insert(format!("user-{i}"), user);
    }
    let bench = bench_on(world, playbooks("automatic"));
    thread::scope(|scope| {
        for lane in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                for i in (lane..1_000).step_by(8) {
                    let mut event = finding(&format!("f-{i}"));
                    event["detail"]["resource"]["accessKeyDetails"]["userName"] = json!(format!("user-{i}"));
                    bench.deliver(&event).unwrap();
                    bench.deliver(&event).unwrap();
                }
            });
        }
    });
    let all = bench.incidents();
    assert_eq!(all.len(), 1_000);
    let with = |status| all.iter().filter(move |incident| incident.status == status);
    assert_eq!((with(Status::Contained).count(), with(Status::AwaitingApproval).count()), (20, 980));
    let capped = |step: &portcullis_response::Step| {
        step.status == StepStatus::AwaitingApproval && step.why.contains("cap")
    };
    assert!(with(Status::AwaitingApproval).all(|incident| incident.steps.iter().any(capped)));
    let world = bench.account().world();
    let deactivated =
        world.users.values().filter(|u| !u.keys.is_empty() && u.keys.values().all(|on| !on)).count();
    assert_eq!(deactivated, 20);
    let opened: BTreeSet<String> =
        bench.messages().into_iter().filter(|id| id.ends_with("-opened")).collect();
    assert_eq!(opened.len(), 1_000, "somebody was told of every one");
    let codes = bench.audit.codes();
    let count = |code: &str| codes.iter().filter(|found| *found == code).count();
    assert_eq!((count("incident-opened"), count("incident-contained")), (1_000, 20));
    bench.assert_metrics(&[
        ("IncidentsOpened", 1_000.0),
        ("IncidentsContained", 20.0),
        ("ApprovalsAwaited", 980.0),
    ]);
    bench.assert_nothing_twice("surge");

    let waiting = with(Status::AwaitingApproval).next().unwrap();
    let path = format!("/incidents/{}/approve", waiting.id);
    assert_eq!(bench.request(Some("security-admin"), "POST", &path).body["status"], "CONTAINED");
}
