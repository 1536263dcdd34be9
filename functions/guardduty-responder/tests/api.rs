//! The incident API: who may see and do what, and that it is on record first.

mod support;

use portcullis_audit::AuditError;
use portcullis_response::Status;
use portcullis_response::simulation::{Fault, World};
use serde_json::{Value, json};

use support::{Bench, asking, bench, finding, known_finding};

const ADMIN: Option<&str> = Some("security-admin");
const UNKNOWN: &str = "/incidents/inc-00000000000000000000";

fn path(bench: &Bench, action: &str) -> String {
    format!("/incidents/{}{action}", bench.incident().id)
}

#[test]
fn each_caller_may_do_what_its_roles_say() {
    let bench = asking();
    bench.deliver(&known_finding()).unwrap();
    let (one, approve, release) = (path(&bench, ""), path(&bench, "/approve"), path(&bench, "/release"));
    for (roles, method, target, status) in [
        (None, "GET", "/incidents", 401),
        (None, "POST", &*approve, 401),
        (Some(""), "GET", "/incidents", 403),
        (Some("analyst pii-reader"), "GET", &*one, 403),
        (Some("auditor"), "GET", "/incidents", 200),
        (Some("auditor"), "GET", &*one, 200),
        (Some("auditor"), "POST", &*approve, 403),
        (Some("auditor"), "POST", &*release, 403),
        (ADMIN, "GET", "/incidents", 200),
        (Some("analyst security-admin"), "GET", &*one, 200),
        (ADMIN, "GET", UNKNOWN, 404),
        (ADMIN, "POST", &*format!("{UNKNOWN}/approve"), 404),
        (ADMIN, "POST", &*format!("{UNKNOWN}/release"), 404),
        (ADMIN, "GET", "/incidents/x", 404),
        (ADMIN, "GET", "/incidents/", 404),
        (ADMIN, "GET", "/incidents/../pii", 404),
        (ADMIN, "GET", "/other", 404),
        (ADMIN, "POST", &*format!("{one}/delete"), 404),
        (ADMIN, "POST", &*format!("{one}/"), 404),
        (ADMIN, "POST", "/incidents", 405),
        (ADMIN, "DELETE", &*one, 405),
        (ADMIN, "GET", &*approve, 405),
        (ADMIN, "GET", "/incidents?limit=0", 400),
        (ADMIN, "GET", "/incidents?limit=201", 400),
        (ADMIN, "GET", "/incidents?limit=many", 400),
        (ADMIN, "GET", "/incidents?status=detected", 400),
        (ADMIN, "GET", "/incidents?status=AWAITING_APPROVAL&limit=200", 200),
        // Last, since they change what there is.
        (ADMIN, "POST", &*approve, 200),
        (ADMIN, "POST", &*release, 200),
        (ADMIN, "POST", &*release, 200),
        (ADMIN, "POST", &*approve, 409),
    ] {
        let answer = bench.request(roles, method, target);
        assert_eq!(answer.status, status, "{roles:?} {method} {target}: {}", answer.body);
        let media = &answer.whole["headers"]["Content-Type"];
        let problem = if status == 200 { "application/json" } else { "application/problem+json" };
        assert_eq!(media, problem, "{method} {target}");
        if status != 200 {
            assert_eq!(answer.body["status"], status, "{method} {target}");
        }
    }
}

#[test]
fn lists_are_by_status_and_limit_newest_first() {
    let bench = asking();
    for i in 0..60 {
        bench.deliver(&finding(&format!("f-{i}"))).unwrap();
        bench.clock.advance(1_000);
    }
    let list = |query: &str| -> Vec<Value> {
        let answer = bench.request(ADMIN, "GET", &format!("/incidents{query}"));
        answer.body["incidents"].as_array().unwrap().clone()
    };
    assert_eq!(list("").len(), 50);
    assert_eq!(list("?limit=200").len(), 60);
    assert_eq!(list("?status=CONTAINED").len(), 0);
    let newest = &list("?status=AWAITING_APPROVAL&limit=1")[0];
    assert_eq!(newest["detected_at"], "2026-11-22T10:00:59Z");
    for (name, value) in [
        ("status", json!("AWAITING_APPROVAL")),
        ("incident_type", json!("COMPROMISED_CREDENTIALS")),
        ("severity", json!("high")),
        ("title", json!("Credentials were used from a Tor exit node")),
        ("account", json!("111122223333")),
        ("region", json!("eu-west-1")),
        ("count", json!(1)),
        ("sample", json!(false)),
        ("happened_at", json!("2026-11-22T09:58:00Z")),
    ] {
        assert_eq!(newest[name], value, "{name}");
    }
}

#[test]
fn what_changed_since_it_was_shown_is_not_approved() {
    let bench = asking();
    bench.deliver(&known_finding()).unwrap();
    let approve =
        |query: &str| bench.request(ADMIN, "POST", &path(&bench, &format!("/approve?revision={query}")));
    let revision = bench.request(ADMIN, "GET", &path(&bench, "")).body["revision"].as_u64().unwrap();
    for not_one in ["", "-1", "+1", "x", "99999999999999999999"] {
        assert_eq!(approve(not_one).status, 400, "{not_one:?}");
    }
    let other = approve(&(revision - 1).to_string());
    assert_eq!(other.status, 409);
    assert!(other.body["type"].as_str().unwrap().ends_with("incident-changed"), "{:?}", other.body);
    assert!(bench.audit.codes().contains(&"incident-refused".to_owned()));
    assert_eq!(bench.account().world().without_traces(), World::example().without_traces());
    assert_eq!(approve(&revision.to_string()).body["status"], "CONTAINED");
    assert_eq!(approve(&revision.to_string()).status, 200, "an answer that got lost is asked for again");
}

#[test]
fn what_waits_runs_on_a_word_and_is_undone_by_another() {
    let bench = asking();
    bench.deliver(&known_finding()).unwrap();
    assert_eq!(bench.incident().status, Status::AwaitingApproval);
    assert_eq!(bench.account().world().without_traces(), World::example().without_traces());

    let approved = bench.request(ADMIN, "POST", &path(&bench, "/approve"));
    assert_eq!(approved.body["status"], "CONTAINED");
    assert_eq!(approved.body["approval"]["by"], "ops@portcullis.example");
    assert!(!approved.body["actions_taken"].as_array().unwrap().is_empty());
    assert!(!approved.body["next_steps"].as_array().unwrap().is_empty());
    assert_eq!(approved.body["durations"]["to_detect"], 120);
    assert!(bench.account().world().users["ana"].keys.values().all(|active| !active));

    bench.clock.advance(60_000);
    let released = bench.request(ADMIN, "POST", &path(&bench, "/release"));
    assert_eq!(released.body["incident"]["status"], "RELEASED");
    assert_eq!(released.body["incident"]["durations"]["to_recover"], 60);
    assert_eq!(released.body["not_released"], json!([]));
    assert_eq!(bench.account().world().without_traces(), World::example().without_traces());
    assert_eq!(
        bench.audit.codes(),
        [
            "incident-opened",
            "incident-approved",
            "incident-contained",
            "incident-release-asked",
            "incident-released"
        ]
    );
    let approval = &bench.audit.events()[1];
    assert_eq!(approval["actor"]["user"]["uid"], "ops@portcullis.example");
    assert_eq!(approval["metadata"]["correlation_uid"], "r-2");
    bench.assert_metrics(&[
        ("TimeToRecover", 60_000.0),
        ("IncidentsContained", 1.0),
        ("ApprovalsAwaited", 1.0),
    ]);
}

#[test]
fn reading_and_refusals_are_on_record_before_the_answer() {
    let bench = asking();
    bench.deliver(&known_finding()).unwrap();
    let one = path(&bench, "");
    bench.request(Some("auditor"), "GET", &one);
    bench.request(Some("auditor"), "GET", "/incidents");
    bench.request(Some("analyst"), "POST", &format!("{one}/release"));
    bench.request(None, "GET", "/incidents");
    assert_eq!(
        bench.audit.codes()[1..],
        ["incident-read", "incident-read", "incident-refused", "incident-refused"]
    );
    let refusal = &bench.audit.events()[3];
    assert_eq!(refusal["status_detail"], "forbidden");
    assert_eq!(refusal["api"]["operation"], "POST /incidents/{id}/release");
    assert_eq!(refusal["src_endpoint"]["ip"], "192.0.2.1");

    bench.audit.fail_with(Some(AuditError::Unavailable));
    for (method, target) in [
        ("GET", one.clone()),
        ("GET", "/incidents".to_owned()),
        ("POST", format!("{one}/approve")),
        ("POST", format!("{one}/release")),
    ] {
        let answer = bench.request(ADMIN, method, &target);
        assert_eq!(answer.status, 503, "{method} {target}");
        assert_eq!(answer.body["type"], "urn:portcullis:problem:unavailable");
    }
    let world = bench.account().world().without_traces();
    assert_eq!(world, World::example().without_traces(), "what is not on record is not done");
}

#[test]
fn an_incident_on_which_somebody_works_is_left_alone() {
    let bench = bench();
    let event = known_finding().to_string().into_bytes();
    bench.broken_at(8, Fault::CrashBefore, &event).unwrap();
    let answer = bench.request(ADMIN, "POST", &path(&bench, "/release"));
    assert_eq!((answer.status, &answer.whole["headers"]["Retry-After"]), (409, &json!("120")));
    assert_eq!(answer.body["type"], "urn:portcullis:problem:incident-busy");
    bench.later();
    assert_eq!(bench.request(ADMIN, "POST", &path(&bench, "/release")).status, 200);
}

#[test]
fn a_store_that_is_down_is_said_to_be_and_nothing_else_is() {
    let bench = asking();
    bench.deliver(&known_finding()).unwrap();
    let targets = [("GET", String::new()), ("POST", "/approve".to_owned()), ("POST", "/release".to_owned())];
    let targets = targets.map(|(method, action)| (method, path(&bench, &action)));
    bench.faults.arm_from(0, Fault::Denied);
    for (method, target) in targets.iter().chain([&("GET", "/incidents".to_owned())]) {
        let answer = bench.request(ADMIN, method, target);
        assert_eq!(answer.status, 503, "{method} {target}");
        assert!(!answer.body.to_string().contains("denied"), "{}", answer.body);
    }
}

/// Whatever breaks while an operator approves or releases: asked again, it ends as it should.
#[test]
fn approval_and_release_survive_every_fault() {
    let mut broken = 0;
    for fault in Fault::ALL {
        for action in ["/approve", "/release"] {
            for at in 0.. {
                let bench = if action == "/approve" { asking() } else { bench() };
                bench.deliver(&known_finding()).unwrap();
                let target = path(&bench, action);
                let event = json!({"httpMethod": "POST", "path": target, "requestContext": {
                    "authorizer": {"principalId": "ops", "roles": "security-admin"}}});
                let Some((hit, _)) = bench.broken_at(at, fault, event.to_string().as_bytes()) else { break };
                broken += 1;
                let case = format!("{fault:?} of call {at} of {action}, {hit}");
                bench.later();
                let answer = bench.request(ADMIN, "POST", &target);
                assert_eq!(answer.status, 200, "{case}: {}", answer.body);
                let status = bench.incident().status;
                match action {
                    "/approve" => assert_eq!(status, Status::Contained, "{case}"),
                    _ => {
                        assert_eq!(status, Status::Released, "{case}");
                        let world = bench.account().world().without_traces();
                        assert_eq!(world, World::example().without_traces(), "{case}");
                    }
                }
            }
        }
    }
    assert!(broken > 100, "{broken}");
}
