//! The Lambda binaries run as Lambdas: each is started under the AWS Lambda Runtime Interface Emulator against emulated
//! AWS services, gets every event of `events/<function>/`, and must answer as the file beside the event says.
#![cfg(test)]

mod cases;
mod emulator;
mod matcher;

use std::collections::BTreeSet;

use portcullis_tests::emulators::{Emulator, deploy_stack};

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

#[test]
fn every_event_has_an_expected_answer_and_every_function_is_run() {
    let run = ["authorizer", "pii", "rotation", "sts", "webhook"].map(str::to_owned);
    assert_eq!(cases::functions(), BTreeSet::from(run));
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
