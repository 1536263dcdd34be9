"""A secret for each identity that authenticates by one, under the name that the rotation function expects."""

import json
import re

import yaml

from sources import rust
from stack import ROOT, Stack


def clients():
    identities = yaml.safe_load((ROOT / "config/access/identities.yml").read_text())["identities"]
    return {i["id"] for i in identities if any(method.startswith("client_secret") for method in i["auth_methods"])}


def test_every_client_with_a_secret_has_one_that_rotates():
    stack = Stack(RotateSecrets="true")
    template = stack.children["ClientSecrets"]
    secrets = template.of_type("AWS::SecretsManager::Secret")
    prefix = stack.root.properties("RotationFunction")["Environment"]["Variables"]["CLIENT_SECRET_PREFIX"]
    names = {s["Properties"]["Name"] for s in secrets.values()}
    assert names == {prefix + client for client in clients()}
    schedules = template.of_type("AWS::SecretsManager::RotationSchedule").values()
    assert {s["Properties"]["SecretId"] for s in schedules} == {f"<{logical}>" for logical in secrets}
    for schedule in schedules:
        assert schedule["Properties"]["RotateImmediatelyOnUpdate"] is True, "the first rotation stores the hash"
        assert schedule["Properties"]["RotationRules"]["ScheduleExpression"] == "rate(30 days)"


def test_nobody_but_secrets_manager_of_this_account_asks_for_a_rotation():
    (permission,) = Stack(RotateSecrets="true").children["ClientSecrets"].of_type("AWS::Lambda::Permission").values()
    assert permission["Properties"]["Principal"] == "secretsmanager.amazonaws.com"
    assert permission["Properties"]["SourceAccount"] == "111122223333"


def test_signing_keys_are_looked_after_daily_by_what_the_function_takes():
    (event,) = Stack().root.properties("RotationFunction")["Events"].values()
    assert event["Type"] == "Schedule" and event["Properties"]["Schedule"] == "rate(1 day)"
    # A rule with its own input would not be the `Scheduled Event` that the function knows.
    assert "Input" not in event["Properties"]
    assert event["Properties"]["DeadLetterConfig"]["Arn"] == "<Alerts.Outputs.UndeliveredQueueArn>"


def test_token_service_and_rotation_agree_on_keys():
    root = Stack(KmsSigning="true").root
    sts, rotation = (root.properties(f)["Environment"]["Variables"] for f in ("StsFunction", "RotationFunction"))
    for name in ("SIGNER", "SIGNING_KEY_PREFIX", "TOKENS_TABLE", "CREDENTIALS_TABLE", "CREDENTIALS_KEY_SECRET"):
        assert sts[name] == rotation[name], name


def test_a_first_value_has_the_form_that_the_function_reads():
    fields = re.search(r"struct Value \{(.*?)\}", rust("functions/rotation/src/client_secret.rs"), re.DOTALL)[1]
    for secret in Stack(RotateSecrets="true").children["ClientSecrets"].of_type("AWS::SecretsManager::Secret").values():
        made = secret["Properties"]["GenerateSecretString"]
        value = {**json.loads(made["SecretStringTemplate"]), made["GenerateStringKey"]: ""}
        assert set(value) == set(re.findall(r"(\w+): String", fields))
        assert secret["Properties"]["Name"].endswith("/" + value["client_id"]) and made["PasswordLength"] >= 32
