//! A `GuardDuty` finding as `EventBridge` delivers it, as far as a response needs it.
//!
//! Format: <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html> (camelCase `detail`).
//! Tolerant of what is missing, since kinds of findings differ; strict about what would be read in two ways.

use std::net::IpAddr;

use portcullis_base::Timestamp;
use serde_json::Value;

use crate::json::{at, items, parse, text};
use crate::severity::Band;
use crate::target::Target;

/// What a finding says.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The same for every repeat of the same activity.
    pub id: String,
    /// `type`, such as `UnauthorizedAccess:IAMUser/TorIPCaller`.
    pub kind: String,
    /// The detector that found it.
    pub detector: String,
    /// `severity`.
    pub severity: f64,
    /// `title`.
    pub title: String,
    /// `description`.
    pub description: String,
    /// The account that it is about.
    pub account: String,
    /// The region that it is about.
    pub region: String,
    /// `service.count`: how often it was seen.
    pub count: u64,
    /// Made by the sample generator: nothing happened.
    pub sample: bool,
    /// When it was seen first.
    pub first_seen: Option<Timestamp>,
    /// When it was seen last.
    pub last_seen: Option<Timestamp>,
    /// `resource.accessKeyDetails`, or the actors of an attack sequence.
    pub principals: Vec<Principal>,
    /// Instances, functions, buckets, clusters, databases that it names.
    pub resources: Vec<Target>,
    /// The remote addresses of `service.action`: the attacker's.
    pub addresses: Vec<IpAddr>,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// `userType`: `IAMUser`, `Role`, `AssumedRole`, `Root`, `FederatedUser`, `AWSAccount`, `AWSService`, ….
    pub kind: String,
    /// `userName`: of a role, the role's name.
    pub name: String,
    /// `accessKeyId`.
    pub access_key: Option<String>,
}

/// Why a finding is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FindingError {
    /// Larger than `EventBridge` delivers.
    #[error("finding: larger than {MAX_FINDING_BYTES} bytes")]
    TooLarge,
    /// Not JSON, too deep, or a member stands twice.
    #[error("finding: not JSON, too deep, or a member stands twice")]
    Malformed,
    /// An envelope of another kind of event.
    #[error("finding: an event of another kind than `GuardDuty Finding`")]
    AnotherKind,
    /// Without what makes it a finding.
    #[error("finding: no {0}")]
    Missing(&'static str),
}

impl Finding {
    /// Reads an `EventBridge` event, or its `detail` alone.
    ///
    /// # Errors
    /// See [`FindingError`]. None says anything of the content.
    pub fn parse(event: &[u8]) -> Result<Self, FindingError> {
        if event.len() > MAX_FINDING_BYTES {
            return Err(FindingError::TooLarge);
        }
        let event = parse(event).ok_or(FindingError::Malformed)?;
        if !event.is_object() {
            return Err(FindingError::Malformed);
        }
        match event.get("detail-type") {
            None => Self::read(&event),
            Some(kind) if kind == DETAIL_TYPE => {
                Self::read(event.get("detail").ok_or(FindingError::Missing("detail"))?)
            }
            Some(_) => Err(FindingError::AnotherKind),
        }
    }

    /// The band of its severity.
    pub fn band(&self) -> Band {
        Band::of(self.severity)
    }

    fn read(detail: &Value) -> Result<Self, FindingError> {
        let required = |name: &'static str| text(detail, &[name]).ok_or(FindingError::Missing(name));
        let title = text(detail, &["title"]).unwrap_or_default();
        Ok(Self {
            id: required("id")?,
            kind: required("type")?,
            detector: text(detail, &["service", "detectorId"]).unwrap_or_default(),
            severity: at(detail, &["severity"])
                .and_then(Value::as_f64)
                .ok_or(FindingError::Missing("severity"))?,
            description: text(detail, &["description"]).unwrap_or_default(),
            account: required("accountId")?,
            region: required("region")?,
            count: at(detail, &["service", "count"]).and_then(Value::as_u64).unwrap_or(1),
            sample: is_sample(detail, &title),
            first_seen: time(detail, "eventFirstSeen"),
            last_seen: time(detail, "eventLastSeen"),
            principals: principals(detail),
            resources: resources(detail),
            addresses: addresses(detail),
            title,
        })
    }
}

fn is_sample(detail: &Value, title: &str) -> bool {
    let flag = at(detail, &["service", "additionalInfo", "sample"]);
    let flagged = flag.is_some_and(|flag| flag == &Value::Bool(true) || flag == "true");
    // Attack sequences carry the flag as JSON in a text.
    let inner = text(detail, &["service", "additionalInfo", "value"]).and_then(|v| parse(v.as_bytes()));
    flagged
        || inner.is_some_and(|v| v.get("sample") == Some(&Value::Bool(true)))
        || title.starts_with("[SAMPLE]")
}

fn time(detail: &Value, name: &str) -> Option<Timestamp> {
    let text = text(detail, &["service", name]).or_else(|| self::text(detail, &["createdAt"]))?;
    // Exports write a space and no zone: UTC.
    text.parse().ok().or_else(|| format!("{}Z", text.replacen(' ', "T", 1)).parse().ok())
}

fn principals(detail: &Value) -> Vec<Principal> {
    let actors = items(detail, &["service", "detection", "sequence", "actors"]).filter_map(|actor| {
        let access_key = text(actor, &["user", "credentialUid"]);
        Some(Principal {
            kind: text(actor, &["user", "type"])?,
            name: text(actor, &["user", "name"])?,
            access_key,
        })
    });
    let keys = items(detail, &["service", "detection", "sequence", "resources"])
        .filter_map(|resource| at(resource, &["data", "accessKey"]));
    let mut found: Vec<Principal> = at(detail, &["resource", "accessKeyDetails"])
        .into_iter()
        .chain(keys)
        .filter_map(|key| {
            Some(Principal {
                kind: text(key, &["userType"])?,
                name: text(key, &["userName"]).unwrap_or_default(),
                access_key: text(key, &["accessKeyId"]),
            })
        })
        .chain(actors)
        .collect();
    found.dedup_by(|a, b| a.kind == b.kind && a.name == b.name);
    found
}

fn resources(detail: &Value) -> Vec<Target> {
    let named = |path: &[&str]| text(detail, path);
    let mut found = Vec::new();
    let mut add = |target: Target| {
        if !found.contains(&target) && found.len() < MAX_RESOURCES {
            found.push(target);
        }
    };
    for (path, target) in SINGLE {
        if let Some(name) = named(path) {
            add(target(name));
        }
    }
    for bucket in items(detail, &["resource", "s3BucketDetails"]) {
        if let Some(name) = text(bucket, &["name"]) {
            add(Target::Bucket { name });
        }
    }
    for resource in items(detail, &["service", "detection", "sequence", "resources"]) {
        let name = || text(resource, &["name"]).or_else(|| text(resource, &["uid"])).map(last_part);
        let target = match text(resource, &["resourceType"]).as_deref() {
            Some("EC2_INSTANCE") => name().map(|id| Target::Instance { id }),
            Some("S3_BUCKET") => name().map(|name| Target::Bucket { name }),
            Some("LAMBDA") => name().map(|name| Target::Function { name }),
            Some("EKS_CLUSTER" | "ECS_CLUSTER") => name().map(|name| Target::Cluster { name }),
            _ => None,
        };
        if let Some(target) = target {
            add(target);
        }
    }
    found
}

/// The name at the end of an ARN.
fn last_part(name: String) -> String {
    if !name.starts_with("arn:") {
        return name;
    }
    name.rsplit(['/', ':']).next().map(str::to_owned).unwrap_or(name)
}

fn addresses(detail: &Value) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut add = |details: &Value| {
        for name in ["ipAddressV4", "ipAddressV6"] {
            let ip = text(details, &[name]).and_then(|ip| ip.parse::<IpAddr>().ok());
            if let Some(ip) = ip.filter(|ip| !found.contains(ip) && found.len() < MAX_ADDRESSES) {
                found.push(ip);
            }
        }
    };
    for action in ACTIONS {
        if let Some(remote) = at(detail, &["service", "action", action, "remoteIpDetails"]) {
            add(remote);
        }
    }
    for probe in items(detail, &["service", "action", "portProbeAction", "portProbeDetails"]) {
        if let Some(remote) = probe.get("remoteIpDetails") {
            add(remote);
        }
    }
    for endpoint in items(detail, &["service", "detection", "sequence", "endpoints"]) {
        if let Some(ip) = text(endpoint, &["ip"]).and_then(|ip| ip.parse().ok())
            && !found.contains(&ip)
            && found.len() < MAX_ADDRESSES
        {
            found.push(ip);
        }
    }
    found
}

type Make = fn(String) -> Target;

/// Resources of which a finding names one.
const SINGLE: [(&[&str], Make); 5] = [
    (&["resource", "instanceDetails", "instanceId"], |id| Target::Instance { id }),
    (&["resource", "lambdaDetails", "functionName"], |name| Target::Function { name }),
    (&["resource", "eksClusterDetails", "name"], |name| Target::Cluster { name }),
    (&["resource", "ecsClusterDetails", "name"], |name| Target::Cluster { name }),
    (&["resource", "rdsDbInstanceDetails", "dbInstanceIdentifier"], |name| Target::Database { name }),
];

/// The actions that have `remoteIpDetails`.
const ACTIONS: [&str; 5] = [
    "networkConnectionAction",
    "awsApiCallAction",
    "kubernetesApiCallAction",
    "rdsLoginAttemptAction",
    "dnsRequestAction",
];

const DETAIL_TYPE: &str = "GuardDuty Finding";
const MAX_RESOURCES: usize = 32;
const MAX_ADDRESSES: usize = 32;

/// Largest event that is read: what `EventBridge` delivers at most (256 KB), and its envelope.
pub const MAX_FINDING_BYTES: usize = 320 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn finding(resource: &Value, service: &Value) -> Value {
        json!({
            "schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-west-1", "partition": "aws",
            "id": "f1", "type": "UnauthorizedAccess:EC2/SSHBruteForce", "severity": 8, "title": "t", "description": "d",
            "createdAt": "2026-11-22T10:00:00.000Z", "resource": resource, "service": service,
        })
    }

    fn read(resource: &Value, service: &Value) -> Finding {
        Finding::parse(finding(resource, service).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_attacker_is_the_remote_address_and_the_victim_the_instance() {
        let finding = read(
            &json!({"resourceType": "Instance", "instanceDetails": {
                "instanceId": "i-0123456789abcdef0",
                "networkInterfaces": [{"networkInterfaceId": "eni-1", "vpcId": "vpc-1", "securityGroups": [{"groupId": "sg-1"}]}],
            }}),
            &json!({
                "detectorId": "d1", "count": 7, "archived": false, "eventFirstSeen": "2026-11-22T09:59:00Z",
                "action": {"actionType": "NETWORK_CONNECTION", "networkConnectionAction": {
                    "connectionDirection": "INBOUND", "remoteIpDetails": {"ipAddressV4": "198.51.100.7"},
                    "localIpDetails": {"ipAddressV4": "10.0.0.4"},
                }},
            }),
        );
        assert_eq!(finding.resources, [Target::Instance { id: "i-0123456789abcdef0".into() }]);
        assert_eq!(finding.addresses, ["198.51.100.7".parse::<IpAddr>().unwrap()]);
        assert_eq!((finding.count, finding.detector.as_str(), finding.band()), (7, "d1", Band::High));
        assert_eq!(finding.first_seen, Some("2026-11-22T09:59:00Z".parse().unwrap()));
        assert_eq!(finding.last_seen, Some("2026-11-22T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn every_kind_of_resource_and_action_is_read() {
        let remote = |ip: &str| json!({"remoteIpDetails": {"ipAddressV4": ip}});
        for (case, resource, service, resources, addresses) in [
            ("function", json!({"lambdaDetails": {"functionName": "f"}}), json!({}), "function/f", ""),
            (
                "buckets",
                json!({"s3BucketDetails": [{"name": "a"}, {"name": "b"}]}),
                json!({}),
                "bucket/a bucket/b",
                "",
            ),
            ("cluster", json!({"eksClusterDetails": {"name": "k"}}), json!({}), "cluster/k", ""),
            ("tasks", json!({"ecsClusterDetails": {"name": "e"}}), json!({}), "cluster/e", ""),
            (
                "database",
                json!({"rdsDbInstanceDetails": {"dbInstanceIdentifier": "db"}}),
                json!({}),
                "database/db",
                "",
            ),
            (
                "runtime on a node",
                json!({"instanceDetails": {"instanceId": "i-1"}, "eksClusterDetails": {"name": "k"}}),
                json!({}),
                "instance/i-1 cluster/k",
                "",
            ),
            (
                "API call",
                json!({}),
                json!({"action": {"awsApiCallAction": remote("192.0.2.1")}}),
                "",
                "192.0.2.1",
            ),
            (
                "Kubernetes",
                json!({}),
                json!({"action": {"kubernetesApiCallAction": remote("192.0.2.2")}}),
                "",
                "192.0.2.2",
            ),
            (
                "database login",
                json!({}),
                json!({"action": {"rdsLoginAttemptAction": remote("192.0.2.3")}}),
                "",
                "192.0.2.3",
            ),
            (
                "probes",
                json!({}),
                json!({"action": {"portProbeAction": {"portProbeDetails": [remote("192.0.2.4"), remote("192.0.2.5"), remote("192.0.2.4")]}}}),
                "",
                "192.0.2.4 192.0.2.5",
            ),
            (
                "IPv6",
                json!({}),
                json!({"action": {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV6": "2001:db8::1", "ipAddressV4": ""}}}}),
                "",
                "2001:db8::1",
            ),
            ("no address", json!({}), json!({"action": {"awsApiCallAction": remote("nonsense")}}), "", ""),
            (
                "attack sequence",
                json!({"resourceType": "AttackSequence"}),
                json!({"detection": {"sequence": {
                    "resources": [
                        {"resourceType": "EC2_INSTANCE", "uid": "arn:aws:ec2:eu-west-1:111122223333:instance/i-9"},
                        {"resourceType": "S3_BUCKET", "name": "data", "uid": "arn:aws:s3:::data"},
                        {"resourceType": "EKS_CLUSTER", "name": "k"},
                    ],
                    "endpoints": [{"id": "e", "ip": "192.0.2.9"}],
                }}}),
                "instance/i-9 bucket/data cluster/k",
                "192.0.2.9",
            ),
        ] {
            let finding = read(&resource, &service);
            let names: Vec<String> = finding.resources.iter().map(ToString::to_string).collect();
            let remote: Vec<String> = finding.addresses.iter().map(ToString::to_string).collect();
            assert_eq!((names.join(" "), remote.join(" ")), (resources.into(), addresses.into()), "{case}");
        }
    }

    #[test]
    fn principals_come_from_the_key_or_from_the_actors() {
        let key = json!({"accessKeyDetails": {"accessKeyId": "AKIA1", "principalId": "AIDA1", "userName": "ana", "userType": "IAMUser"}});
        let expected =
            Principal { kind: "IAMUser".into(), name: "ana".into(), access_key: Some("AKIA1".into()) };
        assert_eq!(read(&key, &json!({})).principals, [expected]);
        let sequence = json!({"detection": {"sequence": {"actors": [
            {"id": "a", "user": {"name": "app", "type": "AssumedRole", "uid": "AROA1"}},
        ]}}});
        let found = read(&json!({}), &sequence).principals;
        assert_eq!((found[0].kind.as_str(), found[0].name.as_str()), ("AssumedRole", "app"));
    }

    #[test]
    fn samples_are_recognised_however_they_say_it() {
        for (case, service, title, sample) in [
            ("flag", json!({"additionalInfo": {"sample": true}}), "t", true),
            (
                "in a text",
                json!({"additionalInfo": {"type": "default", "value": "{\"sample\":true}"}}),
                "t",
                true,
            ),
            ("title", json!({}), "[SAMPLE] t", true),
            ("false", json!({"additionalInfo": {"sample": false}}), "t", false),
            ("none", json!({}), "a [SAMPLE] inside", false),
        ] {
            let mut detail = finding(&json!({}), &service);
            detail["title"] = json!(title);
            assert_eq!(Finding::parse(detail.to_string().as_bytes()).unwrap().sample, sample, "{case}");
        }
    }

    #[test]
    fn an_event_of_another_kind_or_without_its_parts_is_refused() {
        let good = finding(&json!({}), &json!({}));
        let envelope = json!({"version": "0", "detail-type": "GuardDuty Finding", "source": "aws.guardduty", "detail": good});
        assert_eq!(Finding::parse(envelope.to_string().as_bytes()).unwrap().id, "f1");
        let without = |name: &str| {
            let mut detail = good.clone();
            detail.as_object_mut().unwrap().remove(name);
            detail.to_string()
        };
        for (case, event, expected) in [
            (
                "another event",
                json!({"detail-type": "EC2 Spot", "detail": good}).to_string(),
                FindingError::AnotherKind,
            ),
            (
                "no detail",
                json!({"detail-type": "GuardDuty Finding"}).to_string(),
                FindingError::Missing("detail"),
            ),
            ("no id", without("id"), FindingError::Missing("id")),
            ("no type", without("type"), FindingError::Missing("type")),
            ("no severity", without("severity"), FindingError::Missing("severity")),
            ("no account", without("accountId"), FindingError::Missing("accountId")),
            ("an array", "[1]".into(), FindingError::Malformed),
            ("twice", r#"{"id":"a","id":"b"}"#.into(), FindingError::Malformed),
            ("huge", " ".repeat(MAX_FINDING_BYTES + 1), FindingError::TooLarge),
        ] {
            assert_eq!(Finding::parse(event.as_bytes()).unwrap_err(), expected, "{case}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _verdict = Finding::parse(&bytes);
        }

        #[test]
        fn a_damaged_finding_never_panics(at in 0_usize..700, byte in any::<u8>()) {
            let mut bytes = finding(
                &json!({"accessKeyDetails": {"userName": "ana", "userType": "IAMUser"}, "s3BucketDetails": [{"name": "b"}]}),
                &json!({"action": {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": "192.0.2.1"}}}}),
            ).to_string().into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _verdict = Finding::parse(&bytes);
        }
    }
}
