//! What is shipped: every documented finding type has an incident, every incident a playbook.

mod support;

use portcullis_detection::IncidentType;
use portcullis_response::{
    FindingTypes, Mode, PLAYBOOKS, Playbook, Playbooks, SAFETY, Safety, StepKind, TYPES,
};

/// Every type of GuardDuty's own pages, active, of custom rules, and retired, kept apart from the mapping.
const DOCUMENTED: &str = include_str!("finding-types.txt");

const INCIDENTS: [IncidentType; 8] = [
    IncidentType::CompromisedCredentials,
    IncidentType::MalwareDetected,
    IncidentType::DataExfiltration,
    IncidentType::DdosAttack,
    IncidentType::UnauthorizedAccess,
    IncidentType::CryptoMining,
    IncidentType::Backdoor,
    IncidentType::Generic,
];

#[test]
fn every_documented_finding_type_has_an_incident() {
    let types = FindingTypes::parse(TYPES).unwrap();
    let missing: Vec<&str> = DOCUMENTED.lines().filter(|kind| !types.knows(kind)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(DOCUMENTED.lines().count(), types.len(), "and none that is not documented");
    assert!(types.len() >= 240);
}

#[test]
fn finding_types_open_the_incident_that_they_mean() {
    use IncidentType::{
        Backdoor, CompromisedCredentials, CryptoMining, DataExfiltration, DdosAttack, Generic,
        MalwareDetected, UnauthorizedAccess,
    };
    let types = FindingTypes::parse(TYPES).unwrap();
    for (kind, expected) in [
        ("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", CompromisedCredentials),
        ("AttackSequence:IAM/CompromisedCredentials", CompromisedCredentials),
        ("AttackSequence:S3/CompromisedData", DataExfiltration),
        ("AttackSequence:EC2/CompromisedInstanceGroup", MalwareDetected),
        ("Trojan:EC2/DNSDataExfiltration", DataExfiltration),
        ("Trojan:EC2/DropPoint", MalwareDetected),
        ("Object:S3/MaliciousFile", MalwareDetected),
        ("Execution:EC2/MaliciousFile!AMI", MalwareDetected),
        ("Backdoor:EC2/DenialOfService.Dns", DdosAttack),
        ("Backdoor:Lambda/C&CActivity.B", Backdoor),
        ("CryptoCurrency:Runtime/BitcoinTool.B!DNS", CryptoMining),
        ("Impact:EC2/BitcoinDomainRequest.Reputation", CryptoMining),
        ("UnauthorizedAccess:EC2/SSHBruteForce", UnauthorizedAccess),
        ("Policy:S3/BucketPublicAccessGranted", DataExfiltration),
        ("Persistence:IAM/AccountManipulation", Backdoor),
        ("Something:New/Entirely", Generic),
    ] {
        assert_eq!(types.incident(kind), expected, "{kind}");
    }
}

#[test]
fn every_incident_has_a_playbook_of_its_own_that_starts_in_a_dry_run() {
    let books = Playbooks::load(PLAYBOOKS).unwrap();
    for incident in INCIDENTS {
        let book = books.of(incident);
        assert_eq!(book.incident, incident);
        assert!(book.dry_run, "{incident:?}");
        assert!(!book.next_steps.is_empty(), "{incident:?}");
        let notify = book.steps.iter().find(|step| step.step == StepKind::Notify);
        assert_eq!(notify.map(|step| step.mode), Some(Mode::Automatic), "{incident:?}");
    }
}

#[test]
fn every_file_is_compiled_in_and_every_step_is_used() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/playbooks");
    let on_disk = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(on_disk, PLAYBOOKS.len());
    let books: Vec<Playbook> = PLAYBOOKS.iter().map(|(_, yaml)| Playbook::parse(yaml).unwrap()).collect();
    for kind in StepKind::ALL {
        assert!(books.iter().any(|book| book.steps.iter().any(|step| step.step == kind)), "{kind}");
    }
}

#[test]
fn the_shipped_safety_rules_hold() {
    let safety = Safety::parse(SAFETY).unwrap();
    assert_eq!(safety.containments_per_hour, 20);
    assert!(safety.protected_tag.is_some());
    assert!(safety.protected.iter().any(|pattern| pattern == "role/break-glass*"));
}
