//! A working week of a small company: deployments, CI, services acting for it, people at work. No rule fires.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "what is not as expected fails the test"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use support::{COMPANY, detector, play};

#[test]
fn nothing_fires_on_a_normal_week() {
    let week = Week::default().write(SEED);
    let calls: BTreeSet<String> =
        week.iter().map(|r| format!("{}:{}", r["eventSource"], r["eventName"])).collect();
    assert!(
        week.len() > 3000 && calls.len() > 120,
        "{} records of {} calls are no week",
        week.len(),
        calls.len()
    );
    let input = serde_json::to_string(&week).unwrap();
    for (context, detector) in [("company", detector(COMPANY)), ("nothing known", detector(""))] {
        let mut fired = BTreeMap::new();
        for hit in play(&detector, &input) {
            fired.entry(hit.rule).or_insert((hit.event_name, hit.principal, hit.time));
        }
        assert!(fired.is_empty(), "{context}: {fired:#?}");
    }
}

/// The same week with one theft in it: silence is not deafness.
#[test]
fn one_attack_in_a_normal_week_stands_out() {
    let mut week = Week::default().write(SEED);
    let mut theft = week[week.len() / 2].clone();
    theft["eventID"] = "theft".into();
    theft["eventSource"] = "cloudtrail.amazonaws.com".into();
    theft["eventName"] = "StopLogging".into();
    theft.as_object_mut().unwrap().remove("errorCode");
    week.insert(1000, theft);
    let hits = play(&detector(COMPANY), &serde_json::to_string(&week).unwrap());
    assert_eq!(
        hits.iter().map(|hit| (&*hit.rule, &*hit.event_id)).collect::<Vec<_>>(),
        [("trail-stopped", "theft")]
    );
}

const SEED: u64 = 20_260_302;
const ACCOUNT: &str = "111122223333";

#[derive(Default)]
struct Week {
    records: Vec<Value>,
    random: u64,
}

impl Week {
    /// Monday 2026-03-02 to Friday 2026-03-06.
    fn write(mut self, seed: u64) -> Vec<Value> {
        self.random = seed;
        for day in 2..=6 {
            self.night(day);
            for person in ["ana", "bruno", "carla", "diego"] {
                self.office_day(day, person);
            }
            for run in 0..6 {
                self.deployment(day, 9 + run);
            }
            self.services(day);
            self.workloads(day);
        }
        self.records
    }

    /// A small linear congruential generator: the week is the same on every machine.
    fn below(&mut self, n: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % n
    }

    fn call(&mut self, who: &Value, from: &str, at: &str, call: &str, parameters: &Value) -> &mut Value {
        let (source, name) = call.split_once(':').unwrap();
        let id = format!("benign-{:05}", self.records.len());
        self.records.push(json!({
            "eventVersion": "1.10", "userIdentity": who, "eventTime": at, "eventSource": format!("{source}.amazonaws.com"),
            "eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": from, "userAgent": "aws-sdk-rust/1.3",
            "requestParameters": parameters, "responseElements": null, "eventID": id, "eventType": "AwsApiCall",
            "readOnly": name.starts_with("Get") || name.starts_with("List") || name.starts_with("Describe"),
            "managementEvent": true, "recipientAccountId": ACCOUNT, "eventCategory": "Management"
        }));
        self.records.last_mut().unwrap()
    }

    fn time(&mut self, day: u64, hour: u64) -> String {
        format!("2026-03-{day:02}T{hour:02}:{:02}:{:02}Z", self.below(60), self.below(60))
    }

    /// Logs in with a second factor, looks at much, changes a little, is refused now and then.
    fn office_day(&mut self, day: u64, person: &str) {
        let who = person_of_identity_center(person);
        let office = "203.0.113.10";
        let at = self.time(day, 8);
        let login = self.call(&who, office, &at, "signin:ConsoleLogin", &Value::Null);
        login["eventType"] = "AwsConsoleSignIn".into();
        login["responseElements"] = json!({"ConsoleLogin": "Success"});
        login["additionalEventData"] =
            json!({"MFAUsed": "No", "LoginTo": "https://console.aws.amazon.com/console/home"});
        for hour in 9..18 {
            for _ in 0..4 {
                let (at, pick) = (self.time(day, hour), self.below(LOOKS.len() as u64));
                self.call(&who, office, &at, LOOKS[pick as usize], &json!({"maxResults": 100}));
            }
            let (at, pick) = (self.time(day, hour), self.below(20));
            let changes = changes();
            let (call, parameters) = &changes[pick as usize % changes.len()];
            self.call(&who, office, &at, call, parameters);
        }
        let at = self.time(day, 14);
        self.call(&who, office, &at, "s3:GetBucketPolicy", &json!({"bucketName": "finance"}))["errorCode"] =
            "AccessDenied".into();
        let at = self.time(day, 15);
        self.call(&who, office, &at, "ec2:StopInstances", &json!({}))["errorCode"] =
            "Client.UnauthorizedOperation".into();
        // A user with a password and a second factor, who mistypes it twice.
        let user = json!({"type": "IAMUser", "userName": person, "accountId": ACCOUNT});
        for (minute, answer) in [(1, "Failure"), (2, "Failure"), (3, "Success")] {
            let login = self.call(
                &user,
                office,
                &format!("2026-03-{day:02}T08:3{minute}:00Z"),
                "signin:ConsoleLogin",
                &Value::Null,
            );
            login["eventType"] = "AwsConsoleSignIn".into();
            login["responseElements"] = json!({"ConsoleLogin": answer});
            login["additionalEventData"] = json!({"MFAUsed": "Yes"});
        }
    }

    /// A pipeline assumes its role, pushes an image, updates functions and a stack; CloudFormation does the rest for it.
    fn deployment(&mut self, day: u64, hour: u64) {
        let runner = "198.51.100.40";
        let (ci, stack) = (
            role("ci-deploy", "pipeline", None),
            role("ci-deploy", "AWSCloudFormation", Some("cloudformation.amazonaws.com")),
        );
        let federated = json!({"type": "WebIdentityUser", "principalId": "oidc", "userName": "repo:company/app", "identityProvider": "oidc"});
        let at = self.time(day, hour);
        self.call(
            &federated,
            runner,
            &at,
            "sts:AssumeRoleWithWebIdentity",
            &json!({"roleArn": "arn:aws:iam::111122223333:role/ci-deploy"}),
        );
        for (call, parameters) in pipeline() {
            let at = self.time(day, hour);
            self.call(&ci, runner, &at, call, &parameters);
        }
        for (call, parameters) in stack_changes() {
            let at = self.time(day, hour);
            self.call(&stack, "cloudformation.amazonaws.com", &at, call, &parameters);
        }
    }

    /// What AWS does by itself or for the account, as root sometimes.
    fn services(&mut self, day: u64) {
        for (service, call) in SERVICES {
            for hour in [1, 7, 13, 19] {
                let at = self.time(day, hour);
                let name = format!("{service}.amazonaws.com");
                self.call(
                    &json!({"type": "AWSService", "invokedBy": name}),
                    &name,
                    &at,
                    call,
                    &json!({"roleArn": "r"}),
                );
            }
        }
        for (call, kind) in [
            ("acm:RenewCertificate", "AwsServiceEvent"),
            ("kms:RotateKey", "AwsServiceEvent"),
            ("s3:GetBucketAcl", "AwsApiCall"),
        ] {
            let at = self.time(day, 3);
            let root = json!({"type": "Root", "principalId": ACCOUNT, "arn": format!("arn:aws:iam::{ACCOUNT}:root"), "accountId": ACCOUNT, "invokedBy": "support.amazonaws.com"});
            self.call(&root, "AWS Internal", &at, call, &Value::Null)["eventType"] = kind.into();
        }
        // Backups are deleted by their schedule; a security group is managed by a load balancer's controller.
        let backup = role("AWSBackupDefaultServiceRole", "AWSBackup", Some("backup.amazonaws.com"));
        for call in
            ["backup:DeleteRecoveryPoint", "ec2:CreateSnapshot", "ec2:DeleteSnapshot", "kms:CreateGrant"]
        {
            let at = self.time(day, 2);
            self.call(&backup, "backup.amazonaws.com", &at, call, &json!({}));
        }
    }

    /// Functions, containers and instances: their few secrets again and again, keys, tables, queues, models.
    fn workloads(&mut self, day: u64) {
        for hour in 0..24 {
            for (function, secret) in
                [("orders", "db"), ("orders", "payments"), ("billing", "db"), ("chat", "whatsapp")]
            {
                let who = role(function, function, None);
                for (call, parameters) in [
                    ("secretsmanager:GetSecretValue", json!({"secretId": secret})),
                    (
                        "ssm:GetParameters",
                        json!({"names": [format!("/{function}/a"), format!("/{function}/b"), format!("/{function}/c")], "withDecryption": true}),
                    ),
                    (
                        "ssm:GetParametersByPath",
                        json!({"path": format!("/{function}/"), "withDecryption": true, "recursive": true}),
                    ),
                    ("kms:Decrypt", json!({"encryptionContext": {"f": function}})),
                    ("bedrock:InvokeModel", json!({"modelId": "anthropic.claude-3-haiku"})),
                    ("dynamodb:DescribeTable", json!({"tableName": function})),
                    ("s3:DeleteObject", json!({"bucketName": "cache", "key": "k"})),
                ] {
                    let at = self.time(day, hour);
                    self.call(&who, "54.210.3.4", &at, call, &parameters);
                }
            }
            let machine = role("web", "i-0123456789abcdef0", None);
            for (call, from) in [
                ("ssm:UpdateInstanceInformation", "203.0.113.20"),
                ("s3:ListBuckets", "203.0.113.20"),
                ("ec2:DescribeTags", "10.0.3.4"),
                ("sts:GetCallerIdentity", "10.0.3.4"),
                ("autoscaling:DescribeAutoScalingInstances", "203.0.113.20"),
            ] {
                let at = self.time(day, hour);
                self.call(&machine, from, &at, call, &json!({}));
            }
            // A program whose role lost a right: one call, refused all day.
            for _ in 0..3 {
                let at = self.time(day, hour);
                let who = role("reports", "reports", None);
                self.call(&who, "54.210.3.5", &at, "athena:StartQueryExecution", &json!({}))["errorCode"] =
                    "AccessDeniedException".into();
            }
        }
    }

    /// Nightly jobs of automation: patches, snapshots to the company's other place, audits that list everything.
    fn night(&mut self, day: u64) {
        let (patch, audit) = (role("ci-patch", "patch", None), role("auditor", "prowler", None));
        for (call, parameters) in [
            (
                "ssm:SendCommand",
                json!({"documentName": "AWS-RunPatchBaseline", "targets": [{"key": "tag:Patch", "values": ["yes"]}]}),
            ),
            ("ec2:CreateImage", json!({"instanceId": "i-1", "name": "nightly"})),
            (
                "ec2:ModifySnapshotAttribute",
                json!({"snapshotId": "s", "createVolumePermission": {"add": {"items": [{"userId": ACCOUNT}]}}}),
            ),
            ("ec2:ModifyImageAttribute", json!({"imageId": "ami-1", "description": {"value": "nightly"}})),
            (
                "s3:PutBucketLifecycle",
                json!({"bucketName": "scratch", "LifecycleConfiguration": {"Rule": {"Expiration": {"Days": 7}}}}),
            ),
        ] {
            let at = self.time(day, 2);
            self.call(&patch, "198.51.100.41", &at, call, &parameters);
        }
        for call in LOOKS {
            let at = self.time(day, 4);
            self.call(&audit, "198.51.100.41", &at, call, &json!({}));
        }
    }
}

fn role(name: &str, session: &str, invoked_by: Option<&str>) -> Value {
    let mut who = json!({
        "type": "AssumedRole", "principalId": format!("AROAEXAMPLE:{session}"),
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"), "accountId": ACCOUNT, "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": format!("arn:aws:iam::{ACCOUNT}:role/{name}"), "accountId": ACCOUNT, "userName": name},
            "attributes": {"mfaAuthenticated": "false"}}
    });
    if let Some(service) = invoked_by {
        who["invokedBy"] = service.into();
    }
    who
}

fn person_of_identity_center(name: &str) -> Value {
    let mut who = role("AWSReservedSSO_Operators_0123456789abcdef", &format!("{name}@example.com"), None);
    who["sessionContext"]["sessionIssuer"]["arn"] = format!(
        "arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Operators_0123456789abcdef"
    )
    .into();
    who
}

fn trust(principal: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}).to_string()
}

fn open(port: u16, range: &str) -> Value {
    json!({"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": port, "toPort": port, "ipRanges": {"items": [{"cidrIp": range}]}}]}})
}

/// What people change on a normal day.
fn changes() -> Vec<(&'static str, Value)> {
    vec![
        ("ec2:CreateTags", json!({"resourcesSet": {"items": [{"resourceId": "i-1"}]}})),
        ("ec2:StartInstances", json!({"instancesSet": {"items": [{"instanceId": "i-1"}]}})),
        ("ec2:RunInstances", json!({"instanceType": "t3.medium"})),
        ("ec2:ModifyInstanceAttribute", json!({"instanceId": "i-1", "instanceType": {"value": "t3.large"}})),
        ("ec2:AuthorizeSecurityGroupIngress", open(443, "0.0.0.0/0")),
        ("ec2:AuthorizeSecurityGroupIngress", open(5432, "10.0.0.0/16")),
        ("ec2:RevokeSecurityGroupIngress", open(22, "203.0.113.10/32")),
        ("rds:ModifyDBInstance", json!({"dBInstanceIdentifier": "orders", "allocatedStorage": 200})),
        ("rds:CreateDBSnapshot", json!({"dBInstanceIdentifier": "orders"})),
        ("cloudwatch:PutMetricAlarm", json!({"alarmName": "cpu"})),
        ("logs:PutRetentionPolicy", json!({"logGroupName": "/x", "retentionInDays": 30})),
        ("ssm:StartSession", json!({"target": "i-1"})),
        ("ec2-instance-connect:SendSSHPublicKey", json!({"instanceId": "i-1", "instanceOSUser": "ec2-user"})),
        ("secretsmanager:PutSecretValue", json!({"secretId": "db"})),
        ("iam:UpdateRoleDescription", json!({"roleName": "app"})),
        ("iam:ChangePassword", Value::Null),
        ("s3:PutBucketTagging", json!({"bucketName": "b"})),
        ("route53:ChangeResourceRecordSets", json!({"hostedZoneId": "Z"})),
        ("guardduty:ArchiveFindings", json!({"detectorId": "d", "findingIds": ["f"]})),
        ("support:CreateCase", json!({"subject": "quota"})),
    ]
}

/// What a pipeline does itself.
fn pipeline() -> Vec<(&'static str, Value)> {
    vec![
        ("sts:GetCallerIdentity", Value::Null),
        ("ecr:GetAuthorizationToken", Value::Null),
        ("ecr:InitiateLayerUpload", json!({"repositoryName": "app"})),
        ("ecr:PutImage", json!({"repositoryName": "app", "imageTag": "v1"})),
        ("s3:PutObject", json!({"bucketName": "artifacts", "key": "app.zip"})),
        ("cloudformation:CreateChangeSet", json!({"stackName": "app"})),
        ("cloudformation:ExecuteChangeSet", json!({"stackName": "app"})),
        ("cloudformation:DescribeStacks", json!({"stackName": "app"})),
        ("lambda:UpdateFunctionCode20150331v2", json!({"functionName": "orders", "s3Bucket": "artifacts"})),
        ("lambda:PublishVersion20150331", json!({"functionName": "orders"})),
        ("lambda:UpdateAlias20150331", json!({"functionName": "orders", "name": "live"})),
        ("ecs:RegisterTaskDefinition", json!({"family": "app"})),
        ("ecs:UpdateService", json!({"service": "app"})),
        ("cloudfront:CreateInvalidation", json!({"distributionId": "E"})),
        ("codedeploy:CreateDeployment", json!({"applicationName": "app"})),
    ]
}

/// What CloudFormation does for it.
fn stack_changes() -> Vec<(&'static str, Value)> {
    let scoped = json!({"Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::b/*"}]}).to_string();
    let topic = json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}]}).to_string();
    vec![
        (
            "iam:CreateRole",
            json!({"roleName": "app", "assumeRolePolicyDocument": trust(&json!({"Service": "lambda.amazonaws.com"}))}),
        ),
        (
            "iam:CreateRole",
            json!({"roleName": "deploy", "assumeRolePolicyDocument": trust(&json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}))}),
        ),
        ("iam:PutRolePolicy", json!({"roleName": "app", "policyName": "p", "policyDocument": scoped})),
        (
            "iam:AttachRolePolicy",
            json!({"roleName": "app", "policyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}),
        ),
        (
            "iam:UpdateAssumeRolePolicy",
            json!({"roleName": "app", "policyDocument": trust(&json!({"Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]}))}),
        ),
        ("iam:CreateInstanceProfile", json!({"instanceProfileName": "app"})),
        ("lambda:CreateFunction20150331", json!({"functionName": "orders"})),
        (
            "lambda:UpdateFunctionConfiguration20150331v2",
            json!({"functionName": "orders", "layers": ["arn:aws:lambda:us-east-1:017000801446:layer:Powertools:1"]}),
        ),
        (
            "lambda:AddPermission20150331v2",
            json!({"functionName": "orders", "principal": "apigateway.amazonaws.com", "sourceArn": "arn:aws:execute-api:us-east-1:111122223333:x"}),
        ),
        (
            "lambda:PutFunctionConcurrency20171031",
            json!({"functionName": "orders", "reservedConcurrentExecutions": 10}),
        ),
        ("s3:CreateBucket", json!({"bucketName": "b"})),
        (
            "s3:PutBucketPublicAccessBlock",
            json!({"bucketName": "b", "PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true}}),
        ),
        (
            "s3:PutBucketPolicy",
            json!({"bucketName": "b", "bucketPolicy": {"Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", "Resource": "*"}]}}),
        ),
        (
            "sns:SetTopicAttributes",
            json!({"topicArn": "t", "attributeName": "Policy", "attributeValue": topic}),
        ),
        ("sqs:SetQueueAttributes", json!({"queueUrl": "q", "attributes": {"VisibilityTimeout": "60"}})),
        (
            "kms:CreateKey",
            json!({"policy": json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "kms:*", "Resource": "*"}]}).to_string()}),
        ),
        ("kms:EnableKeyRotation", json!({"keyId": "k"})),
        ("events:PutRule", json!({"name": "portcullis-cloudtrail"})),
        ("events:RemoveTargets", json!({"rule": "portcullis-cloudtrail", "ids": ["old"]})),
        ("logs:CreateLogGroup", json!({"logGroupName": "/x"})),
        ("apigateway:CreateDeployment", json!({"restApiId": "a"})),
        ("ec2:AuthorizeSecurityGroupIngress", open(443, "0.0.0.0/0")),
        ("ec2:CreateFlowLogs", json!({})),
        ("dynamodb:CreateTable", json!({"tableName": "orders"})),
        ("cloudtrail:CreateTrail", json!({"name": "main"})),
        ("cloudtrail:StartLogging", json!({"name": "main"})),
    ]
}

/// Services, and what they call.
const SERVICES: [(&str, &str); 12] = [
    ("lambda", "sts:AssumeRole"),
    ("ecs-tasks", "sts:AssumeRole"),
    ("ec2", "sts:AssumeRole"),
    ("config", "s3:PutObject"),
    ("cloudtrail", "s3:GetBucketAcl"),
    ("cloudtrail", "kms:GenerateDataKey"),
    ("autoscaling", "ec2:RunInstances"),
    ("autoscaling", "ec2:TerminateInstances"),
    ("secretsmanager", "lambda:Invoke"),
    ("guardduty", "ec2:DescribeInstances"),
    ("access-analyzer", "iam:ListRoles"),
    ("replicator.lambda", "sts:AssumeRole"),
];

/// What people, dashboards and audits look at.
const LOOKS: [&str; 68] = [
    "ec2:DescribeInstances",
    "ec2:DescribeVolumes",
    "ec2:DescribeSnapshots",
    "ec2:DescribeImages",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeVpcs",
    "ec2:DescribeSubnets",
    "ec2:DescribeRouteTables",
    "ec2:DescribeFlowLogs",
    "ec2:DescribeAddresses",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypes",
    "ec2:GetConsoleOutput",
    "ec2:DescribeLaunchTemplates",
    "iam:ListUsers",
    "iam:ListRoles",
    "iam:ListPolicies",
    "iam:GetRole",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetUser",
    "iam:GetAccountSummary",
    "iam:ListAccessKeys",
    "iam:ListMFADevices",
    "iam:GenerateCredentialReport",
    "iam:GetAccountAuthorizationDetails",
    "s3:ListBuckets",
    "s3:GetBucketLocation",
    "s3:GetBucketPolicy",
    "s3:GetBucketAcl",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "rds:DescribeDBInstances",
    "rds:DescribeDBSnapshots",
    "lambda:ListFunctions20150331",
    "lambda:GetFunction20150331v2",
    "lambda:GetPolicy20150331v2",
    "cloudtrail:DescribeTrails",
    "cloudtrail:LookupEvents",
    "cloudtrail:GetTrailStatus",
    "cloudtrail:GetEventSelectors",
    "guardduty:ListDetectors",
    "guardduty:GetFindings",
    "guardduty:GetDetector",
    "securityhub:GetFindings",
    "config:DescribeConfigurationRecorders",
    "kms:ListKeys",
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "secretsmanager:ListSecrets",
    "secretsmanager:DescribeSecret",
    "ssm:DescribeParameters",
    "ssm:DescribeInstanceInformation",
    "ssm:ListCommands",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "logs:DescribeLogGroups",
    "logs:StartQuery",
    "ecs:ListClusters",
    "eks:ListClusters",
    "eks:ListAccessEntries",
    "organizations:DescribeOrganization",
    "organizations:ListAccounts",
    "rolesanywhere:ListTrustAnchors",
    "bedrock:ListFoundationModels",
    "bedrock:GetFoundationModelAvailability",
    "sts:GetCallerIdentity",
    "ce:GetCostAndUsage",
];
