"""Each function gets exactly the settings that its config.rs reads."""

import json
import re

import pytest
import yaml

from sources import functions, rust, settings
from stack import ROOT, Stack, load

LEFT_OUT = yaml.safe_load((ROOT / "tests/templates/settings.yml").read_text())


def declared():
    """Function → logical id, by the name of its binary."""
    resources = load("template.yaml")["Resources"]
    return {
        r["Metadata"]["BuildProperties"]["Binary"]: logical
        for logical, r in resources.items()
        if r["Type"] == "AWS::Serverless::Function"
    }


def variables(function):
    resource = load("template.yaml")["Resources"][declared()[function]]
    return resource["Properties"]["Environment"]["Variables"]


def test_the_template_declares_the_functions_that_have_a_program():
    assert sorted(declared()) == functions()


def test_every_function_has_a_bin_of_that_name():
    for function in functions():
        manifest = (ROOT / f"functions/{function}/Cargo.toml").read_text()
        assert re.search(rf'^name = "{function}"$', manifest, re.MULTILINE), function


@pytest.mark.parametrize("function", functions())
def test_nothing_is_set_that_is_not_read(function):
    read, _ = settings(function)
    assert set(variables(function)) - read == set()


@pytest.mark.parametrize("function", functions())
def test_everything_that_is_read_is_set_or_left_out_for_a_reason(function):
    read, _ = settings(function)
    everywhere = {name: reason for name, reason in LEFT_OUT["everywhere"].items() if name in read}
    left_out = everywhere | LEFT_OUT.get(function, {})
    assert read - set(variables(function)) == set(left_out), "settings.yml lists what is left out, and why"
    assert all(left_out.values()), "each with its reason"


@pytest.mark.parametrize("function", functions())
def test_settings_have_values_whatever_the_switches(function):
    for switches in ({}, {"KmsSigning": "true"}, {"AttachVpc": "true", "Cache": "true"}):
        stack = Stack(**switches)
        values = stack.root.properties(declared()[function])["Environment"]["Variables"]
        assert [k for k, v in values.items() if v in ("", None)] == []


# AWS measures all variables of a function as the JSON that they are given in.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
ENVIRONMENT_BYTES = 4096


def environment(function, **switches):
    """The variables as AWS would get them, with ARNs and names of tables as long as they come."""
    root = Stack(Name="p" * 20, **switches).root
    values = root.properties(declared()[function])["Environment"]["Variables"]
    return {name: re.sub(r"<[^>]+>", lambda at: "x" * (110 if at[0].endswith("Arn>") else 34), str(value)) for name, value in values.items()}


def size(variables):
    return len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode())


EVERYTHING = {
    "AuditBusArn": "arn:aws:events:ap-southeast-1:111122223333:event-bus/" + "b" * 40,
    "NotificationWebhookUrl": "https://" + "h" * 120,
    "AuditRegions": "us-east-1,eu-central-1,ap-southeast-1,us-west-2",
}


@pytest.mark.parametrize("function", ["cloudtrail-responder", "guardduty-responder"])
def test_what_operations_tells_to_set_fits_into_a_functions_environment(function):
    """Safety rules, context and live playbooks, beside everything else that may be there."""
    shipped = {name: (ROOT / f"config/{file}.yml").read_text() for name, file in (("SafetyRules", "response"), ("DetectionContext", "context"))}
    assert size(environment(function, **EVERYTHING, **shipped, LivePlaybooks="all")) <= ENVIRONMENT_BYTES
    kinds = ",".join(playbook_kinds())
    assert size(environment(function, **EVERYTHING, **shipped, LivePlaybooks=kinds)) <= ENVIRONMENT_BYTES
    # The parameter's text and OPERATIONS say how much room own texts have together, with the switches of the template.
    rest = {name: "" for name in ("Playbooks", "SafetyRules", "DetectionContext")}
    assert ENVIRONMENT_BYTES - size(environment(function, **rest)) >= 3_000


def playbook_kinds():
    return sorted(yaml.safe_load(path.read_text())["incident"] for path in (ROOT / "config/playbooks").glob("*.yml"))


def test_live_playbooks_are_those_that_there_are_and_none_unless_named():
    parameter = load("template.yaml")["Parameters"]["LivePlaybooks"]
    assert parameter["Default"] == "none"
    pattern, kinds = parameter["AllowedPattern"], playbook_kinds()
    assert set(re.findall(r"[A-Z_]{4,}", pattern)) == set(kinds) and len(kinds) == 8
    for good in ("none", "all", *kinds, ",".join(kinds)):
        assert re.search(pattern, good), good
    for wrong in ("", "ALL", "all,BACKDOOR", "backdoor", "BACKDOR", "BACKDOOR,", "BACKDOOR, GENERIC"):
        assert not re.search(pattern, wrong), wrong
    for function in ("cloudtrail-responder", "guardduty-responder"):
        assert environment(function, LivePlaybooks="BACKDOOR")["LIVE_PLAYBOOKS"] == "BACKDOOR"


def test_the_example_of_operations_is_a_setting_that_is_read():
    text = (ROOT / "docs/OPERATIONS.md").read_text()
    (example,) = re.findall(r"\"\"\"SafetyRules='\n(.*?)'\"\"\"", text, re.DOTALL)
    rules, shipped = (yaml.safe_load(t) for t in (example, (ROOT / "config/response.yml").read_text()))
    assert set(rules) <= set(shipped) and set(shipped["protected"]) < set(rules["protected"]), "the shipped ones are replaced"
    (live,) = re.findall(r'^    "LivePlaybooks=([^"]*)"', text, re.MULTILINE)
    assert re.search(load("template.yaml")["Parameters"]["LivePlaybooks"]["AllowedPattern"], live)


def test_tables_and_buckets_are_passed_by_the_names_that_the_emulated_stack_uses():
    """tests/src/emulators makes the same tables by hand: same keys, same indexes."""
    text = rust("tests/src/emulators/stack.rs")
    data = Stack().children["Data"]
    tables = {t["Properties"]["TableName"]: t["Properties"] for t in data.of_type("AWS::DynamoDB::Table").values()}
    for name in re.findall(r'"(portcullis-[a-z-]+)"', text):
        if name in tables:
            keys = [k["AttributeName"] for k in tables[name]["KeySchema"]]
            assert all(f'"{key}"' in text for key in keys), name
    indexes = tables["portcullis-conversations"]
    for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        for index in indexes[kind]:
            assert f'"{index["IndexName"]}"' in rust("shared/aws/src/dynamodb/records.rs")
