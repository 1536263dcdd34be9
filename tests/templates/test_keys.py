"""KMS: who may use which key, with which encryption context. Key policies are what emulators do not enforce."""

import re

import pytest

from stack import ROOT, Stack, Template, listed

KEYS = Template("infra/keys.yaml", Name="portcullis")
USE = {"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:Sign", "kms:CreateGrant"}
ROLE = "arn:aws:iam::111122223333:role/portcullis-us-east-1-"


def statements(key):
    return {s["Sid"]: s for s in KEYS.properties(key)["KeyPolicy"]["Statement"]}


@pytest.mark.parametrize("key", KEYS.of_type("AWS::KMS::Key"))
def test_administrators_manage_a_key_and_cannot_use_it(key):
    administer = statements(key)["Administer"]
    assert set(administer["Action"]) & USE == set()
    assert not any("*" in action for action in administer["Action"])
    assert "kms:PutKeyPolicy" in administer["Action"], "or the key could never be changed again"


@pytest.mark.parametrize("key", KEYS.of_type("AWS::KMS::Key"))
def test_every_use_has_a_condition_and_no_principal_is_everybody(key):
    for sid, statement in statements(key).items():
        assert statement["Principal"] != "*" and "*" not in listed(list(statement["Principal"].values())[0])
        # EventBridge brings nothing to condition on.
        if sid not in ("Administer", "EventsAreSent"):
            assert statement["Effect"] == "Allow" and statement["Condition"], sid
            assert set(statement["Action"]) <= USE | {"kms:DescribeKey"}, sid


@pytest.mark.parametrize("key", KEYS.of_type("AWS::KMS::Key"))
def test_keys_rotate_and_survive_the_stack(key):
    resource = KEYS.resources[key]
    assert resource["Properties"]["EnableKeyRotation"] is True
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate" and resource["UpdateReplacePolicy"] == "Retain"
    assert resource["Properties"]["PendingWindowInDays"] == 30


@pytest.mark.parametrize(("key", "purpose"), [("ConversationKey", "conversation"), ("MediaKey", "media")])
def test_branch_keys_are_wrapped_by_one_role_for_one_purpose_and_table(key, purpose):
    (use,) = [s for sid, s in statements(key).items() if sid != "Administer"]
    assert listed(use["Condition"]["ArnEquals"]["aws:PrincipalArn"]) == [ROLE + "pii"]
    context = use["Condition"]["StringEquals"]
    assert context["kms:EncryptionContext:portcullis:purpose"] == purpose
    table = Stack().children["Data"].properties("SubjectKeysTable")["TableName"]
    assert context["kms:EncryptionContext:portcullis:table"] == table


def test_the_contexts_are_those_that_the_code_sends():
    source = (ROOT / "shared/pii/src/hierarchy/index.rs").read_text()
    sent = set(re.findall(r'\("(portcullis:\w+)"', source))
    (use,) = [s for sid, s in statements("ConversationKey").items() if sid != "Administer"]
    assert set(use["Condition"]["ForAllValues:StringEquals"]["kms:EncryptionContextKeys"]) == sent

    source = (ROOT / "shared/aws/src/kms/sealer.rs").read_text()
    sent = set(re.findall(r'\("(\w+)", (?:PURPOSE|context)', source))
    use = statements("TokenKey")["SealSigningKeys"]
    assert set(use["Condition"]["ForAllValues:StringEquals"]["kms:EncryptionContextKeys"]) == sent == {"purpose", "kid", "alg"}
    purpose = re.search(r'const PURPOSE: &str = "([^"]+)"', source)[1]
    assert use["Condition"]["StringEquals"]["kms:EncryptionContext:purpose"] == purpose
    assert listed(use["Condition"]["ArnEquals"]["aws:PrincipalArn"]) == [ROLE + "sts", ROLE + "rotation"]


def test_queue_and_claims_keys_work_for_our_queues_and_bucket_alone():
    data = Stack().children["Data"]
    queues = {q["Properties"]["QueueName"] for q in data.of_type("AWS::SQS::Queue").values()}
    uses = statements("QueueKey")
    in_use = uses["QueuesInUse"]["Condition"]["StringEquals"]
    assert {arn.rsplit(":", 1)[1] for arn in in_use["kms:EncryptionContext:aws:sqs:arn"]} == queues
    assert in_use["kms:ViaService"] == "sqs.us-east-1.amazonaws.com"
    claims = uses["ClaimsInUse"]["Condition"]["StringEquals"]
    bucket = data.properties("ClaimCheckBucket")["BucketName"]
    assert listed(claims["kms:EncryptionContext:aws:s3:arn"]) == [f"arn:aws:s3:::{bucket}"]


def test_table_keys_work_for_our_tables_alone():
    data = Stack().children["Data"]
    by_key = {}
    for table in data.of_type("AWS::DynamoDB::Table").values():
        by_key.setdefault(table["Properties"]["SSESpecification"]["KMSMasterKeyId"], set()).add(table["Properties"]["TableName"])
    for key, sid, parameter in (("TableKey", "TablesInUse", "<Keys.Outputs.TableKeyArn>"), ("AuditKey", "AuditTableInUse", "<Keys.Outputs.AuditKeyArn>")):
        sids = [sid, "IncidentTablesInUse"] if key == "AuditKey" else [sid]
        named = [statements(key)[s]["Condition"]["StringEquals"]["kms:EncryptionContext:aws:dynamodb:tableName"] for s in sids]
        assert sorted(name for names in named for name in listed(names)) == sorted(by_key[parameter])


def test_roles_that_reach_a_table_may_use_its_key():
    """A grant on a table is worth nothing without its key: the role's policy and the key's policy both name it."""
    for key, sid, tables in (
        ("TableKey", "TablesInUse", ("Conversations", "SubjectKeys", "Tokens", "Credentials", "Limits")),
        ("AuditKey", "AuditTableInUse", ("Audit",)),
        ("AuditKey", "IncidentTablesInUse", ("Incidents", "Correlation")),
    ):
        allowed = {arn.removeprefix(ROLE) for arn in listed(statements(key)[sid]["Condition"]["ArnEquals"]["aws:PrincipalArn"])}
        from test_actions import functions, granted

        for function in functions():
            reaches = any(on.startswith(f"{t}TableArn") for _, on in granted(function, ApiKeys="required") for t in tables)
            assert not reaches or (function in allowed and ("kms:Decrypt", f"{key}Arn") in granted(function)), (key, function)


def test_log_groups_have_names_that_the_key_knows():
    patterns = statements("AuditKey")["LogsAreWritten"]["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    stack = Stack(AttachVpc="true", ExampleAiRole="true")
    names = [
        g["Properties"]["LogGroupName"]
        for t in (stack.root, *stack.children.values())
        for g in t.of_type("AWS::Logs::LogGroup").values()
    ]
    assert len(names) >= 6
    for name in names:
        arn = f"arn:aws:logs:us-east-1:111122223333:log-group:{name}"
        assert any(re.fullmatch(re.escape(p).replace(r"\*", ".*"), arn) for p in patterns), name
