"""One role a function, with exactly what its code calls."""

import json
import re

import pytest
import yaml

from sources import functions, logical, rust, strip
from stack import ROOT, Stack, Template, files, listed, load, policies

LIST = yaml.safe_load((ROOT / "tests/templates/actions.yml").read_text())
OFF = {
    "infra/roles.yaml": {"AttachVpc": "false", "CacheSecretArn": "", "KmsSigning": "false", "ApiKeys": "off", "AuditBusArn": ""},
    "infra/response-roles.yaml": {"AuditBusArn": "", "WebhookSecretArn": "", "BlockLists": ""},
}
RESPONDERS = {"cloudtrail-responder", "guardduty-responder"}
ARN = re.compile("^arn:aws:(kms|secretsmanager|iam|ec2|lambda|autoscaling|guardduty|wafv2):(us-east-1)?:(111122223333)?:")
# A struct with a client of the SDK, made at once or when it is first needed.
CLIENT = re.compile(r"clients?: (Client\b|OnceLock<Client>|Clients\b|Mutex<BTreeMap<String, Client>>)")


def calls_in(adapter):
    """Methods of SDK clients in the adapter's sources."""
    text = "\n".join(rust(f"shared/aws/src/{name}") for name in LIST["adapters"][adapter])
    methods = re.findall(r"client(?:\([^)]*\)|s\.\w+\([^)]*\))?\s*\.([a-z_]+)\(\)", text)
    # The Query APIs are called by the action's own name.
    return set(methods) - {"clone"} | set(re.findall(r'"((?:ec2|autoscaling):\w+)"', text))


def wired(function):
    """Adapters of shared/aws that the function's sources name."""
    text = rust(f"functions/{function}/src")
    names = set()
    for group in re.findall(r"use portcullis_aws::\{([^}]*)\}", text):
        names |= {name.strip() for name in group.split(",")}
    names |= set(re.findall(r"portcullis_aws::([A-Z]\w+)", text))
    return {name for name in names if name in adapters()}


def adapters():
    """Every public type of shared/aws that holds a client."""
    found = set()
    for path in (ROOT / "shared/aws/src").rglob("*.rs"):
        text = strip(path.read_text())
        for name, body in re.findall(r"pub struct (\w+)\s*(\{[^}]*\}|\(.*\);)", text):
            if CLIENT.search(body) or "Table" in body or "KmsSigner" == name:
                found.add(name)
        found |= set(re.findall(r"pub type (\w+)", text))
    return found


def listed_calls(function):
    return {line["call"] for line in LIST["functions"][function] if "call" in line}


def role(function, **parameters):
    """The function's role; switches that its template does not have change nothing."""
    name = "infra/response-roles.yaml" if function in RESPONDERS else "infra/roles.yaml"
    known = {key: value for key, value in parameters.items() if key in OFF[name]}
    return Template(name, **{"Name": "portcullis", **OFF[name], **known}), f"{logical(function)}Role"


def granted(function, **parameters):
    template, name = role(function, **parameters)
    pairs = set()
    for owner, _, statement in policies(template):
        if owner == name and statement["Effect"] == "Allow" and statement["Sid"] != "Logs":
            pairs |= {(a, short(r)) for a in listed(statement["Action"]) for r in listed(statement["Resource"])}
    return pairs


def short(resource):
    """`<TableArn>/index/x` as `TableArn/index/x`; ARNs without what is the same in all."""
    return ARN.sub("", re.sub(r"<(\w+)>", r"\1", resource))


def expected(function, words):
    """What is used with these switches; a line that names some in `only` is for any of them alone."""
    return {
        (action, on)
        for line in LIST["functions"][function]
        if "only" not in line or words & set(listed(line["only"]))
        for action in line["grants"]
        for on in line["resources"]
    }


def test_every_function_is_listed():
    assert sorted(LIST["functions"]) == functions()


@pytest.mark.parametrize("function", functions())
def test_the_adapters_are_those_that_the_function_wires(function):
    assert {call.split(".")[0] for call in listed_calls(function)} == wired(function)


@pytest.mark.parametrize("function", functions())
def test_every_call_of_a_wired_adapter_is_listed_or_of_no_use(function):
    made = {f"{adapter}.{call}" for adapter in wired(function) for call in calls_in(adapter)}
    idle = LIST["of_no_use"].get(function, {})
    assert made - set(idle) == listed_calls(function)
    assert set(idle) <= made and all(idle.values())


@pytest.mark.parametrize("function", functions())
@pytest.mark.parametrize("signer", ["sealed", "kms"])
@pytest.mark.parametrize("keys", ["off", "alternative"])
@pytest.mark.parametrize("bus", ["", "<AuditBusArn>"])
@pytest.mark.parametrize("limits", ["table", "cache"])
def test_the_role_grants_exactly_what_is_used(function, signer, keys, bus, limits):
    words = {signer, limits, "api-keys" if keys != "off" else None, "bus" if bus else None} - {None}
    switches = {"KmsSigning": "true" if signer == "kms" else "false", "ApiKeys": keys, "AuditBusArn": bus}
    if limits == "cache":
        switches |= {"AttachVpc": "true", "CacheSecretArn": "<CacheSecretArn>"}
    if function in RESPONDERS and signer == "kms":
        words |= {"block-lists", "webhook"}
        switches |= {"BlockLists": "regional", "WebhookSecretArn": "<WebhookSecretArn>"}
    used, grants = expected(function, words), granted(function, **switches)
    assert grants - used == set(), "granted and never used"
    assert used - grants == set(), "used and not granted"


@pytest.mark.parametrize("function", functions())
def test_a_role_writes_its_own_log_and_no_other(function):
    template, name = role(function)
    (logs,) = [s for owner, _, s in policies(template) if owner == name and s["Sid"] == "Logs"]
    assert set(logs["Action"]) == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert [r.split(":", 5)[5] for r in listed(logs["Resource"])] == [f":log-group:/aws/lambda/portcullis-{function}:log-stream:*"[1:]]


@pytest.mark.parametrize("function", functions())
def test_the_source_documents_denials_stand(function):
    template, name = role(function)
    denied = {a for owner, _, s in policies(template) if owner == name and s["Effect"] == "Deny" for a in listed(s["Action"])}
    wanted = {"dynamodb:Scan", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}
    grants = {action for action, _ in granted(function)}
    # What ends (a used approval, forgotten failures) is deleted by the functions that keep it; no other may.
    assert wanted - denied == wanted & grants <= {"dynamodb:DeleteItem"}


def test_nobody_changes_or_reads_the_audit_table():
    for function in functions():
        on_audit = {action for action, on in granted(function) if on.startswith("AuditTableArn")}
        assert on_audit <= {"dynamodb:PutItem"}, function


def test_no_wildcard_action_anywhere():
    for name, switches in (*OFF.items(), ("infra/ai-role.yaml", {})):
        on = {"AttachVpc": "true", "KmsSigning": "true"} if name == "infra/roles.yaml" else {}
        template = Template(name, **switches | on)
        for owner, _, statement in policies(template):
            assert not any("*" in action for action in listed(statement["Action"])), (owner, statement["Sid"])


def test_every_resource_is_named_except_where_aws_takes_none():
    template, _ = role("webhook", AttachVpc="true", KmsSigning="true")
    wide = {
        (owner, statement["Sid"])
        for owner, _, statement in policies(template)
        if statement["Effect"] == "Allow" and "*" in listed(statement["Resource"])
    }
    assert wide == {("InterfacePolicy", "Attach"), ("StsRole", "MakeSigningKeys"), ("RotationRole", "MakeSigningKeys")}
    wide = {s["Sid"] for _, _, s in policies(role("guardduty-responder")[0]) if s["Effect"] == "Allow" and "*" in listed(s["Resource"])}
    assert wide == {"History", "LookAtInstances", "Findings"}


@pytest.mark.parametrize("function", sorted(RESPONDERS))
def test_a_responder_never_holds_the_stack_itself_nor_what_is_protected(function):
    """The denials name every action that changes a user, a role or a function, and what config/response.yml protects."""
    template, name = role(function)
    statements = {s["Sid"]: s for owner, _, s in policies(template) if owner == name}
    grants = {action for action, _ in granted(function)}
    never = statements["NeverOurselvesNorTheBreakGlass"]
    changes = {a for a in grants if re.match(r"iam:(Put|Delete|Update|Create)", a)}
    assert never["Effect"] == "Deny" and set(never["Action"]) == changes
    protected = yaml.safe_load((ROOT / "config/response.yml").read_text())["protected"]
    for pattern in protected:
        kind, owner = pattern.split("/", 1)
        kinds = ["user", "role"] if kind == "*" else [kind]
        # A role of `*/portcullis-*` may have a path too; the organization's, and only that, is named with its own.
        paths = [""] if owner == "OrganizationAccountAccessRole" else ["", "*/"]
        assert {f"arn:aws:iam::111122223333:{k}/{path}{owner}" for k in kinds for path in paths} <= set(never["Resource"]), pattern
    ours = statements.get("NeverOurFunctions", {"Effect": "Deny", "Action": []})
    assert ours["Effect"] == "Deny"
    assert set(ours["Action"]) == {a for a in grants if re.match(r"lambda:(Put|Delete)", a)}
    ours = statements.get("NeverOurBuckets", {"Action": []})
    assert set(ours["Action"]) == {a for a in grants if re.match(r"s3:(Put|Delete)", a)}
    assert ours.get("Resource", "arn:aws:s3:::portcullis-*") == "arn:aws:s3:::portcullis-*"


def test_the_organizations_role_is_never_held_whatever_its_name():
    for child in Stack(OrganizationRole="landing/Admin").children["ResponseRoles"].of_type("AWS::IAM::Role").values():
        (never,) = [s for p in child["Properties"]["Policies"] for s in p["PolicyDocument"]["Statement"] if s["Sid"] == "NeverOurselvesNorTheBreakGlass"]
        assert "arn:aws:iam::111122223333:role/landing/Admin" in never["Resource"]


def test_instances_are_protected_and_groups_of_its_own_changed_and_nothing_else():
    """The conditions are what the requests carry: shared/aws/src/response/ec2."""
    template, name = role("guardduty-responder")
    allowed = [s for owner, _, s in policies(template) if owner == name and s["Effect"] == "Allow"]

    def conditions(action):
        return [s.get("Condition") for s in allowed if action in listed(s["Action"])]

    assert conditions("ec2:ModifyInstanceAttribute") == [{"Null": {"ec2:Attribute/DisableApiTermination": "false"}}]
    sent = re.findall(r'"ec2:ModifyInstanceAttribute"|"(\w+)\.Value"', rust("shared/aws/src/response/ec2/instances.rs"))
    assert {attribute for attribute in sent if attribute} == {"DisableApiTermination"}
    source = rust("shared/aws/src/response/ec2/groups.rs")
    key, value = (re.search(rf'const {c}: &str = "([^"]+)"', source)[1] for c in ("TAG", "TAG_VALUE"))
    for verb in ("Authorize", "Revoke"):
        for way in ("Ingress", "Egress"):
            assert conditions(f"ec2:{verb}SecurityGroup{way}") == [{"StringEquals": {f"aws:ResourceTag/{key}": value}}]
    on = {r.rsplit(":", 1)[1]: s.get("Condition") for s in allowed if "ec2:CreateSecurityGroup" in listed(s["Action"]) for r in listed(s["Resource"])}
    assert on == {"vpc/*": None, "security-group/*": {"StringEquals": {f"aws:RequestTag/{key}": value}}}


@pytest.mark.parametrize("name", ["infra/roles.yaml", "infra/response-roles.yaml", "infra/ai-role.yaml"])
def test_the_policies_of_a_role_fit(name):
    """IAM: all inline policies of a role in 10 240 characters, white space apart."""
    long = {"Name": "p" * 20}
    on = {"AttachVpc": "true", "KmsSigning": "true", "ApiKeys": "required"} if name == "infra/roles.yaml" else {}
    on = {"BlockLists": "regional"} if name == "infra/response-roles.yaml" else on
    arns = {key: "arn:aws:service:ap-southeast-1:111122223333:table/pppppppppppppppppppp-long-names" for key in load(name)["Parameters"] if key.endswith("Arn")}
    sizes = {}
    for owner, _, statement in policies(Template(name, **long | arns | on)):
        sizes[owner] = sizes.get(owner, 200) + len(re.sub(r"\s", "", json.dumps(statement))) + 1
    assert max(sizes.values()) <= 10_240, sizes


def test_only_the_function_that_releases_may_undo_and_touch_more_than_users_roles_and_lists():
    mine = {action for action, _ in granted("cloudtrail-responder", BlockLists="regional")}
    assert {a.split(":")[0] for a in mine} <= {"iam", "wafv2", "dynamodb", "cloudtrail", "sns", "sqs", "kms"}
    more = {a for a, _ in granted("guardduty-responder")} - mine
    assert {a for a in more if a.startswith("iam:")} == {"iam:CreateLoginProfile", "iam:DeleteUserPolicy", "iam:DeleteRolePolicy"}
    # What a hit is about: nothing but these.
    targets = set(re.findall(r"Target::([A-Z]\w+)", rust("shared/response/src/signal.rs").split("fn of_actor")[1]))
    assert targets == {"Foreign", "Root", "User"}, "a role is made by Target::role; what else a hit is about, its role must reach"


def test_tags_are_put_on_for_evidence_alone():
    template, name = role("guardduty-responder")
    statements = {s["Sid"]: s for owner, _, s in policies(template) if owner == name}
    tagging = {sid for sid, s in statements.items() if "ec2:CreateTags" in listed(s["Action"])}
    assert tagging == {"MarkInstances", "MarkEvidence", "MarkIsolationGroups"}
    assert statements["MarkIsolationGroups"]["Condition"] == {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}}
    condition = statements["MarkInstances"]["Condition"]
    assert condition["ForAllValues:StringLike"] == {"aws:TagKeys": ["portcullis:evidence:*"]}
    assert 'format!("portcullis:evidence:{incident}")' in rust("shared/response/src/change.rs")
    assert condition["Null"] == {"aws:TagKeys": "false"}, "an empty set of keys fits every pattern"
    assert statements["KeepEvidence"]["Condition"] == {"Null": {"aws:RequestTag/portcullis:incident": "false"}}


def test_each_function_has_a_role_of_its_own_that_only_lambda_takes():
    stack = Stack()
    used = [f["Properties"]["Role"] for f in stack.root.of_type("AWS::Serverless::Function").values()]
    assert len(set(used)) == len(used) == len(functions())
    for child in ("Roles", "ResponseRoles"):
        for name, r in stack.children[child].of_type("AWS::IAM::Role").items():
            (trust,) = r["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}, name


# Services that say on whose behalf they assume a role, by their own documentation. Others say nothing, and a condition on
# what is not there is false: API Gateway's credentials, CloudTrail's role for logs.
SAYS_ITS_SOURCE = {
    # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    "vpc-flow-logs.amazonaws.com": {"aws:SourceAccount", "aws:SourceArn"},
}


def test_no_role_asks_a_service_for_what_it_does_not_say():
    roles = [
        (name, logical, resource)
        for name in files()
        for logical, resource in Template(name).source["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
    ]
    assert len(roles) >= 10
    for name, logical, resource in roles:
        for trust in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            asked = {key for keys in trust.get("Condition", {}).values() for key in keys}
            for service in listed(trust["Principal"]["Service"]):
                assert asked <= SAYS_ITS_SOURCE.get(service, set()), (name, logical, service)


def test_in_the_vpc_the_functions_own_code_touches_no_interface():
    template, _ = role("webhook", AttachVpc="true")
    statements = {s["Sid"]: s for owner, _, s in policies(template) if owner == "InterfacePolicy"}
    assert set(statements["Attach"]["Action"]) == set(statements["NotFromTheCode"]["Action"])
    assert "lambda:SourceFunctionArn" in statements["NotFromTheCode"]["Condition"]["ArnLike"]


def test_the_example_role_is_the_source_documents():
    statements = {s["Sid"]: s for _, _, s in policies(Template("infra/ai-role.yaml"))}
    assert statements["Models"]["Action"] == ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    assert set(statements["NeverInBulk"]["Action"]) == {"dynamodb:Scan", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}
    assert statements["NeverInBulk"]["Effect"] == "Deny" and statements["NeverInBulk"]["Resource"] == "*"
