"""Queues, tables and buckets: what emulators ignore (TTL, PITR, encryption, policies) is held here."""

import re

import pytest

from sources import rust
from stack import Stack

DATA = Stack().children["Data"]
TABLES = DATA.of_type("AWS::DynamoDB::Table")
QUEUES = DATA.of_type("AWS::SQS::Queue")


@pytest.mark.parametrize("logical", TABLES)
def test_a_table_is_encrypted_protected_and_survives_the_stack(logical):
    table = TABLES[logical]
    properties = table["Properties"]
    assert properties["SSESpecification"]["SSEEnabled"] is True and properties["SSESpecification"]["SSEType"] == "KMS"
    assert properties["DeletionProtectionEnabled"] is True
    assert table["DeletionPolicy"] == "RetainExceptOnCreate" and table["UpdateReplacePolicy"] == "Retain"
    assert properties["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("logical", set(TABLES) - {"LimitsTable"})
def test_a_table_can_be_restored_to_any_second(logical):
    assert TABLES[logical]["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_what_expires_has_the_attribute_that_the_adapters_write():
    ttl = {l: t["Properties"].get("TimeToLiveSpecification", {}).get("AttributeName") for l, t in TABLES.items()}
    assert ttl == {"SubjectKeysTable": None, **{l: "expires_at" for l in TABLES if l != "SubjectKeysTable"}}
    for adapter in ("records", "limits", "audit", "table"):
        assert '"expires_at"' in rust(f"shared/aws/src/dynamodb/{adapter}.rs") or "expires_at" in rust(f"shared/aws/src/dynamodb/{adapter}.rs"), adapter


@pytest.mark.parametrize("lane", ["Text", "Media"])
def test_a_lane_is_fifo_in_high_throughput_mode_with_a_dead_letter_queue(lane):
    for logical in (f"{lane}Queue", f"{lane}DeadLetterQueue"):
        queue = QUEUES[logical]["Properties"]
        assert queue["FifoQueue"] is True and queue["QueueName"].endswith(".fifo")
        assert (queue["DeduplicationScope"], queue["FifoThroughputLimit"]) == ("messageGroup", "perMessageGroupId")
        assert queue["KmsMasterKeyId"] and queue["MessageRetentionPeriod"] == 14 * 86400
        # The function's own limit where nothing is set: a message that it sends must fit.
        assert queue["MaximumMessageSize"] == 1_048_576
    redrive = QUEUES[f"{lane}Queue"]["Properties"]["RedrivePolicy"]
    assert redrive == {"deadLetterTargetArn": f"<{lane}DeadLetterQueue.Arn>", "maxReceiveCount": 1000}, "the consumer puts poison aside itself: trouble that passes is no reason"


def test_messages_stay_hidden_six_times_as_long_as_the_consumer_may_take():
    timeout = Stack().root.properties("PiiFunction")["Timeout"]
    assert {q["Properties"]["VisibilityTimeout"] for l, q in QUEUES.items() if "DeadLetter" not in l} == {6 * timeout}


def test_the_consumer_reports_item_by_item():
    events = Stack().root.properties("PiiFunction")["Events"]
    assert {e["Properties"]["Queue"] for e in events.values()} == {"<Data.Outputs.TextQueueArn>", "<Data.Outputs.MediaQueueArn>"}
    assert all(e["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for e in events.values())


def expirations():
    """Prefix → days, of the claim-check bucket's lifecycle."""
    rules = DATA.properties("ClaimCheckBucket")["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    return {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}


@pytest.mark.parametrize("lane", ["Text", "Media"])
def test_claims_outlive_their_messages(lane):
    # A FIFO queue counts a message's days anew where it was moved to.
    waits = sum(QUEUES[f"{lane}{queue}"]["Properties"]["MessageRetentionPeriod"] for queue in ("Queue", "DeadLetterQueue"))
    assert expirations()[f"{lane.lower()}/"] * 86400 > waits
    assert DATA.source["Parameters"]["ClaimDays"]["MinValue"] * 86400 > waits


def test_objects_of_records_live_as_long_as_the_adapter_says():
    spans = re.search(r"KEPT_DAYS: \[u32; \d\] = \[([\d, ]+)\]", rust("shared/aws/src/s3.rs"))[1]
    days = [int(span) for span in spans.split(",")]
    assert {p: d for p, d in expirations().items() if p.startswith("records/")} == {f"records/{d}/": d for d in days}
    longest = re.search(r"MAX_RETENTION_DAYS: u32 = (\d+)", rust("shared/pii/src/classify/policy_file.rs"))[1]
    assert max(days) == int(longest) and days == sorted(days)


def test_a_destroyed_key_cannot_be_had_back_longer_than_the_parameter_says():
    days = {l: t["Properties"]["PointInTimeRecoverySpecification"]["RecoveryPeriodInDays"] for l, t in TABLES.items() if l != "LimitsTable"}
    assert days.pop("SubjectKeysTable") == 7 and set(days.values()) == {35}
    assert Stack(SubjectKeysRecoveryDays=35).children["Data"].properties("SubjectKeysTable")["PointInTimeRecoverySpecification"]["RecoveryPeriodInDays"] == 35


@pytest.mark.parametrize("switches", [{}, {"CloudTrail": "true", "ConfigRecorder": "true", "CloudFront": "true", "EdgeDomainName": "a", "EdgeCertificateArn": "c"}])
def test_every_bucket_is_closed_encrypted_and_over_tls_only(switches):
    stack = Stack(**switches)
    for template in stack.children.values():
        policies = {p["Properties"]["Bucket"]: p for p in template.of_type("AWS::S3::BucketPolicy").values()}
        for logical, bucket in template.of_type("AWS::S3::Bucket").items():
            assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}, logical
            assert bucket["Properties"]["BucketEncryption"], logical
            denials = [s for s in policies[f"<{logical}>"]["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
            assert any(s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} for s in denials), logical


def test_queues_take_nothing_without_tls_or_from_other_accounts():
    (policy,) = DATA.of_type("AWS::SQS::QueuePolicy").values()
    assert set(policy["Properties"]["Queues"]) == {f"<{logical}>" for logical in QUEUES}
    conditions = [s["Condition"] for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    assert {"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}} in conditions


def test_the_trail_covers_all_regions_is_validated_encrypted_and_locked():
    detection = Stack(CloudTrail="true").children["Detection"]
    trail = detection.properties("Trail")
    assert trail["IsMultiRegionTrail"] and trail["EnableLogFileValidation"] and trail["IsLogging"] and trail["KMSKeyId"]
    bucket = detection.properties("TrailBucket")
    assert bucket["ObjectLockEnabled"] is True and bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_every_rule_of_eventbridge_has_a_dead_letter_queue():
    alerts = Stack().children["Alerts"]
    rules = alerts.of_type("AWS::Events::Rule")
    assert len(rules) >= 7
    for logical, rule in rules.items():
        assert all(t["DeadLetterConfig"]["Arn"] == "<UndeliveredQueue.Arn>" for t in rule["Properties"]["Targets"]), logical
        assert rule["Properties"]["Name"].startswith("portcullis-"), "the queue's policy names rules by that"


def test_secrets_that_only_the_owner_knows_are_left_empty():
    import json

    secrets = Stack().children["Secrets"].of_type("AWS::SecretsManager::Secret")
    webhook = secrets["WebhookSecret"]["Properties"]["GenerateSecretString"]
    assert json.loads(webhook["SecretStringTemplate"]) == {"app_secret": "", "verify_token": ""}
    assert webhook["GenerateStringKey"] == "conversation_key" and webhook["PasswordLength"] >= 32
    assert all("SecretString" not in s["Properties"] and s["Properties"]["KmsKeyId"] for s in secrets.values())


def test_security_groups_name_each_other_and_nothing_comes_from_outside():
    network = Stack(AttachVpc="true").children["Network"]
    groups = network.of_type("AWS::EC2::SecurityGroup")
    for logical, group in groups.items():
        assert group["Properties"]["SecurityGroupEgress"], f"{logical}: without one EC2 lets everything out"
        for ingress in group["Properties"].get("SecurityGroupIngress", []):
            assert "CidrIp" not in ingress and ingress["SourceSecurityGroupId"] == "<LambdaSecurityGroup>", logical
    assert "SecurityGroupIngress" not in groups["LambdaSecurityGroup"]["Properties"]
    cache = network.properties("CacheFromLambda")
    assert (cache["FromPort"], cache["ToPort"], cache["DestinationSecurityGroupId"]) == (6379, 6379, "<CacheSecurityGroup>")
    zones = {network.properties(s)["AvailabilityZone"] for s in ("PrivateSubnetA", "PrivateSubnetB")}
    assert len(zones) == 2 and not network.of_type("AWS::EC2::InternetGateway")
