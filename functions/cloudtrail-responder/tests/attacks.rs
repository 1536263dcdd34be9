//! Recorded attacks through the handler: each becomes incidents of the right technique, and the same calls, had they
//! failed, change nothing.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests: what is not as expected fails the test"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use portcullis_response::Status;
use serde_json::{Value, json};

use support::{Bench, bench, rule};

/// Name and records of every recording.
fn attacks() -> Vec<(String, Vec<Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/detection/tests/attacks");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut attacks: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect();
    attacks.sort_by(|(a, _), (b, _)| a.cmp(b));
    attacks
}

/// The techniques of the incidents that there are.
fn techniques(bench: &Bench) -> BTreeSet<String> {
    let of: BTreeMap<&str, &[String]> =
        bench.function.parts().detector.rules().map(|rule| (&*rule.name, &*rule.techniques)).collect();
    bench.incidents().iter().flat_map(|incident| of[&*rule(incident)].iter().cloned()).collect()
}

#[test]
fn every_recorded_attack_is_an_incident_of_the_right_technique() {
    let attacks = attacks();
    assert_eq!(attacks.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), EXPECTED.map(|(name, _)| name));
    let mut contained = 0;
    for ((name, records), (_, technique)) in attacks.iter().zip(EXPECTED) {
        let bench = bench();
        for record in records {
            let answer = bench.deliver(record).unwrap();
            assert_eq!((&answer["judged"], &answer["unreadable"]), (&json!(1), &json!(0)), "{name}");
        }
        assert!(techniques(&bench).contains(technique), "{name}: {:?}", techniques(&bench));
        let incidents = bench.incidents();
        for incident in &incidents {
            println!(
                "{name}\t{technique}\t{}\t{}\t{}",
                rule(incident),
                incident.signal.severity,
                incident.status
            );
            assert!(incident.lease.is_none(), "{name}: nobody works on it any more");
            assert!(incident.times.notified.is_some(), "{name}: somebody was told");
        }
        contained += incidents.iter().filter(|i| i.status == Status::Contained).count();
        // Delivered again, in another order: EventBridge promises neither once nor in order.
        let (effects, messages) = (bench.effects(), bench.messages());
        for record in records.iter().rev() {
            bench.deliver(record).unwrap();
        }
        assert_eq!(bench.incidents(), incidents, "{name}");
        assert_eq!((bench.effects(), bench.messages()), (effects, messages), "{name}");
    }
    assert!(contained >= 10, "{contained}");
}

#[test]
fn the_same_calls_had_they_failed_contain_nothing() {
    let mut seen = 0;
    for (name, mut records) in attacks() {
        let bench = bench();
        for record in &mut records {
            record["errorCode"] = json!("AccessDenied");
            bench.deliver(record).unwrap();
        }
        seen += bench.incidents().len();
        assert_eq!(bench.effects(), Vec::<String>::new(), "{name}");
        assert!(
            bench.incidents().iter().all(|i| i.status == Status::Detected),
            "{name}: {:?}",
            bench.rules()
        );
    }
    assert!(seen > 0, "attempts against logging are seen");
}

/// File and technique: those of the file's name, as `shared/detection/tests/attacks.rs` has them too.
const EXPECTED: [(&str, &str); 22] = [
    ("aws.credential-access.ec2-steal-instance-credentials", "T1552.005"),
    ("aws.credential-access.secretsmanager-retrieve-secrets", "T1555.006"),
    ("aws.credential-access.ssm-retrieve-securestring-parameters", "T1555.006"),
    ("aws.defense-evasion.cloudtrail-delete", "T1562.008"),
    ("aws.defense-evasion.cloudtrail-stop", "T1562.008"),
    ("aws.defense-evasion.organizations-leave", "T1666"),
    ("aws.defense-evasion.vpc-remove-flow-logs", "T1562.008"),
    ("aws.discovery.ec2-download-user-data", "T1580"),
    ("aws.execution.ec2-user-data", "T1059"),
    ("aws.execution.ssm-send-command", "T1651"),
    ("aws.exfiltration.ec2-security-group-open-port-22-ingress", "T1562.007"),
    ("aws.exfiltration.ec2-share-ebs-snapshot", "T1537"),
    ("aws.exfiltration.rds-share-snapshot", "T1537"),
    ("aws.impact.bedrock-invoke-model", "T1496.004"),
    ("aws.initial-access.console-login-without-mfa", "T1078.004"),
    ("aws.lateral-movement.ec2-instance-connect", "T1021.004"),
    ("aws.persistence.iam-backdoor-user", "T1098.001"),
    ("aws.persistence.iam-create-admin-user", "T1136.003"),
    ("aws.persistence.iam-create-backdoor-role", "T1098"),
    ("aws.persistence.lambda-backdoor-function", "T1648"),
    ("aws.persistence.lambda-overwrite-code", "T1648"),
    ("aws.persistence.rolesanywhere-create-trust-anchor", "T1098.001"),
];
