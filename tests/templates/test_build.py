"""What is built for deployment: every function, for the workspace's release profile, and nothing too heavy."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from sources import functions
from stack import ROOT, load

MAKEFILE = (ROOT / "Makefile").read_text()
BUDGETS = yaml.safe_load((ROOT / "config/sizes.yml").read_text())["zipped_mib"]


def test_what_sam_builds_is_small_and_can_unwind():
    release = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]["release"]
    # What is not set, cargo-lambda sets: `panic = "abort"` among it, with which no panic becomes an error answer.
    assert release == {"panic": "unwind", "lto": "fat", "codegen-units": 1, "strip": True}


def test_every_function_is_built_and_has_a_budget():
    assert sorted(re.search(r"^LAMBDAS := (.*)$", MAKEFILE, re.MULTILINE)[1].split()) == functions()
    assert sorted(BUDGETS) == functions()
    # Lambda takes 50 MB of an upload; a cold start that fetches a tenth of it is one that is felt.
    assert all(0 < budget <= 12 for budget in BUDGETS.values())


def test_sam_builds_each_function_from_the_workspace():
    for logical, resource in load("template.yaml")["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            assert resource["Metadata"]["BuildMethod"] == "rust-cargolambda" and resource["Properties"]["CodeUri"] == ".", logical


@pytest.mark.parametrize(
    ("overrides", "built", "refused"),
    [
        (["Protect=true"], "x86_64", False),
        (["Protect=true"], "arm64", True),
        (["Architecture=arm64", "UserIssuers=- {name: a=b}"], "arm64", False),
        (["Architecture=arm64"], "x86_64", True),
    ],
)
def test_functions_are_deployed_for_the_processor_that_they_are_built_for(tmp_path, overrides, built, refused):
    config, script = tmp_path / "samconfig.toml", ROOT / "scripts/check-architecture"
    config.write_text(f"[prod.deploy.parameters]\nparameter_overrides = {overrides!r}\n")
    done = subprocess.run([sys.executable, script, "prod", built, config], capture_output=True, text=True)
    assert (done.returncode != 0) is refused and ("Architecture=" in done.stderr) is refused, done.stderr


def test_the_processor_is_checked_before_anything_is_built_or_deployed():
    for profile in ("default", "dev", "prod"):
        subprocess.run([sys.executable, ROOT / "scripts/check-architecture", profile, "x86_64"], check=True)
    assert re.search(r"^deploy: architecture build\b", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize(("megabytes", "status"), [(0.1, 0), (40, 1), (None, 1)])
def test_a_function_over_its_budget_or_missing_fails(tmp_path, megabytes, status):
    for name in functions():
        (tmp_path / name).mkdir()
        (tmp_path / name / "bootstrap").write_bytes(b"x" * 1000)
    last = tmp_path / functions()[-1] / "bootstrap"
    if megabytes is None:
        last.unlink()
    else:
        import random

        # What does not compress.
        last.write_bytes(random.Random(1).randbytes(int(megabytes * 1024 * 1024)))
    done = subprocess.run([sys.executable, ROOT / "scripts/sizes", tmp_path], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert status == 0 or functions()[-1] in done.stderr
