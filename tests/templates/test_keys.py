"""KMS: who may use which key, with which encryption context. Key policies are what emulators do not enforce."""

import re

import pytest

from stack import ROOT, Stack, Template, listed, load, policies

KEYS = Template("infra/keys.yaml", Name="portcullis")
OPERATORS = ["arn:aws:iam::111122223333:role/oncall", "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/Auditor"]
USE = {"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:Sign", "kms:CreateGrant"}
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


def of_operators(operators):
    """Key → the statements that name people, for what this parameter says."""
    keys = Template("infra/keys.yaml", Name="portcullis", OperatorRoleArns=operators)
    found = {}
    for key in keys.of_type("AWS::KMS::Key"):
        for s in keys.properties(key)["KeyPolicy"]["Statement"]:
            if s["Sid"].startswith("Operators"):
                found.setdefault(key, []).append(s)
    return found


def test_nobody_but_the_functions_uses_a_key_unless_people_are_named():
    assert of_operators("") == {}
    found = of_operators(",".join(OPERATORS))
    assert sorted(found) == ["AuditKey", "QueueKey", "TableKey"], "never the keys of conversations, media, tokens and secrets"
    for (statement,) in found.values():
        assert statement["Condition"]["ArnEquals"] == {"aws:PrincipalArn": OPERATORS}
    assert Stack(OperatorRoleArns=",".join(OPERATORS)).children["Keys"].parameters["OperatorRoleArns"] == OPERATORS
    pattern = load("template.yaml")["Parameters"]["OperatorRoleArns"]["AllowedPattern"]
    assert all(re.search(pattern, arn) for arn in ["", *OPERATORS])
    for wide in ("*", "arn:aws:iam::111122223333:role/*", "arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:user/ana"):
        assert not re.search(pattern, wide), wide


# Commands of docs/OPERATIONS.md that read or write what a key of the stack encrypts → the key of the statement that lets people.
ENCRYPTED = {
    "sqs start-message-move-task": "QueueKey",
    "dynamodb restore-table-to-point-in-time": "TableKey",
    # The account's own policies are enough for these: the statement SecretsAreWritten.
    "secretsmanager get-secret-value": "SecretsKey",
    "secretsmanager put-secret-value": "SecretsKey",
    "secretsmanager replicate-secret-to-regions": "SecretsKey",
}
# Of the queue of undelivered events, which is under SQS's own key.
UNDELIVERED = {"sqs get-queue-url", "sqs receive-message", "sqs delete-message"}
PLAIN = ("iam ", "apigateway ", "cloudformation ", "wafv2 ", "lambda ", "events ", "kms ", "elasticache ", "secretsmanager rotate-secret", "secretsmanager update-secret-version-stage", "secretsmanager list-secret-version-ids", "secretsmanager remove-regions-from-replication", "secretsmanager get-random-password", "logs ",
         "secretsmanager delete-secret", "ec2 ", "sts ", "configure ", "dynamodb describe-time-to-live", "dynamodb delete-table", "s3 rb")  # fmt: skip


def test_every_command_of_the_runbook_has_a_principal_that_may():
    text = (ROOT / "docs/OPERATIONS.md").read_text()
    commands = {" ".join(c) for c in re.findall(r"aws ([a-z0-9]+) ([a-z-]+)", text)}
    named = {c for c in commands if not c.startswith(PLAIN)} - UNDELIVERED
    assert named == set(ENCRYPTED), "say which key it needs, and that people may use it"
    assert Stack().children["Alerts"].properties("UndeliveredQueue").get("KmsMasterKeyId") is None
    people = of_operators(",".join(OPERATORS))
    assert {key for key in ENCRYPTED.values() if key != "SecretsKey"} <= set(people)
    written = statements("SecretsKey")["SecretsAreWritten"]
    assert "ArnEquals" not in written["Condition"] and {"kms:GenerateDataKey", "kms:Decrypt"} <= set(written["Action"])
    # What is put aside by the function itself has no queue that it came from.
    assert all("--destination-arn" in line for line in text.splitlines() if "start-message-move-task" in line)


def test_people_use_the_queues_and_tables_of_the_stack_and_restored_ones():
    data = Stack().children["Data"]
    people = of_operators(",".join(OPERATORS))
    (queues,) = people["QueueKey"]
    named = {arn.rsplit(":", 1)[1] for arn in queues["Condition"]["StringEquals"]["kms:EncryptionContext:aws:sqs:arn"]}
    assert named == {q["Properties"]["QueueName"] for q in data.of_type("AWS::SQS::Queue").values()}
    assert set(queues["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    for key in ("TableKey", "AuditKey"):
        tables = [t["Properties"] for t in data.of_type("AWS::DynamoDB::Table").values() if t["Properties"]["SSESpecification"]["KMSMasterKeyId"] == f"<Keys.Outputs.{key}Arn>"]
        restorable = [t["TableName"] for t in tables if "PointInTimeRecoverySpecification" in t]
        condition = people[key][0]["Condition"]["StringEquals"]
        assert condition["kms:ViaService"] == "dynamodb.us-east-1.amazonaws.com"
        expected = {t["TableName"] for t in tables} | {f"{name}-restored" for name in restorable}
        assert set(condition["kms:EncryptionContext:aws:dynamodb:tableName"]) == expected
    assert re.search(r"--target-table-name portcullis-\w+-restored\b", (ROOT / "docs/OPERATIONS.md").read_text())


# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html: at a minimum, of whoever chooses
# the key. ReEncrypt* and GenerateDataKey* are two each.
OF_DYNAMODB = {
    "kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey", "kms:CreateGrant",
}  # fmt: skip


@pytest.mark.parametrize(("key", "made", "set_up"), [("TableKey", "TablesAreMade", "TablesAreSetUp"), ("AuditKey", "AuditTableIsMade", "AuditTablesAreSetUp")])
def test_whoever_makes_a_table_has_what_dynamodb_asks_for_and_reads_nothing_by_it(key, made, set_up):
    made, set_up = statements(key)[made], statements(key)[set_up]
    assert {"kms:DescribeKey"} | set(made["Action"]) | set(set_up["Action"]) == OF_DYNAMODB
    assert "kms:DescribeKey" in statements(key)["Administer"]["Action"]
    assert made["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    # CloudFormation makes and changes tables; items it reads none.
    assert set_up["Condition"]["ForAnyValue:StringEquals"] == {"aws:CalledVia": ["cloudformation.amazonaws.com"]}
    in_use = [s for sid, s in statements(key).items() if sid in ("TablesInUse", "AuditTableInUse", "IncidentTablesInUse")]
    names = {n for s in in_use for n in listed(s["Condition"]["StringEquals"]["kms:EncryptionContext:aws:dynamodb:tableName"])}
    assert set(set_up["Condition"]["StringEquals"]["kms:EncryptionContext:aws:dynamodb:tableName"]) == names
    (people,) = of_operators(",".join(OPERATORS))[key]
    assert set(people["Action"]) == OF_DYNAMODB - {"kms:DescribeKey", "kms:CreateGrant"}, "a restored table is one that they make"


def test_the_example_role_may_use_the_key_of_the_table_that_it_reads():
    role = Template("infra/ai-role.yaml", Name="portcullis")
    granted = {(action, on) for _, _, s in policies(role) if s["Effect"] == "Allow" for action in listed(s["Action"]) for on in listed(s["Resource"])}
    assert ("dynamodb:GetItem", "<ConversationsTableArn>") in granted and ("kms:Decrypt", "<TableKeyArn>") in granted
    named = listed(statements("TableKey")["TablesInUse"]["Condition"]["ArnEquals"]["aws:PrincipalArn"])
    assert role.properties("Role")["RoleName"] in {arn.rsplit("/", 1)[1] for arn in named}
    root = Stack(ExampleAiRole="true").children["AiRole"].parameters
    assert root["TableKeyArn"] == "<Keys.Outputs.TableKeyArn>"


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
