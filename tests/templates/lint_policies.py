"""Every IAM policy, as AWS would get it, through parliament and cloudsplaining: prints findings, fails on any.

What is found and right is listed in EXEMPT, each with its reason; an exemption that nothing needs fails too.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import parliament
from cloudsplaining.scan.policy_document import PolicyDocument
from stack import Template, load, policies

ACCOUNT = "111122223333"
NAMES = {
    "Queue": "arn:aws:sqs:us-east-1:{a}:portcullis-{n}.fifo",
    "Table": "arn:aws:dynamodb:us-east-1:{a}:table/portcullis-{n}",
    "Bucket": "arn:aws:s3:::portcullis-claims-{a}-us-east-1",
    "Secret": "arn:aws:secretsmanager:us-east-1:{a}:secret:portcullis/{n}-AbCdEf",
    "Key": "arn:aws:kms:us-east-1:{a}:key/11111111-2222-3333-4444-555555555555",
    "Topic": "arn:aws:sns:us-east-1:{a}:portcullis-alerts",
    "Bus": "arn:aws:events:us-east-1:{a}:event-bus/siem",
    "Function": "arn:aws:lambda:us-east-1:{a}:function:portcullis-{n}",
}
SWITCHES = [
    ("infra/roles.yaml", {"AttachVpc": "true", "KmsSigning": signs, "ApiKeys": "required"} | limits)
    for signs, limits in (("true", {"CacheSecretArn": ""}), ("false", {}))
] + [("infra/response-roles.yaml", {"BlockLists": lists}) for lists in ("regional", "global")] + [("infra/ai-role.yaml", {}), ("infra/network.yaml", {}), ("infra/api.yaml", {}), ("infra/detection.yaml", {"CloudTrail": "true"})]

# (tool, finding, policy or role): reason.
EXEMPT = {
    ("parliament", "RESOURCE_STAR", "InterfacePolicy"): "EC2 takes no narrower resource; the function's own code is denied all of it",
    ("cloudsplaining", "InfrastructureModification", "InterfacePolicy"): "the same",
    ("parliament", "UNKNOWN_CONDITION_FOR_ACTION", "InterfacePolicy"): "lambda:SourceFunctionArn is there for every call of a function's code",
    ("parliament", "RESOURCE_MISMATCH", "StsRole"): "an alias has no tags: key and alias are two statements, one with the tag",
    ("parliament", "RESOURCE_MISMATCH", "RotationRole"): "the same",
    ("parliament", "RESOURCE_MISMATCH", "GuarddutyResponderRole"): "a snapshot is made with a tag and of a volume, which gets none: two statements, one with the tag",
    ("parliament", "RESOURCE_MISMATCH", "Role"): "foundation models alone, as in the source document",
}


def main():
    found = {}
    for name, switches in SWITCHES:
        template = Template(name, **{"Name": "portcullis", **arns(name), **switches})
        for owner, document in documents(template).items():
            for tool, finding, detail in [*by_parliament(document), *by_cloudsplaining(document)]:
                found.setdefault((tool, finding, owner), set()).add(detail)
    wrong, idle = sorted(set(found) - set(EXEMPT)), sorted(set(EXEMPT) - set(found))
    for finding in wrong:
        print("policies:", *finding, *found[finding])
    for exemption in idle:
        print("policies: nothing needs the exemption", *exemption)
    if wrong or idle:
        sys.exit(1)
    print(f"policies: no findings, {len(EXEMPT)} exemptions")


def documents(template):
    """Role or policy → its document, the statements of all its policies together."""
    found = {}
    for owner, _, statement in policies(template):
        statement = resolved(statement, template)
        found.setdefault(owner, {"Version": "2012-10-17", "Statement": []})["Statement"].append(statement)
    return found


def resolved(statement, template):
    """With ARNs for the template's own log groups."""
    text = json.dumps(statement)
    for logical, group in template.of_type("AWS::Logs::LogGroup").items():
        arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group['Properties']['LogGroupName']}:*"
        text = text.replace(f"<{logical}.Arn>", arn)
    return json.loads(text)


def arns(name):
    """ARNs in place of what the parent would pass."""
    values = {}
    for parameter in load(name)["Parameters"]:
        for kind, pattern in NAMES.items():
            if parameter.endswith(f"{kind}Arn"):
                values[parameter] = pattern.format(a=ACCOUNT, n=parameter.lower())
                break
    return values


def by_parliament(document):
    for finding in parliament.analyze_policy_string(json.dumps(document)).findings:
        yield "parliament", finding.issue, str(finding.detail)


def by_cloudsplaining(document):
    policy = PolicyDocument(document)
    for kind, findings in (
        ("PrivilegeEscalation", policy.allows_privilege_escalation),
        ("DataExfiltration", policy.allows_data_exfiltration_actions),
        ("InfrastructureModification", policy.infrastructure_modification),
        ("CredentialsExposure", policy.credentials_exposure),
    ):
        if findings:
            yield "cloudsplaining", kind, ", ".join(map(str, findings))


if __name__ == "__main__":
    main()
