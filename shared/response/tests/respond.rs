//! The life of incidents: repeats, approval, protection, overlap, expiry, release.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what is not as expected fails the test")]

mod support;

use futures_util::future::FutureExt;
use portcullis_detection::IncidentType;
use portcullis_response::simulation::{SimulatedGroup, World};
use portcullis_response::{
    Band, Disposition, Incident, IpSets, Mode, Playbooks, RespondError, Safety, Signal, Status, StepKind,
    StepStatus, Target, actions_taken, durations, next_steps,
};

use support::{Bench, adapted, all_on, bench, bench_on, shipped, signal, start};

fn of(id: &str, incident: IncidentType) -> Signal {
    signal(id, all_on().of(incident))
}

fn step(incident: &Incident, kind: StepKind) -> &portcullis_response::Step {
    incident.steps.iter().find(|step| step.kind == kind).unwrap()
}

fn now(bench: &Bench) -> portcullis_base::Timestamp {
    portcullis_base::Clock::now(&bench.rig.clock)
}

/// Every step asks.
fn asking() -> Playbooks {
    adapted(|book| {
        (book.dry_run, book.automatic_from) = (false, Band::Low);
        book.steps.iter_mut().filter(|s| s.step.changes()).for_each(|step| step.mode = Mode::Approval);
    })
}

#[test]
fn what_is_shipped_changes_nothing_and_tells_what_it_would_do() {
    for book in shipped().iter() {
        let bench = bench(shipped());
        let incident = bench.respond(&signal("f", book)).unwrap();
        assert_eq!(incident.status, Status::Detected, "{:?}", book.incident);
        let effects = bench.rig.account.effects();
        assert!(effects.iter().all(|e| e.starts_with("guardduty:UpdateFindingsFeedback")), "{effects:?}");
        assert_eq!(bench.rig.account.world().without_traces(), World::example().without_traces());
        let messages = bench.rig.notifier.inner().messages();
        assert_eq!(messages.len(), 1, "{:?}", book.incident);
        assert!(messages[0].body.contains("dry run"), "{}", messages[0].body);
    }
}

#[test]
fn a_plan_is_made_without_a_trace() {
    let bench = bench(all_on());
    let plan = bench.rig.plan(&of("f", IncidentType::CompromisedCredentials)).now_or_never().unwrap();
    assert!(plan.steps.iter().any(|step| step.disposition == Disposition::Run));
    assert!(plan.steps.iter().all(|step| !step.undone_by.is_empty() && !step.why.is_empty()));
    assert_eq!(bench.rig.account.effects(), Vec::<String>::new());
    assert_eq!(bench.rig.notifier.inner().messages(), []);
}

#[test]
fn isolation_goes_through_the_allow_all_group_on_every_interface_after_evidence() {
    let bench = bench(all_on());
    let incident = bench.respond(&of("f", IncidentType::MalwareDetected)).unwrap();
    let effects = bench.rig.account.effects();
    let at =
        |needle: &str| effects.iter().position(|e| e.contains(needle)).unwrap_or_else(|| panic!("{needle}"));
    for interface in ["eni-1", "eni-2"] {
        let first = at(&format!("{interface} sg-vpc-1-portcullis-untracked"));
        let second = at(&format!("{interface} sg-vpc-1-portcullis-isolated"));
        assert!(at("CreateSnapshot vol-2") < first && at("DetachInstances") < first && first < second);
        assert!(at("RevokeSecurityGroupEgress sg-vpc-1-portcullis-isolated 0.0.0.0/0") < first);
        assert!(at("RevokeSecurityGroupEgress sg-vpc-1-portcullis-isolated ::/0") < first);
    }
    let world = bench.rig.account.world();
    assert!(world.groups["sg-vpc-1-portcullis-isolated"].rules.is_empty());
    assert_eq!(world.groups["sg-vpc-1-portcullis-untracked"].rules.len(), 4);
    assert!(world.instances["i-web"].protected);
    assert_eq!(world.snapshots.len(), 2);
    assert_eq!(durations(&incident).to_contain, Some(0));
    let actions = actions_taken(&incident);
    assert!(actions.iter().any(|a| a.contains("isolated interface eni-1")), "{actions:?}");
}

#[test]
fn a_repeat_is_the_same_incident_and_changes_nothing_twice() {
    let bench = bench(all_on());
    let first = bench.respond(&of("f", IncidentType::CompromisedCredentials)).unwrap();
    let effects = bench.rig.account.effects();
    let mut again = of("f", IncidentType::CompromisedCredentials);
    again.count = 9;
    let second = bench.respond(&again).unwrap();
    assert_eq!((first.id, second.signal.count), (second.id, 9));
    assert_eq!(bench.rig.account.effects(), effects);
    assert_eq!(bench.rig.notifier.inner().messages().len(), 2, "opened and outcome, once");
}

#[test]
fn a_rise_in_severity_is_decided_about_anew() {
    let books = adapted(|book| (book.dry_run, book.automatic_from) = (false, Band::High));
    let bench = bench(books);
    let mut quiet = of("f", IncidentType::CompromisedCredentials);
    quiet.severity = Band::Medium;
    let incident = bench.respond(&quiet).unwrap();
    assert_eq!(incident.status, Status::AwaitingApproval);
    assert!(step(&incident, StepKind::DeactivateAccessKeys).why.contains("below HIGH"));
    let incident = bench.respond(&Signal { severity: Band::Critical, ..quiet.clone() }).unwrap();
    assert_eq!(step(&incident, StepKind::DeactivateAccessKeys).status, StepStatus::Done);
    assert_eq!(step(&incident, StepKind::DenyUser).status, StepStatus::AwaitingApproval);
    let incident = bench.respond(&quiet).unwrap();
    assert_eq!(incident.signal.severity, Band::Critical, "it does not fall again");
}

#[test]
fn waiting_steps_run_on_somebodys_word() {
    let bench = bench(asking());
    let incident = bench.respond(&of("f", IncidentType::CompromisedCredentials)).unwrap();
    assert_eq!(incident.status, Status::AwaitingApproval);
    assert!(next_steps(&incident)[0].starts_with("approve or decline"));
    assert_eq!(
        bench.rig.approve(&incident.id, "", None).now_or_never().unwrap().unwrap_err(),
        RespondError::Unnamed
    );
    let incident = bench.approve(&incident).unwrap();
    assert_eq!(incident.status, Status::Contained);
    assert_eq!(incident.approval.as_ref().unwrap().by, "lead");
    assert!(step(&incident, StepKind::DenyUser).why.contains("approved by lead"));
    let unknown = portcullis_response::IncidentId::of("nothing");
    let error = bench.rig.approve(&unknown, "lead", None).now_or_never().unwrap().unwrap_err();
    assert_eq!(error, RespondError::Unknown);
}

#[test]
fn approval_covers_what_waited_and_nothing_that_comes_later() {
    let bench = bench(asking());
    let first = of("f", IncidentType::CompromisedCredentials);
    let incident = bench.respond(&first).unwrap();
    bench.approve(&incident).unwrap();
    let mut wider = Signal { severity: Band::Critical, ..first };
    wider.targets = vec![Target::User { name: "eve".into() }];
    let incident = bench.respond(&wider).unwrap();
    let of_eve = |step: &&portcullis_response::Step| step.target.to_string() == "user/eve";
    assert_eq!(incident.steps.iter().filter(of_eve).count(), 3);
    assert!(incident.steps.iter().filter(of_eve).all(|step| step.status == StepStatus::AwaitingApproval));
    let incident = bench.respond(&Signal { count: 5, ..wider }).unwrap();
    assert_eq!(incident.status, Status::AwaitingApproval, "nor when it is decided about once more");
}

#[test]
fn what_changed_since_it_was_shown_is_not_approved() {
    let bench = bench(asking());
    let first = of("f", IncidentType::CompromisedCredentials);
    let shown = bench.respond(&first).unwrap();
    let mut wider = first;
    wider.targets.push(Target::User { name: "eve".into() });
    let now = bench.respond(&wider).unwrap();
    let approve = |by: &str, seen| bench.rig.approve(&shown.id, by, seen).now_or_never().unwrap();
    assert_eq!(approve("lead", Some(shown.revision)), Err(RespondError::Changed));
    assert!(bench.rig.account.world().users["ana"].policies.is_empty(), "nothing ran");
    let approved = approve("lead", Some(now.revision)).unwrap();
    assert_eq!(approved.status, Status::Contained);
    assert_eq!(
        approve("lead", Some(now.revision)),
        Ok(approved),
        "an answer that got lost is asked for again"
    );
    assert_eq!(approve("other", Some(now.revision)), Err(RespondError::Changed));
}

#[test]
fn a_response_can_move_between_threads() {
    fn sends<F: Future + Send>(_: F) {}
    let bench = bench(all_on());
    let signal = of("f", IncidentType::Backdoor);
    let id = signal.incident_id();
    sends(bench.rig.respond(&signal));
    sends(bench.rig.approve(&id, "lead", None));
    sends(bench.rig.release(&id, "lead"));
    sends(bench.rig.expire(1));
    sends(bench.rig.plan(&signal));
}

#[test]
fn a_block_list_that_does_not_exist_is_a_fault_and_no_containment() {
    let bench = bench(all_on());
    bench.rig.account.change(|world| world.sets.clear());
    let incident = bench.respond(&of("f", IncidentType::DdosAttack)).unwrap();
    assert_eq!(step(&incident, StepKind::BlockAddress).status, StepStatus::Failed);
    assert_eq!(incident.status, Status::Partial);
}

#[test]
fn the_protected_are_never_contained_not_even_with_approval() {
    let tag = |world: &mut World| {
        world.users.get_mut("ana").unwrap().tags.insert("portcullis:protected".into(), "true".into());
    };
    let bench = bench(asking());
    bench.rig.account.change(tag);
    let incident = bench.respond(&of("f", IncidentType::CompromisedCredentials)).unwrap();
    let incident = bench.approve(&incident).unwrap();
    assert_eq!(step(&incident, StepKind::DeactivateAccessKeys).status, StepStatus::Refused);
    assert!(step(&incident, StepKind::DenyUser).why.contains("protected"));
    assert_eq!(incident.status, Status::Partial, "the role is contained, the user is not");
    assert!(bench.rig.account.world().users["ana"].keys["AKIA1"]);
    assert!(next_steps(&incident).iter().any(|next| next.contains("user/ana") && next.contains("protected")));
}

#[test]
fn samples_and_failed_calls_are_never_contained_not_even_with_approval() {
    for (case, sample, containable) in [("sample", true, true), ("failed call", false, false)] {
        for book in all_on().iter() {
            let bench = bench(all_on());
            let signal = Signal { sample, containable, ..signal("f", book) };
            let incident = bench.respond(&signal).unwrap();
            let incident = bench.approve(&incident).unwrap();
            assert_eq!(incident.status, Status::Detected, "{case} {:?}", book.incident);
            let effects = bench.rig.account.effects();
            assert!(
                effects.iter().all(|e| e.starts_with("guardduty:UpdateFindingsFeedback")),
                "{case}: {effects:?}"
            );
            assert!(!sample || effects.is_empty(), "{case}: {effects:?}");
        }
    }
}

#[test]
fn what_is_out_of_reach_is_reported() {
    let bench = bench(all_on());
    let mut signal = of("f", IncidentType::CompromisedCredentials);
    signal.targets = vec![
        Target::role("AWSReservedSSO_Admin_0123456789abcdef"),
        Target::Root { account: "111122223333".into() },
        Target::Cluster { name: "k".into() },
    ];
    let incident = bench.respond(&signal).unwrap();
    assert_eq!(incident.status, Status::Detected);
    assert_eq!(incident.notes.len(), 3);
    let next = next_steps(&incident).join("\n");
    assert!(
        next.contains("Identity Center") && next.contains("root user") && next.contains("cluster"),
        "{next}"
    );
    assert_eq!(bench.rig.account.effects(), Vec::<String>::new());
}

#[test]
fn a_denied_permission_leaves_the_rest_done_and_is_reported() {
    let bench = bench(all_on());
    bench.rig.account.deny("iam:UpdateAccessKey");
    let incident = bench.respond(&of("f", IncidentType::CompromisedCredentials)).unwrap();
    assert_eq!(incident.status, Status::Partial);
    let keys = step(&incident, StepKind::DeactivateAccessKeys);
    assert_eq!(keys.failures.len(), 2, "each key: {:?}", keys.failures);
    assert_eq!(step(&incident, StepKind::DenyUser).status, StepStatus::Done);
    assert!(
        next_steps(&incident)
            .iter()
            .any(|next| next.contains("by hand") && next.contains("iam:UpdateAccessKey"))
    );
    bench.rig.account.allow_all();
    let incident = bench.approve(&incident).unwrap();
    assert_eq!(incident.status, Status::Contained);
}

#[test]
fn a_finding_is_archived_only_when_it_needs_nobody() {
    let book = |mode| {
        adapted(move |book| {
            (book.dry_run, book.automatic_from) = (false, Band::Low);
            book.steps.iter_mut().for_each(|step| {
                step.mode = if step.step == StepKind::BlockAddress { mode } else { Mode::Automatic };
            });
        })
    };
    for (mode, archived) in [(Mode::Automatic, true), (Mode::Approval, false)] {
        let bench = bench(book(mode));
        let incident = bench.respond(&of("f", IncidentType::Generic)).unwrap();
        assert_eq!(bench.rig.account.world().findings["finding"].archived, archived, "{mode:?}");
        if !archived {
            bench.approve(&incident).unwrap();
            assert!(bench.rig.account.world().findings["finding"].archived);
        }
    }
}

#[test]
fn a_key_made_meanwhile_is_deactivated_too_and_restored_as_it_was() {
    let bench = bench(all_on());
    let incident = bench.respond(&of("f", IncidentType::CompromisedCredentials)).unwrap();
    // The process ended before it finished the step; meanwhile the attacker made a key.
    bench.rig.account.change(|world| {
        world.users.get_mut("ana").unwrap().keys.insert("AKIA9".into(), true);
    });
    let again = bench.respond(&of("g", IncidentType::CompromisedCredentials)).unwrap();
    assert!(!bench.rig.account.world().users["ana"].keys["AKIA9"]);
    let first = bench.release(&incident).unwrap();
    assert!(first.remarks.iter().any(|remark| remark.contains(again.id.as_str())), "{first:?}");
    assert!(!bench.rig.account.world().users["ana"].keys["AKIA1"], "the later incident still needs it");
    assert_eq!(first.incident.status, Status::Released);
    assert_eq!(bench.release(&again).unwrap().not_released, []);
    let keys = &bench.rig.account.world().users["ana"].keys;
    assert_eq!((keys["AKIA1"], keys["AKIA2"], keys["AKIA3"], keys["AKIA9"]), (true, true, false, true));
}

#[test]
fn overlapping_incidents_are_released_in_any_order_and_the_last_one_restores() {
    for earlier_first in [true, false] {
        let bench = bench(all_on());
        let one = bench.respond(&of("f", IncidentType::MalwareDetected)).unwrap();
        let other = bench.respond(&of("g", IncidentType::CryptoMining)).unwrap();
        assert_eq!((one.status, other.status), (Status::Contained, Status::Contained));
        let (one, other) = if earlier_first { (one, other) } else { (other, one) };
        let early = bench.release(&one).unwrap();
        assert_eq!((early.not_released.len(), early.incident.status), (0, Status::Released));
        assert!(early.remarks.iter().any(|remark| remark.contains(other.id.as_str())), "{early:?}");
        let instance = bench.rig.account.world().instances["i-web"].clone();
        assert_eq!(instance.interfaces["eni-1"], ["sg-vpc-1-portcullis-isolated"], "still isolated");
        assert!(instance.protected);
        let evidence = |incident: &Incident| format!("portcullis:evidence:{}", incident.id);
        assert!(!instance.tags.contains_key(&evidence(&one)), "its own tag is gone");
        assert!(instance.tags.contains_key(&evidence(&other)));
        assert_eq!(bench.release(&other).unwrap().not_released, []);
        assert_eq!(bench.rig.account.world().without_traces(), World::example().without_traces());
    }
}

#[test]
fn what_was_left_held_by_a_step_that_was_decided_away_is_let_go() {
    use portcullis_response::simulation::Fault;
    let mut held = 0;
    for at in 0.. {
        let mut bench = bench(all_on());
        let signal = of("f", IncidentType::MalwareDetected);
        bench.faults.arm(at, Fault::CrashAfter);
        if bench.rig.respond(&signal).now_or_never().is_some() {
            break;
        }
        let hit = bench.faults.hit().unwrap();
        bench.faults.disarm();
        if hit != "store:hold" {
            continue;
        }
        held += 1;
        bench.later();
        bench.rig.safety = Safety::parse("dry_run: true").unwrap();
        let incident = bench.rig.resume(&signal.incident_id()).now_or_never().unwrap().unwrap();
        let resources: Vec<_> = incident.steps.iter().map(portcullis_response::Step::resource).collect();
        let holders = |bench: &Bench, resource: &String| {
            portcullis_response::Holds::holders(&bench.rig.store, resource).now_or_never().unwrap().unwrap()
        };
        assert!(resources.iter().any(|resource| !holders(&bench, resource).is_empty()), "call {at}");
        let released = bench.release(&incident).unwrap();
        assert_eq!(released.incident.status, Status::Released);
        assert!(resources.iter().all(|resource| holders(&bench, resource).is_empty()), "call {at}");
        assert_eq!(bench.rig.account.world().without_traces(), World::example().without_traces());
    }
    assert!(held > 1, "{held}");
}

#[test]
fn nothing_is_contained_once_a_release_was_asked_for() {
    let bench = bench(asking());
    let first = of("f", IncidentType::CompromisedCredentials);
    let incident = bench.respond(&first).unwrap();
    bench.approve(&incident).unwrap();
    bench.rig.account.deny("iam:UpdateAccessKey");
    let released = bench.release(&incident).unwrap();
    assert_eq!(released.incident.status, Status::Partial);
    assert_eq!(released.incident.release_asked.as_ref().unwrap().by, "lead");
    assert_eq!(
        bench.rig.approve(&incident.id, "lead", None).now_or_never().unwrap(),
        Err(RespondError::Released)
    );
    let mut wider = Signal { severity: Band::Critical, count: 7, ..first };
    wider.targets.push(Target::User { name: "eve".into() });
    let again = bench.respond(&wider).unwrap();
    assert_eq!(again.steps.len(), released.incident.steps.len(), "nothing new is decided");
    assert_eq!(bench.rig.account.world().users["ana"].policies.len(), 0, "what was released stays so");
    bench.rig.account.allow_all();
    let done = bench.rig.resume(&incident.id).now_or_never().unwrap().unwrap();
    assert_eq!(done.status, Status::Released, "the release is carried on: {done:#?}");
    assert!(bench.rig.account.world().users["ana"].keys["AKIA1"]);
    let told = bench.rig.notifier.inner().messages();
    let complete =
        |m: &&portcullis_response::Message| m.id.ends_with("-released") && m.subject.contains("RELEASED");
    assert_eq!(told.iter().filter(complete).count(), 1, "and told of: {told:#?}");
}

#[test]
fn a_release_that_keeps_failing_writes_no_endless_timeline() {
    let bench = bench(all_on());
    let incident = bench.respond(&of("f", IncidentType::DdosAttack)).unwrap();
    bench.rig.account.deny("wafv2:UpdateIPSet");
    bench.rig.clock.advance(7 * 3_600_000);
    let mut lines = Vec::new();
    for _ in 0..5 {
        assert_eq!(bench.rig.expire(10).now_or_never().unwrap().unwrap(), []);
        let stored = portcullis_response::IncidentStore::load(&bench.rig.store, &incident.id);
        lines.push(stored.now_or_never().unwrap().unwrap().unwrap().timeline.len());
        bench.rig.clock.advance(11 * 60_000);
    }
    assert!(lines.iter().all(|count| *count == lines[0]), "{lines:?}");
    bench.rig.account.allow_all();
    assert_eq!(bench.rig.expire(10).now_or_never().unwrap().unwrap(), [incident.id]);
}

#[test]
fn an_incident_whose_expiry_fails_holds_up_no_other() {
    use portcullis_response::simulation::Fault;
    let initial = World::example().without_traces();
    let mut broken = 0;
    for at in 1..12 {
        let bench = bench(all_on());
        bench.respond(&of("f", IncidentType::DdosAttack)).unwrap();
        let mut other = of("g", IncidentType::DdosAttack);
        other.targets = vec![Target::Address { ip: [198, 51, 100, 99].into() }];
        bench.respond(&other).unwrap();
        bench.rig.clock.advance(7 * 3_600_000);
        bench.faults.arm(at, Fault::Denied);
        let expired = bench.rig.expire_while(10, || true).now_or_never().unwrap().unwrap();
        let hit = bench.faults.hit();
        bench.faults.disarm();
        if hit.as_deref() != Some("store:save") {
            continue;
        }
        broken += 1;
        assert_eq!((expired.done.len(), expired.failed.len()), (1, 1), "call {at}");
        bench.later();
        let rest = bench.rig.expire(10).now_or_never().unwrap().unwrap();
        assert_eq!([expired.done, rest].concat().len(), 2, "call {at}");
        assert_eq!(bench.rig.account.world().without_traces().sets, initial.sets, "call {at}");
    }
    assert!(broken > 1, "{broken}");
}

#[test]
fn expiry_stops_when_there_is_no_time() {
    let bench = bench(all_on());
    bench.respond(&of("f", IncidentType::DdosAttack)).unwrap();
    bench.rig.clock.advance(7 * 3_600_000);
    let expired = bench.rig.expire_while(10, || false).now_or_never().unwrap().unwrap();
    assert_eq!(expired, portcullis_response::Expired::default());
    assert_eq!(bench.rig.expire(10).now_or_never().unwrap().unwrap().len(), 1);
}

#[test]
fn many_blocks_of_one_address_end_one_by_one_and_the_last_lets_it_in() {
    let mut bench = bench(all_on());
    bench.rig.safety = Safety::parse("containments_per_hour: 100000").unwrap();
    let address = Target::Address { ip: [198, 51, 100, 7].into() };
    let blocked = |bench: &Bench| {
        let world = bench.rig.account.world();
        world.sets[&portcullis_response::Family::V4].addresses.contains("198.51.100.7/32")
    };
    for n in 0..130 {
        let mut signal = of(&n.to_string(), IncidentType::DdosAttack);
        signal.targets = vec![address.clone()];
        assert_eq!(bench.respond(&signal).unwrap().status, Status::Contained);
        bench.rig.clock.advance(60_000);
    }
    let mut ended = 0;
    // 65 of them are over, the rest are not.
    bench.rig.clock.advance(6 * 3_600_000 - 65 * 60_000 - 30_000);
    for limit in [10, 100] {
        ended += bench.rig.expire(limit).now_or_never().unwrap().unwrap().len();
        assert!(blocked(&bench), "later incidents hold it");
    }
    assert_eq!(ended, 65);
    bench.rig.clock.advance(3 * 3_600_000);
    ended += bench.rig.expire(64).now_or_never().unwrap().unwrap().len();
    assert_eq!((ended, blocked(&bench)), (129, true), "one is left");
    ended += bench.rig.expire(64).now_or_never().unwrap().unwrap().len();
    assert_eq!((ended, blocked(&bench)), (130, false));
    let resource = format!("block_address/{address}");
    let holders = portcullis_response::Holds::holders(&bench.rig.store, &resource);
    assert_eq!(holders.now_or_never().unwrap().unwrap(), []);
}

#[test]
fn a_message_that_was_not_taken_is_sent_again() {
    use portcullis_response::simulation::Fault;
    let mut lost = 0;
    for at in 0.. {
        let bench = bench(all_on());
        let signal = of("f", IncidentType::CompromisedCredentials);
        bench.faults.arm(at, Fault::Denied);
        let answer = bench.respond(&signal);
        let Some(hit) = bench.faults.hit() else { break };
        bench.faults.disarm();
        if hit != "notifier:send" {
            continue;
        }
        lost += 1;
        let mut incident = answer.unwrap();
        if incident.owed.is_some() {
            assert!(incident.is_unfinished(now(&bench)));
            incident = bench.rig.resume(&incident.id).now_or_never().unwrap().unwrap();
        }
        assert_eq!(incident.owed, None, "call {at}");
        assert_eq!(incident.status, Status::Contained, "call {at}");
        assert_eq!(step(&incident, StepKind::Notify).status, StepStatus::Done, "call {at}");
        let told = bench.rig.notifier.inner().messages();
        assert!(told.iter().any(|message| message.id.ends_with("-outcome")), "call {at}: {told:?}");
        assert!(!incident.is_unfinished(now(&bench)));
    }
    assert_eq!(lost, 2, "the plan and the outcome");
}

#[test]
fn a_message_that_nobody_takes_for_a_day_is_given_up() {
    let bench = bench(all_on());
    let mut incident = bench.respond(&of("f", IncidentType::Generic)).unwrap();
    let since = now(&bench);
    incident.owed = Some(portcullis_response::Owed { phase: portcullis_response::Phase::Outcome, since });
    assert!(incident.is_unfinished(since));
    bench.rig.clock.advance(24 * 3_600_000);
    assert!(!incident.is_unfinished(now(&bench)));
}

#[test]
fn revoked_sessions_are_those_that_began_before_the_try_that_succeeded() {
    let bench = bench(all_on());
    bench.rig.account.deny("iam:PutRolePolicy");
    let incident = bench.respond(&of("f", IncidentType::CompromisedCredentials)).unwrap();
    assert_eq!(step(&incident, StepKind::RevokeRoleSessions).status, StepStatus::Failed);
    bench.rig.account.allow_all();
    bench.rig.clock.advance(3_600_000);
    let incident = bench.approve(&incident).unwrap();
    assert_eq!(incident.status, Status::Contained);
    let revoked = |bench: &Bench| -> Vec<String> {
        let world = bench.rig.account.world();
        world.roles.values().flat_map(|role| role.policies.values().cloned()).collect()
    };
    let policies = revoked(&bench);
    assert!(policies.iter().all(|policy| policy.contains("2026-11-22T11:00:30.000Z")), "{policies:?}");
    assert_eq!(policies.len(), 1);
    bench.rig.clock.advance(3_600_000);
    bench
        .respond(&Signal { severity: Band::Critical, ..of("f", IncidentType::CompromisedCredentials) })
        .unwrap();
    assert_eq!(revoked(&bench), policies, "what is in place stays");
}

#[test]
fn what_a_repeat_adds_is_decided_about() {
    let bench = bench(all_on());
    let first = of("f", IncidentType::CompromisedCredentials);
    bench.respond(&first).unwrap();
    let told = bench.rig.notifier.inner().messages().len();
    bench.rig.account.change(|world| {
        let ana = world.users["ana"].clone();
        world.users.insert("eve".into(), ana);
    });
    let mut wider = first;
    wider.targets.push(Target::User { name: "eve".into() });
    let incident = bench.respond(&wider).unwrap();
    let of_eve = |step: &&portcullis_response::Step| step.target.to_string() == "user/eve";
    assert!(incident.steps.iter().filter(of_eve).count() > 0);
    assert!(incident.steps.iter().filter(of_eve).all(|step| step.status == StepStatus::Done));
    assert_eq!(bench.rig.account.world().users["eve"].policies.len(), 1);
    assert!(bench.rig.notifier.inner().messages().len() > told);
}

#[test]
fn what_expired_comes_back_only_with_the_attacker_and_people_are_told() {
    let cidr = "198.51.100.7/32".to_owned();
    let blocked = |bench: &Bench| {
        bench.rig.account.world().sets[&portcullis_response::Family::V4].addresses.contains(&cidr)
    };
    let expired = |playbooks, approved: bool| {
        let bench = bench(playbooks);
        let incident = bench.respond(&of("f", IncidentType::DdosAttack)).unwrap();
        if approved {
            bench.approve(&incident).unwrap();
        }
        assert!(blocked(&bench));
        bench.rig.clock.advance(7 * 3_600_000);
        assert_eq!(bench.rig.expire(10).now_or_never().unwrap().unwrap().len(), 1);
        (bench, incident)
    };
    let back = Signal { count: 2, ..of("f", IncidentType::DdosAttack) };

    let (bench, incident) = expired(all_on(), false);
    let told = bench.rig.notifier.inner().messages().len();
    bench.approve(&incident).unwrap();
    assert!(!blocked(&bench), "a later decision brings no block back");
    bench.respond(&back).unwrap();
    assert!(blocked(&bench), "the attacker does");
    assert!(bench.rig.notifier.inner().messages().len() > told + 1, "and people are told");

    let (bench, _) = expired(asking(), true);
    let incident = bench.respond(&back).unwrap();
    assert!(!blocked(&bench), "somebody's word was for the block that is over");
    assert_eq!(step(&incident, StepKind::BlockAddress).status, StepStatus::AwaitingApproval);
    bench.approve(&incident).unwrap();
    assert!(blocked(&bench));
}

#[test]
fn an_approval_does_not_cover_a_protection_that_cannot_be_read() {
    let bench = bench(asking());
    let incident = bench.respond(&of("f", IncidentType::CompromisedCredentials)).unwrap();
    bench.rig.account.deny("iam:ListUserTags");
    let incident = bench.approve(&incident).unwrap();
    let deny = step(&incident, StepKind::DenyUser);
    assert_eq!(deny.status, StepStatus::AwaitingApproval);
    assert!(deny.why.contains("may be protected"), "{}", deny.why);
    assert!(bench.rig.account.world().users["ana"].policies.is_empty());
    let incident = bench.approve(&incident).unwrap();
    assert_eq!(step(&incident, StepKind::DenyUser).status, StepStatus::Done, "given on exactly that reason");
}

#[test]
fn an_incident_from_before_reads_as_it_was() {
    let bench = bench(all_on());
    let incident = bench.respond(&of("f", IncidentType::Generic)).unwrap();
    let mut json = serde_json::to_value(&incident).unwrap();
    let members = json.as_object_mut().unwrap();
    assert!(!members.contains_key("release_asked") && !members.contains_key("owed"));
    assert_eq!(serde_json::from_value::<Incident>(json).unwrap(), incident);
}

#[test]
fn blocks_end_by_themselves_and_come_back_with_the_attacker() {
    let bench = bench(all_on());
    let cidr = "198.51.100.7/32".to_owned();
    let blocked = |bench: &Bench| {
        bench.rig.account.world().sets[&portcullis_response::Family::V4].addresses.contains(&cidr)
    };
    let incident = bench.respond(&of("f", IncidentType::DdosAttack)).unwrap();
    assert!(blocked(&bench));
    bench.rig.clock.advance(6 * 3_600_000 - 1);
    assert_eq!(bench.rig.expire(10).now_or_never().unwrap().unwrap(), []);
    bench.rig.clock.advance(1);
    assert_eq!(bench.rig.expire(10).now_or_never().unwrap().unwrap(), [incident.id]);
    assert!(!blocked(&bench));
    assert_eq!(bench.rig.expire(10).now_or_never().unwrap().unwrap(), [], "once");
    let again = Signal { count: 2, ..of("f", IncidentType::DdosAttack) };
    let incident = bench.respond(&again).unwrap();
    assert!(blocked(&bench));
    bench.release(&incident).unwrap();
    assert!(!blocked(&bench));
    let released = bench.respond(&Signal { count: 3, ..again }).unwrap();
    assert!(!blocked(&bench), "a person released it");
    assert_eq!(released.status, Status::Released);
    let messages = bench.rig.notifier.inner().messages();
    assert!(messages.iter().any(|m| m.subject.contains("SEEN AGAIN")));
}

#[test]
fn an_address_that_was_blocked_before_stays_blocked() {
    let bench = bench(all_on());
    bench.rig.account.change(|world| {
        let set = world.sets.get_mut(&portcullis_response::Family::V4).unwrap();
        set.addresses.insert("198.51.100.7/32".into());
    });
    let before = bench.rig.account.world();
    let incident = bench.respond(&of("f", IncidentType::DdosAttack)).unwrap();
    bench.release(&incident).unwrap();
    assert_eq!(bench.rig.account.world().sets, before.sets);
}

#[test]
fn a_stale_lock_token_is_read_again() {
    let bench = bench(all_on());
    bench.rig.account.lag_by(1);
    let account = &bench.rig.account;
    let mut set = account.address_set(portcullis_response::Family::V4).now_or_never().unwrap().unwrap();
    set.addresses.insert("192.0.2.0/24".into());
    account.update_address_set(portcullis_response::Family::V4, &set).now_or_never().unwrap().unwrap();
    let mut signal = of("f", IncidentType::DdosAttack);
    signal.targets.retain(|target| matches!(target, Target::Address { .. }));
    let incident = bench.respond(&signal).unwrap();
    assert_eq!(incident.status, Status::Contained);
    let addresses = bench.rig.account.world().sets[&portcullis_response::Family::V4].addresses.clone();
    assert!(addresses.contains("192.0.2.0/24") && addresses.contains("198.51.100.7/32"));
}

#[test]
fn release_says_what_it_could_not_restore() {
    let bench = bench(all_on());
    let incident = bench.respond(&of("f", IncidentType::Backdoor)).unwrap();
    bench.rig.account.change(|world| {
        world.users.get_mut("ana").unwrap().keys.remove("AKIA1");
        world.instances.get_mut("i-web").unwrap().interfaces.remove("eni-2");
    });
    let released = bench.release(&incident).unwrap();
    assert_eq!(released.not_released, []);
    let remarks = released.remarks.join("\n");
    for what in
        ["AKIA1 was deleted", "eni-2 is no longer", "former password cannot", "snapshots", "replacement"]
    {
        assert!(remarks.contains(what), "{what}: {remarks}");
    }
    let world = bench.rig.account.world();
    assert!(world.users["ana"].keys["AKIA2"]);
    assert_eq!(world.users["ana"].login, Some(false));
    assert_eq!(world.instances["i-web"].interfaces["eni-1"], ["sg-web", "sg-base"]);
    assert_eq!(released.incident.status, Status::Released);
}

#[test]
fn what_no_longer_exists_holds_nothing_up() {
    let bench = bench_on(World::default(), all_on());
    let incident = bench.respond(&of("f", IncidentType::Backdoor)).unwrap();
    assert!(step(&incident, StepKind::DenyUser).why.contains("no longer exists"), "{incident:#?}");
    assert_eq!(bench.release(&incident).unwrap().not_released, []);
}

#[test]
fn two_containers_do_not_work_on_one_incident() {
    let bench = bench(all_on());
    let signal = of("f", IncidentType::Backdoor);
    bench.faults.arm(20, portcullis_response::simulation::Fault::CrashBefore);
    assert!(bench.rig.respond(&signal).now_or_never().is_none());
    bench.faults.disarm();
    let id = signal.incident_id();
    assert_eq!(bench.respond(&signal).unwrap_err(), RespondError::Busy);
    assert_eq!(bench.rig.release(&id, "lead").now_or_never().unwrap().unwrap_err(), RespondError::Busy);
    bench.later();
    let incident = bench.rig.resume(&id).now_or_never().unwrap().unwrap();
    assert_eq!(incident.status, Status::Contained);
    assert_eq!(bench.rig.resume(&id).now_or_never().unwrap().unwrap(), incident, "nothing is left");
    bench.assert_nothing_twice("resumed");
}

#[test]
fn a_group_that_somebody_weakened_is_emptied_again() {
    let bench = bench(all_on());
    let first = bench.respond(&of("f", IncidentType::MalwareDetected)).unwrap();
    bench.release(&first).unwrap();
    bench.rig.account.change(|world| {
        let open = world.groups["sg-vpc-1-portcullis-untracked"].rules.clone();
        world.groups.get_mut("sg-vpc-1-portcullis-isolated").unwrap().rules = open;
    });
    let second = bench.respond(&of("g", IncidentType::MalwareDetected)).unwrap();
    assert_eq!(second.status, Status::Contained);
    assert!(bench.rig.account.world().groups["sg-vpc-1-portcullis-isolated"].rules.is_empty());
}

#[test]
fn whoever_took_the_names_of_the_groups_does_not_stop_isolation() {
    let bench = bench(all_on());
    bench.rig.account.change(|world| {
        for name in ["portcullis-untracked", "portcullis-isolated"] {
            let (vpc, name) = ("vpc-1".to_owned(), name.to_owned());
            let squatter = SimulatedGroup { vpc, name: name.clone(), rules: [].into(), ours: false };
            world.groups.insert(format!("sg-of-{name}"), squatter);
        }
    });
    let incident = bench.respond(&of("f", IncidentType::MalwareDetected)).unwrap();
    assert_eq!(incident.status, Status::Contained);
    let world = bench.rig.account.world();
    for groups in world.instances["i-web"].interfaces.values() {
        let [id] = groups.as_slice() else { panic!("{groups:?}") };
        assert!(world.groups[id].ours && world.groups[id].name.starts_with("portcullis-isolated-"), "{id}");
        assert!(world.groups[id].rules.is_empty(), "{id}");
    }
}

#[test]
fn times_are_measured() {
    let bench = bench(asking());
    bench.rig.clock.advance(90_000);
    let incident = bench.respond(&of("f", IncidentType::Backdoor)).unwrap();
    bench.rig.clock.advance(600_000);
    let incident = bench.approve(&incident).unwrap();
    bench.rig.clock.advance(3_600_000);
    let released = bench.release(&incident).unwrap().incident;
    let times = durations(&released);
    assert_eq!(released.times.happened, start());
    assert_eq!((times.to_detect, times.to_notify), (90, Some(0)));
    assert_eq!((times.to_contain, times.to_recover), (Some(600), Some(4_200)));
}

#[test]
fn a_dry_run_of_the_safety_rules_rules_every_playbook() {
    let mut bench = bench(all_on());
    bench.rig.safety = Safety::parse("dry_run: true").unwrap();
    let incident = bench.respond(&of("f", IncidentType::Backdoor)).unwrap();
    let incident = bench.approve(&incident).unwrap();
    assert_eq!(incident.status, Status::Detected);
    assert_eq!(bench.rig.account.world().without_traces(), World::example().without_traces());
}
