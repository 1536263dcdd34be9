"""Each function gets exactly the settings that its config.rs reads."""

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
