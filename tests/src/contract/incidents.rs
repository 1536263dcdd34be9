//! The contracts of [`IncidentStore`], [`Holds`] and [`CapStore`]: one incident for one signal, one writer at a time, a
//! list of holders for each resource, and a cap that holds whoever asks at once.

#![expect(clippy::expect_used, reason = "test support: a panic is a failed test")]

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use jiff::SignedDuration;
use portcullis_base::Timestamp;
use portcullis_response::simulation::example_signal;
use portcullis_response::{
    Approval, CapStore, Created, Holds, Incident, IncidentId, IncidentStore, Phase, PortError, PortResult,
    Saved, Slot, State, Status, Step, StepKind, StepStatus, Target,
};

use super::fresh;

/// Runs the suite of incidents over handles of one store, each as a container of its own would have it.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite<S: IncidentStore>(stores: &[S]) {
    an_incident_is_created_once(stores).await;
    of_many_that_create_at_once_one_does(stores).await;
    all_of_an_incident_is_read_back(stores).await;
    only_the_revision_that_was_read_is_replaced(stores).await;
    of_many_that_save_at_once_one_does(stores).await;
    lists_are_newest_first_and_by_status(stores).await;
    lists_go_over_many_and_stop_at_their_limit(stores).await;
    what_is_due_is_told_until_it_is_no_longer(stores).await;
    what_is_left_is_told_until_somebody_comes_to_the_end(stores).await;
    what_is_too_large_is_refused_and_changes_nothing(stores).await;
}

/// Runs the suite of holds.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn holds<S: Holds>(stores: &[S]) {
    holders_are_told_in_the_order_in_which_they_took_hold(stores).await;
    who_takes_hold_again_keeps_its_place(stores).await;
    who_lets_go_leaves_the_others_in_their_places(stores).await;
    who_let_go_takes_hold_anew_at_the_end(stores).await;
    resources_are_apart(stores).await;
    of_many_that_hold_at_once_all_do(stores).await;
    of_many_that_come_and_go_at_once_nobody_is_lost(stores).await;
    long_names_of_resources_stay_apart(stores).await;
}

/// Runs the suite of the cap, over a store whose cap nobody else uses.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn cap<S: CapStore>(stores: &[S]) {
    the_cap_counts_the_window_that_ends_now(stores).await;
    of_many_at_once_exactly_so_many_are_granted(stores).await;
    one_incident_takes_one_slot_however_often_it_asks(stores).await;
}

async fn an_incident_is_created_once<S: IncidentStore>(stores: &[S]) {
    let incident = new();
    assert_eq!(pick(stores, 0).load(&incident.id).await, Ok(None));
    assert_eq!(pick(stores, 0).create(&incident).await, Ok(Created::New));
    let mut again = incident.clone();
    again.signal.count = 7;
    let exists = Ok(Created::Exists(Box::new(incident.clone())));
    assert_eq!(pick(stores, 1).create(&again).await, exists, "the first one stays");
    assert_eq!(pick(stores, 2).load(&incident.id).await, Ok(Some(incident)));
}

async fn of_many_that_create_at_once_one_does<S: IncidentStore>(stores: &[S]) {
    let incident = &new();
    let created =
        join_all((0..8).map(|n| settled(move || pick(stores, n).create(incident), PortResult::is_ok))).await;
    let new = created.iter().filter(|created| **created == Ok(Created::New)).count();
    assert_eq!(new, 1, "{created:?}");
    let exists = Ok(Created::Exists(Box::new(incident.clone())));
    assert!(created.iter().all(|created| *created == Ok(Created::New) || *created == exists));
}

async fn all_of_an_incident_is_read_back<S: IncidentStore>(stores: &[S]) {
    let incident = full();
    assert_eq!(pick(stores, 0).create(&incident).await, Ok(Created::New));
    assert_eq!(pick(stores, 1).load(&incident.id).await, Ok(Some(incident)));
}

async fn only_the_revision_that_was_read_is_replaced<S: IncidentStore>(stores: &[S]) {
    let first = new();
    let second = Incident { revision: 1, notes: vec!["second".into()], ..first.clone() };
    let third = Incident { revision: 2, notes: vec!["third".into()], ..first.clone() };
    assert_eq!(pick(stores, 0).save(&second, 0).await, Ok(Saved::Conflict), "there is none");
    assert_eq!(pick(stores, 0).load(&first.id).await, Ok(None));
    assert_eq!(pick(stores, 0).create(&first).await, Ok(Created::New));
    assert_eq!(pick(stores, 1).save(&third, 1).await, Ok(Saved::Conflict), "not yet");
    assert_eq!(pick(stores, 2).save(&second, 0).await, Ok(Saved::Yes));
    assert_eq!(pick(stores, 0).save(&third, 0).await, Ok(Saved::Conflict), "no longer");
    assert_eq!(pick(stores, 1).load(&first.id).await, Ok(Some(second)));
    assert_eq!(pick(stores, 1).save(&third, 1).await, Ok(Saved::Yes));
    assert_eq!(pick(stores, 0).load(&first.id).await, Ok(Some(third)));
}

async fn of_many_that_save_at_once_one_does<S: IncidentStore>(stores: &[S]) {
    let first = &new();
    assert_eq!(pick(stores, 0).create(first).await, Ok(Created::New));
    let saves = join_all((0..8).map(|n| async move {
        let own = Incident { revision: 1, notes: vec![n.to_string()], ..first.clone() };
        (settled(|| pick(stores, n).save(&own, 0), PortResult::is_ok).await, own)
    }))
    .await;
    let mut saved = saves.into_iter().filter(|(saved, _)| *saved == Ok(Saved::Yes));
    let (_, winner) = saved.next().expect("somebody saves");
    assert!(saved.next().is_none(), "two saved");
    assert_eq!(pick(stores, 0).load(&first.id).await, Ok(Some(winner)));
}

async fn lists_are_newest_first_and_by_status<S: IncidentStore>(stores: &[S]) {
    let mut all = Vec::new();
    for n in [2, 0, 3, 1] {
        let mut incident = new_at(Timestamp::from_second(FAR + n).expect("a time"));
        if n == 3 {
            incident.status = Status::Partial;
        }
        assert_eq!(pick(stores, n).create(&incident).await, Ok(Created::New));
        all.push(incident);
    }
    all.sort_by_key(|incident| std::cmp::Reverse(incident.times.detected));
    let own: Vec<IncidentId> = all.iter().map(|i| i.id.clone()).collect();
    let (newest, rest) = all.split_first_mut().expect("four");
    let listed = async |status| {
        let list = pick(stores, 1).list(status, 1000).await.expect("a list");
        list.into_iter().filter(|incident| own.contains(&incident.id)).collect::<Vec<_>>()
    };
    assert_eq!(listed(Some(Status::Detected)).await, rest);
    assert_eq!(listed(Some(Status::Partial)).await, std::slice::from_ref(newest));
    assert_eq!(listed(Some(Status::Containing)).await, []);
    assert_eq!(listed(None).await, [std::slice::from_ref(newest), rest].concat());
    let first = pick(stores, 0).list(Some(Status::Partial), 1).await.expect("a list");
    assert!(first.len() == 1 && first.iter().all(|first| first.times.detected >= newest.times.detected));
    assert_eq!(pick(stores, 0).list(None, 0).await, Ok(vec![]));

    (newest.status, newest.revision) = (Status::Containing, 1);
    assert_eq!(pick(stores, 2).save(newest, 0).await, Ok(Saved::Yes));
    assert_eq!(listed(Some(Status::Partial)).await, [], "it changed its status");
    assert_eq!(listed(Some(Status::Containing)).await, std::slice::from_ref(newest));
    assert_eq!(listed(None).await, all);
}

/// More than one page of any adapter, in bytes: 50 incidents of 60 KB.
async fn lists_go_over_many_and_stop_at_their_limit<S: IncidentStore>(stores: &[S]) {
    let mut own = BTreeSet::new();
    for n in 0..50 {
        let mut incident = new_at(Timestamp::from_second(FAR + 1000 + n).expect("a time"));
        incident.status = Status::Contained;
        incident.notes = vec!["x".repeat(60_000)];
        assert_eq!(pick(stores, n).create(&incident).await, Ok(Created::New));
        own.insert(incident.id);
    }
    for limit in [1, 49, 50] {
        let list = pick(stores, 0).list(Some(Status::Contained), limit).await.expect("a list");
        assert_eq!(list.len(), limit);
        assert!(list.is_sorted_by_key(|incident| std::cmp::Reverse(incident.times.detected)));
    }
    let list = pick(stores, 1).list(None, 1000).await.expect("a list");
    assert_eq!(list.iter().filter(|incident| own.contains(&incident.id)).count(), 50);
}

async fn what_is_due_is_told_until_it_is_no_longer<S: IncidentStore>(stores: &[S]) {
    let due = Timestamp::from_nanosecond(1_700_000_000_000_000_001).expect("a time");
    let before = Timestamp::from_nanosecond(1_700_000_000_000_000_000).expect("a time");
    let incident = Incident { expires_at: Some(due), ..new() };
    let never = new();
    for incident in [&incident, &never] {
        assert_eq!(pick(stores, 0).create(incident).await, Ok(Created::New));
    }
    let expired = async |now: Timestamp| {
        let ids = pick(stores, 1).expired(now, 1000).await.expect("ids");
        assert!(!ids.contains(&never.id), "it has no end");
        ids.contains(&incident.id)
    };
    for (label, now, told) in
        [("before", before, false), ("then", due, true), ("later", Timestamp::MAX, true)]
    {
        assert_eq!(expired(now).await, told, "{label}");
    }
    assert_eq!(pick(stores, 0).expired(Timestamp::MAX, 0).await, Ok(vec![]));
    let other = Incident { expires_at: Some(before), ..new() };
    assert_eq!(pick(stores, 0).create(&other).await, Ok(Created::New));
    assert_eq!(pick(stores, 0).expired(due, 1).await.map(|ids| ids.len()), Ok(1));
    for (revision, expires_at, told) in
        [(1, Some(Timestamp::MAX), false), (2, Some(due), true), (3, None, false)]
    {
        let changed = Incident { expires_at, revision, ..incident.clone() };
        assert_eq!(pick(stores, 2).save(&changed, revision - 1).await, Ok(Saved::Yes));
        assert_eq!(expired(due).await, told, "{expires_at:?}");
    }
}

/// A lease that is over, an end that is not on record: whatever the status, and whatever end its blocks have.
async fn what_is_left_is_told_until_somebody_comes_to_the_end<S: IncidentStore>(stores: &[S]) {
    let at = |second| Timestamp::from_second(FAR + 100_000 + second).expect("a time");
    let left = async |now: Timestamp| pick(stores, 1).left(now, 1000).await.expect("incidents");
    let mut incident = new();
    (incident.status, incident.expires_at) = (Status::Released, Some(at(0)));
    incident.recorded = Some(incident.to_record());
    incident.take_lease(at(0));
    let until = incident.lease.expect("a lease").until;
    let just_before = until.checked_sub(SignedDuration::from_nanos(1)).expect("a time");
    let mut later = new();
    later.take_lease(at(60));
    let calm = new();
    for incident in [&incident, &later, &calm] {
        assert_eq!(pick(stores, 0).create(incident).await, Ok(Created::New));
    }
    assert!(!left(just_before).await.contains(&incident), "somebody works on it");
    assert!(left(until).await.contains(&incident));
    let all = left(at(1000)).await;
    let place = |of: &Incident| all.iter().position(|one| one == of);
    assert!(place(&later) < place(&incident) && place(&later).is_some(), "the latest first");
    assert_eq!(place(&calm), None, "nobody left it");
    assert_eq!(pick(stores, 0).left(at(1000), 1).await, Ok(vec![later.clone()]));
    let expired = pick(stores, 2).expired(at(0), 1000).await.expect("ids");
    assert!(expired.contains(&incident.id), "its end is told all the same");

    (incident.lease, incident.revision) = (None, 1);
    assert_eq!(pick(stores, 2).save(&incident, 0).await, Ok(Saved::Yes));
    assert!(!left(Timestamp::MAX).await.contains(&incident), "it came to the end");
    (incident.recorded, incident.revision) = (None, 2);
    assert_eq!(pick(stores, 2).save(&incident, 1).await, Ok(Saved::Yes));
    assert!(left(Timestamp::MAX).await.contains(&incident), "its end is not on record");
    (later.lease, later.revision) = (None, 1);
    incident.recorded = Some(incident.to_record());
    incident.revision = 3;
    for (incident, before) in [(&later, 0), (&incident, 2)] {
        assert_eq!(pick(stores, 0).save(incident, before).await, Ok(Saved::Yes));
    }
}

/// Nothing that a responder writes comes near; what does is refused before it is sent.
async fn what_is_too_large_is_refused_and_changes_nothing<S: IncidentStore>(stores: &[S]) {
    let large = |incident: &Incident, bytes| Incident {
        notes: vec!["x".repeat(bytes)],
        revision: incident.revision + 1,
        ..incident.clone()
    };
    let incident = new();
    assert_eq!(pick(stores, 0).create(&incident).await, Ok(Created::New));
    let fits = large(&incident, 350_000);
    assert_eq!(pick(stores, 0).save(&fits, 0).await, Ok(Saved::Yes));
    let refused = pick(stores, 0).save(&large(&fits, 410_000), 1).await;
    assert!(matches!(refused, Err(PortError::Refused(_))), "{refused:?}");
    assert_eq!(pick(stores, 1).load(&incident.id).await, Ok(Some(fits)));
    let other = large(&new(), 410_000);
    let refused = pick(stores, 0).create(&other).await;
    assert!(matches!(refused, Err(PortError::Refused(_))), "{refused:?}");
    assert_eq!(pick(stores, 1).load(&other.id).await, Ok(None));
}

async fn holders_are_told_in_the_order_in_which_they_took_hold<S: Holds>(stores: &[S]) {
    let resource = fresh("resource");
    let ids: Vec<_> = (0..5).map(|_| id()).collect();
    assert_eq!(pick(stores, 0).holders(&resource).await, Ok(vec![]), "nobody holds it");
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(pick(stores, 0).hold(&resource, id).await, Ok(()));
        for handle in 0..3 {
            let held = pick(stores, handle).holders(&resource).await;
            assert_eq!(held, Ok(ids.iter().take(n + 1).cloned().collect()), "every handle sees it at once");
        }
    }
}

async fn who_takes_hold_again_keeps_its_place<S: Holds>(stores: &[S]) {
    let resource = fresh("resource");
    let [a, b] = [id(), id()];
    for (handle, id) in (0..).zip([&a, &a, &b, &a, &b]) {
        assert_eq!(pick(stores, handle).hold(&resource, id).await, Ok(()));
    }
    assert_eq!(pick(stores, 1).holders(&resource).await, Ok(vec![a, b]));
}

async fn who_lets_go_leaves_the_others_in_their_places<S: Holds>(stores: &[S]) {
    let forgotten: [(&str, &[usize], &[usize]); 7] = [
        ("the first", &[0], &[1, 2, 3]),
        ("one between", &[1], &[0, 2, 3]),
        ("the last", &[3], &[0, 1, 2]),
        ("twice is once", &[2, 2], &[0, 1, 3]),
        ("one that never held", &[4], &[0, 1, 2, 3]),
        ("from both ends", &[3, 0], &[1, 2]),
        ("all but the first", &[1, 3, 2], &[0]),
    ];
    for (label, gone, left) in forgotten {
        let resource = fresh("resource");
        let [a, b, c, d, e] = &[id(), id(), id(), id(), id()];
        let all = |places: &[usize]| -> Vec<IncidentId> {
            places.iter().filter_map(|n| [a, b, c, d, e].get(*n).copied().cloned()).collect()
        };
        for id in [a, b, c, d] {
            assert_eq!(pick(stores, 0).hold(&resource, id).await, Ok(()), "{label}");
        }
        for id in all(gone) {
            assert_eq!(pick(stores, 1).forget_hold(&resource, &id).await, Ok(()), "{label}");
        }
        assert_eq!(pick(stores, 2).holders(&resource).await, Ok(all(left)), "{label}");
    }
}

async fn who_let_go_takes_hold_anew_at_the_end<S: Holds>(stores: &[S]) {
    let resource = fresh("resource");
    let [a, b] = [id(), id()];
    for id in [&a, &b] {
        assert_eq!(pick(stores, 0).hold(&resource, id).await, Ok(()));
    }
    assert_eq!(pick(stores, 1).forget_hold(&resource, &a).await, Ok(()));
    assert_eq!(pick(stores, 2).hold(&resource, &a).await, Ok(()));
    assert_eq!(pick(stores, 0).holders(&resource).await, Ok(vec![b.clone(), a.clone()]));
    for id in [&b, &a] {
        assert_eq!(pick(stores, 1).forget_hold(&resource, id).await, Ok(()));
    }
    assert_eq!(pick(stores, 2).holders(&resource).await, Ok(vec![]), "all let go");
    assert_eq!(pick(stores, 0).hold(&resource, &b).await, Ok(()));
    assert_eq!(pick(stores, 1).holders(&resource).await, Ok(vec![b]), "and it can be held again");
}

async fn resources_are_apart<S: Holds>(stores: &[S]) {
    let [one, other] = [fresh("resource"), fresh("resource")];
    let [a, b] = [id(), id()];
    for (resource, id) in [(&one, &a), (&other, &a), (&other, &b)] {
        assert_eq!(pick(stores, 0).hold(resource, id).await, Ok(()));
    }
    assert_eq!(pick(stores, 1).forget_hold(&other, &a).await, Ok(()));
    assert_eq!(pick(stores, 2).holders(&one).await, Ok(vec![a]));
    assert_eq!(pick(stores, 2).holders(&other).await, Ok(vec![b]));
}

async fn of_many_that_hold_at_once_all_do<S: Holds>(stores: &[S]) {
    let resource = &fresh("resource");
    let [first, last] = [id(), id()];
    let ids: Vec<_> = (0..8).map(|_| id()).collect();
    assert_eq!(pick(stores, 0).hold(resource, &first).await, Ok(()));
    assert_all_hold(stores, resource, &ids).await;
    assert_eq!(pick(stores, 0).hold(resource, &last).await, Ok(()));
    let held = pick(stores, 1).holders(resource).await.expect("an answer");
    let (head, others) = held.split_first().expect("a holder");
    let (tail, between) = others.split_last().expect("another holder");
    assert_eq!((head, tail), (&first, &last), "who held before, and who came after");
    assert_same(between, &ids);
    assert_all_let_go(stores, resource, &ids).await;
    assert_eq!(pick(stores, 2).holders(resource).await, Ok(vec![first, last]));
}

async fn of_many_that_come_and_go_at_once_nobody_is_lost<S: Holds>(stores: &[S]) {
    let resource = &fresh("resource");
    let [stays, also] = [id(), id()];
    let [mut going, coming]: [Vec<_>; 2] = [(); 2].map(|()| (0..4).map(|_| id()).collect());
    let later = going.split_off(2);
    for held in [&going, &vec![stays.clone()], &later, &vec![also.clone()]].into_iter().flatten() {
        assert_eq!(pick(stores, 0).hold(resource, held).await, Ok(()));
    }
    going.extend(later);
    join(assert_all_let_go(stores, resource, &going), assert_all_hold(stores, resource, &coming)).await;
    let held = pick(stores, 1).holders(resource).await.expect("an answer");
    let (before, came) = held.split_at_checked(2).expect("two that stay");
    assert_eq!(before, [stays, also]);
    assert_same(came, &coming);
}

async fn assert_all_hold<S: Holds>(stores: &[S], resource: &str, ids: &[IncidentId]) {
    let hold = |(id, n)| settled(move || pick(stores, n).hold(resource, id), PortResult::is_ok);
    let held = join_all(ids.iter().zip(0..).map(hold)).await;
    assert!(held.iter().all(Result::is_ok), "{held:?}");
}

async fn assert_all_let_go<S: Holds>(stores: &[S], resource: &str, ids: &[IncidentId]) {
    let forget = |(id, n)| settled(move || pick(stores, n).forget_hold(resource, id), PortResult::is_ok);
    let let_go = join_all(ids.iter().zip(0..).map(forget)).await;
    assert!(let_go.iter().all(Result::is_ok), "{let_go:?}");
}

/// Each once, in whatever order.
fn assert_same(held: &[IncidentId], ids: &[IncidentId]) {
    assert_eq!(held.len(), ids.len(), "{held:?}");
    assert_eq!(held.iter().collect::<BTreeSet<_>>(), ids.iter().collect());
}

async fn long_names_of_resources_stay_apart<S: Holds>(stores: &[S]) {
    let stem = format!("{} 名", fresh(&"long".repeat(1000)));
    let [one, other] = ["a", "b"].map(|tail| format!("{stem}{tail}"));
    let [a, b] = [id(), id()];
    assert_eq!(pick(stores, 0).hold(&one, &a).await, Ok(()));
    assert_eq!(pick(stores, 0).hold(&other, &b).await, Ok(()));
    assert_eq!(pick(stores, 1).holders(&one).await, Ok(vec![a.clone()]));
    assert_eq!(pick(stores, 1).forget_hold(&one, &a).await, Ok(()));
    assert_eq!(pick(stores, 2).holders(&one).await, Ok(vec![]));
    assert_eq!(pick(stores, 2).holders(&other).await, Ok(vec![b]));
}

async fn the_cap_counts_the_window_that_ends_now<S: CapStore>(stores: &[S]) {
    let [a, b, c, d] = [id(), id(), id(), id()];
    for (label, incident, second, expected) in [
        ("first", &a, 0, Slot::Granted),
        ("second", &b, 3599, Slot::Granted),
        ("no third", &c, 3599, Slot::Full),
        ("its own slot", &a, 3599, Slot::Granted),
        ("the first is an hour old", &c, 3600, Slot::Granted),
        ("the second is not", &d, 3600, Slot::Full),
        ("a clock that is behind", &d, 3599, Slot::Full),
        ("now it is", &d, 7199, Slot::Granted),
    ] {
        let slot = pick(stores, second).reserve(incident, time(second), HOUR, 2).await;
        assert_eq!(slot, Ok(expected), "{label}");
    }
    assert_eq!(pick(stores, 0).reserve(&id(), time(20_000), HOUR, 0).await, Ok(Slot::Full), "a cap of none");
}

async fn of_many_at_once_exactly_so_many_are_granted<S: CapStore>(stores: &[S]) {
    for (round, cap) in [(0, 1), (1, 7), (2, 60)] {
        let now = time(100_000 + 10_000 * round);
        let ids: Vec<_> = (0..40).map(|_| id()).collect();
        let ask = async |ids: &[IncidentId]| {
            let asked = ids.iter().zip(0..).map(|(id, n)| {
                settled(move || pick(stores, n).reserve(id, now, HOUR, cap), PortResult::is_ok)
            });
            join_all(asked).await
        };
        let first = ask(&ids).await;
        assert!(first.iter().all(Result::is_ok), "{first:?}");
        let granted = first.iter().filter(|slot| **slot == Ok(Slot::Granted)).count();
        assert_eq!(granted, usize::try_from(cap).unwrap_or(0).min(40), "a cap of {cap}");
        assert_eq!(ask(&ids).await, first, "who has a slot keeps it, and nobody else gets one");
    }
}

async fn one_incident_takes_one_slot_however_often_it_asks<S: CapStore>(stores: &[S]) {
    let (now, one, other) = (time(500_000), &id(), id());
    let asked =
        (0..10).map(|n| settled(move || pick(stores, n).reserve(one, now, HOUR, 2), PortResult::is_ok));
    assert_eq!(join_all(asked).await, vec![Ok(Slot::Granted); 10]);
    assert_eq!(pick(stores, 0).reserve(&other, now, HOUR, 2).await, Ok(Slot::Granted));
    assert_eq!(pick(stores, 0).reserve(&id(), now, HOUR, 2).await, Ok(Slot::Full));
}

/// Asks again while the answer may still come, as the engine does.
pub(super) async fn settled<T, F: Future<Output = T>>(ask: impl Fn() -> F, done: impl Fn(&T) -> bool) -> T {
    let mut answer = ask().await;
    for _ in 0..20 {
        if done(&answer) {
            break;
        }
        answer = ask().await;
    }
    answer
}

fn new() -> Incident {
    new_at(Timestamp::from_nanosecond(1_750_000_000_123_456_789).expect("a time"))
}

fn new_at(detected: Timestamp) -> Incident {
    Incident::open(example_signal(&fresh("finding")), detected)
}

/// One with something in every member.
fn full() -> Incident {
    let now = Timestamp::from_nanosecond(1_750_000_000_123_456_789).expect("a time");
    let mut incident = new_at(now);
    let target = Target::User { name: "ana@ñ 名\u{1f980}\"\\".into() };
    let mut step = Step::new(StepKind::DenyUser, target.clone(), StepStatus::Running, "because");
    step.before = Some(State::Concurrency { reserved: Some(7) });
    step.started_at = Some(now);
    step.changed = vec!["one".into()];
    step.failures = vec![String::new()];
    incident.steps = vec![step, Step::new(StepKind::Notify, Target::Incident, StepStatus::Planned, "")];
    incident.status = Status::Containing;
    incident.notes = vec!["note".into()];
    incident.advice = vec!["advice".into()];
    incident.approval = Some(Approval {
        steps: vec![(StepKind::DenyUser, target)],
        untold: vec![],
        seen: None,
        by: "lead".into(),
        at: now,
    });
    incident.times.notified = Some(now);
    incident.times.contained = Some(now);
    incident.times.released = Some(now);
    incident.expires_at = Some(Timestamp::MAX);
    incident.notified = BTreeSet::from([(0, Phase::Opened), (u32::MAX, Phase::SeenAgain)]);
    incident.round = u32::MAX;
    incident.log(now, "a line");
    incident.take_lease(now);
    incident.revision = u64::MAX;
    incident
}

fn id() -> IncidentId {
    IncidentId::of(&fresh("incident"))
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

pub(super) fn pick<S>(stores: &[S], n: i64) -> &S {
    let count = i64::try_from(stores.len()).unwrap_or(1);
    usize::try_from(n.rem_euclid(count)).ok().and_then(|n| stores.get(n)).expect("a store")
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// In the year 2200: newer than what the store holds already.
const FAR: i64 = 7_258_118_400;
