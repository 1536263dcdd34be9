"""Calls that the functions really made, beside what their deployed roles grant.

    recorded.py keep CALLS GRANTS      add to GRANTS what the roles grant now
    recorded.py compare CALLS GRANTS   the same, and compare

scripts/check-stack runs it; CALLS is what scripts/record-actions wrote. Fails on a call that the role does not grant, and on a grant that no call used,
unless actions.yml says why no call can be seen: AWS does it in the role's name (`platform`), or an emulator cannot bring the
function to it (`unseen`, with the reason). A reason that the record refutes fails too.
"""

import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).parent
STACK = "portcullis"
ARN = re.compile("^arn:aws:(kms|secretsmanager|iam|ec2|lambda|autoscaling|guardduty|wafv2):(us-east-1)?:([0-9]{12})?:")


def main():
    what, calls, kept = sys.argv[1:]
    lines = yaml.safe_load((HERE / "actions.yml").read_text())["functions"]
    with open(kept, "a") as file:
        for grant in deployed(lines):
            print(json.dumps(grant), file=file)
    if what == "compare":
        findings = []
        for function in sorted(lines):
            granted = {(g["action"], g["on"], g["short"]) for g in read(kept) if g["function"] == function}
            made = {(c["action"], c["resource"]) for c in read(calls) if c["function"] == function}
            findings += [f"{function}: {finding}" for finding in compare(granted, made, lines[function])]
            print(f"recorded: {function}: {len(made)} calls, {len(granted)} grants", flush=True)
        for finding in findings:
            print("recorded:", finding, flush=True)
        sys.exit(1 if findings else 0)


def read(file):
    return [json.loads(line) for line in pathlib.Path(file).read_text().splitlines()]


def deployed(functions):
    """What the roles of the deployed stack grant."""
    import boto3

    parameters = of_roles(boto3.client("cloudformation"))
    for function in functions:
        for action, pattern, short in grants(statements(boto3.client("iam"), f"{STACK}-us-east-1-{function}"), parameters):
            yield {"function": function, "action": action, "on": pattern, "short": short}


def compare(granted, calls, lines):
    """What is wrong. `granted`: (action, pattern of ARNs, short name); `calls`: (action, ARN); `lines` of actions.yml."""
    unseen = pairs(line for line in lines if "unseen" in line)
    called = pairs(line for line in lines if "call" in line and "unseen" not in line)
    used = {(a, short) for a, pattern, short in granted if any(a == c and matches(arn, pattern) for c, arn in calls)}
    for action, arn in sorted(calls):
        if not any(action == a and matches(arn, pattern) for a, pattern, _ in granted):
            yield f"used and not granted: {action} on {arn}"
    for action, _, short in sorted(granted):
        # test_actions.py holds that the role grants what is listed; scripts/deploy-local adds what the emulator wants more.
        if (action, short) in called - used:
            yield f"granted and never used: {action} on {short}"
    for action, short in sorted(unseen & used - called):
        yield f"said to be unseen, and seen: {action} on {short}"


def pairs(lines):
    return {(action, on) for line in lines for action in line["grants"] for on in line["resources"]}


def grants(policy, parameters):
    """(action, pattern, short name) of what is allowed; a function's own log is every function's."""
    for statement in policy:
        if statement["Effect"] == "Allow" and statement["Sid"] != "Logs":
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    yield action, resource, short_of(resource, parameters)


def short_of(resource, parameters):
    """As actions.yml writes it: a parameter's name for its ARN."""
    for name, value in sorted(parameters.items(), key=lambda pair: -len(pair[1])):
        if value.startswith("arn:") and (resource == value or resource.startswith(value + "/")):
            return name + resource[len(value) :]
    return ARN.sub("", resource)


def matches(arn, pattern):
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), arn) is not None


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(iam, role):
    """Of the role's own policies: those that AWS or the VPC need are attached to it."""
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        yield from iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]


def of_roles(cloudformation):
    """The ARNs that the stacks of roles got."""
    stacks = [{p["ParameterKey"]: p["ParameterValue"] for p in s.get("Parameters", [])} for s in cloudformation.describe_stacks()["Stacks"]]
    known = [parameters for parameters in stacks if {"SubjectKeysTableArn", "IncidentsTableArn"} & set(parameters)]
    return {name: value for parameters in known for name, value in parameters.items()}


if __name__ == "__main__":
    main()
