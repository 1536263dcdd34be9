//! The Lambda binaries run as Lambdas: each is started under the AWS Lambda Runtime Interface Emulator against emulated
//! AWS services, gets every event of `events/<function>/`, and must answer as the file beside the event says.
#![cfg(test)]

mod cases;
mod emulator;
mod matcher;

use std::collections::BTreeSet;

use emulator::Function;
use portcullis_tests::emulators::{Emulator, RedisServer, deploy_stack};

#[tokio::test]
async fn webhook_answers_its_events_as_expected() {
    answers_as_expected("webhook").await;
}

#[tokio::test]
async fn pii_answers_its_events_as_expected() {
    answers_as_expected("pii").await;
}

#[tokio::test]
async fn rotation_answers_its_events_as_expected() {
    answers_as_expected("rotation").await;
}

#[tokio::test]
async fn sts_answers_its_events_as_expected() {
    answers_as_expected("sts").await;
}

#[tokio::test]
async fn authorizer_answers_its_events_as_expected() {
    answers_as_expected("authorizer").await;
}

#[tokio::test]
async fn cloudtrail_responder_answers_its_events_as_expected() {
    answers_as_expected("cloudtrail-responder").await;
}

#[tokio::test]
async fn guardduty_responder_answers_its_events_as_expected() {
    answers_as_expected("guardduty-responder").await;
}

/// Two containers, one limit in Redis; and no request passes once that is gone.
#[tokio::test]
async fn the_authorizer_keeps_its_limits_in_redis_where_it_is_set_to() {
    let stack = deploy_stack(&Emulator::ministack().account()).await;
    let redis = RedisServer::start();
    let mut env = stack.env();
    env.remove("LIMITS_TABLE");
    env.insert("LIMITS_REDIS_URL".to_owned(), format!("redis://127.0.0.1:{}", redis.port()));
    let rates = "version: 1\naddress: 2/h\nprincipal: 10/s\ntiers: {any: 1/s}\n";
    env.insert("RATES".to_owned(), rates.to_owned());
    let containers = [Function::start("authorizer", &env).await, Function::start("authorizer", &env).await];
    let event = cases::cases("authorizer").remove(0).event;
    let mut answers = Vec::new();
    for container in containers.iter().chain(&containers) {
        answers.push(container.invoke(event.clone()).await);
    }
    let told = |kind: &str| answers.iter().filter(|answer| answer["errorType"] == kind).count();
    assert_eq!((told("TooManyRequests"), told("Unavailable")), (2, 0), "{answers:?}");
    drop(redis);
    let fresh = Function::start("authorizer", &env).await;
    assert_eq!(fresh.invoke(event).await["errorType"], "Unavailable");
}

#[test]
fn every_event_has_an_expected_answer_and_every_function_is_run() {
    let run =
        ["authorizer", "cloudtrail-responder", "guardduty-responder", "pii", "rotation", "sts", "webhook"];
    assert_eq!(cases::functions(), BTreeSet::from(run.map(str::to_owned)));
    for function in cases::functions() {
        let folder = cases::events().join(function);
        assert_eq!(cases::names(&folder, false), cases::names(&folder, true), "{}", folder.display());
    }
}

/// Invokes the function with each of its events in turn.
async fn answers_as_expected(name: &str) {
    let stack = deploy_stack(&Emulator::ministack().account()).await;
    let function = emulator::Function::start(name, &stack.env()).await;
    let mut wrong = Vec::new();
    for case in cases::cases(name) {
        let found = function.invoke(case.event).await;
        let differences = matcher::differences(&case.expected, &found);
        wrong.extend(differences.into_iter().map(|difference| format!("{}: {difference}", case.name)));
    }
    assert!(wrong.is_empty(), "{}\n\n{}", wrong.join("\n"), function.logs());
}
