//! Recorded attacks: each is seen, by a rule for its technique.

mod support;

use std::collections::BTreeSet;

use support::{COMPANY, detector, files, play, root};

#[test]
fn every_recorded_attack_is_detected_with_the_right_technique() {
    let recordings = files(&root().join("shared/detection/tests/attacks"), "json");
    assert_eq!(
        recordings.iter().map(|(name, _)| name.trim_end_matches(".json")).collect::<Vec<_>>(),
        EXPECTED.map(|(name, ..)| name),
        "a recording without an expectation, or the other way round"
    );
    // With what a user tells Portcullis of the account, and without.
    for (context, detector) in [("company", detector(COMPANY)), ("nothing known", detector(""))] {
        for ((name, json), (_, technique, rules)) in recordings.iter().zip(EXPECTED) {
            let hits = play(&detector, json);
            let by: BTreeSet<&str> = hits
                .iter()
                .filter(|hit| hit.techniques.iter().any(|t| t == technique))
                .map(|hit| &*hit.rule)
                .collect();
            assert!(rules.iter().any(|rule| by.contains(rule)), "{context}: {name}: {technique} by {by:?}");
            for hit in &hits {
                println!(
                    "{context}\t{name}\t{}\t{}\t{}\t{}",
                    hit.techniques.join(","),
                    hit.rule,
                    hit.severity,
                    hit.containable
                );
                assert!(!hit.containable || hit.error_code.is_none(), "{name}: {}", hit.rule);
            }
        }
    }
}

/// Order of delivery is not order of events: what is seen must not depend on it.
#[test]
fn an_attack_is_seen_in_any_order_of_delivery() {
    let detector = detector(COMPANY);
    for (name, json) in files(&root().join("shared/detection/tests/attacks"), "json") {
        let mut records: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        let rules = |records: &[serde_json::Value]| -> BTreeSet<String> {
            play(&detector, &serde_json::to_string(records).unwrap())
                .into_iter()
                .map(|hit| hit.rule)
                .collect()
        };
        let forward = rules(&records);
        records.reverse();
        assert_eq!(rules(&records), forward, "{name}");
    }
}

/// File, technique, and the rules of which one must say so.
const EXPECTED: [(&str, &str, &[&str]); 22] = [
    (
        "aws.credential-access.ec2-steal-instance-credentials",
        "T1552.005",
        &["instance-credentials-outside", "instance-credentials-probed"],
    ),
    ("aws.credential-access.secretsmanager-retrieve-secrets", "T1555.006", &["secrets-read-in-bulk"]),
    ("aws.credential-access.ssm-retrieve-securestring-parameters", "T1555.006", &["parameters-read-in-bulk"]),
    ("aws.defense-evasion.cloudtrail-delete", "T1562.008", &["trail-stopped"]),
    ("aws.defense-evasion.cloudtrail-stop", "T1562.008", &["trail-stopped"]),
    ("aws.defense-evasion.organizations-leave", "T1666", &["organization-left"]),
    ("aws.defense-evasion.vpc-remove-flow-logs", "T1562.008", &["flow-logs-deleted"]),
    ("aws.discovery.ec2-download-user-data", "T1580", &["user-data-sweep"]),
    ("aws.execution.ec2-user-data", "T1059", &["instance-user-data-changed"]),
    ("aws.execution.ssm-send-command", "T1651", &["shell-command-sent"]),
    ("aws.exfiltration.ec2-security-group-open-port-22-ingress", "T1562.007", &["security-group-open"]),
    ("aws.exfiltration.ec2-share-ebs-snapshot", "T1537", &["snapshot-shared"]),
    ("aws.exfiltration.rds-share-snapshot", "T1537", &["database-snapshot-shared"]),
    ("aws.impact.bedrock-invoke-model", "T1496.004", &["model-access-enabled"]),
    ("aws.initial-access.console-login-without-mfa", "T1078.004", &["console-login-without-mfa"]),
    ("aws.lateral-movement.ec2-instance-connect", "T1021.004", &["ssh-keys-to-many-instances"]),
    ("aws.persistence.iam-backdoor-user", "T1098.001", &["access-key-for-another"]),
    ("aws.persistence.iam-create-admin-user", "T1136.003", &["user-created"]),
    ("aws.persistence.iam-create-backdoor-role", "T1098", &["role-trust-widened"]),
    ("aws.persistence.lambda-backdoor-function", "T1648", &["lambda-opened"]),
    ("aws.persistence.lambda-overwrite-code", "T1648", &["lambda-code-overwritten"]),
    ("aws.persistence.rolesanywhere-create-trust-anchor", "T1098.001", &["roles-anywhere-anchor"]),
];
