"""Recorded calls are compared with what roles grant, both ways; the whole of it runs in `make e2e`."""

import pytest
import yaml

import recorded
from stack import ROOT

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/portcullis-tokens"
BUCKET = "arn:aws:s3:::portcullis-claims"
PARAMETERS = {"TokensTableArn": TABLE, "ClaimCheckBucketArn": BUCKET, "AttachVpc": "false"}
POLICY = [
    {"Sid": "Tokens", "Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:Query"], "Resource": TABLE},
    {"Sid": "Claims", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": f"{BUCKET}/*"},
    {"Sid": "Logs", "Effect": "Allow", "Action": ["logs:PutLogEvents"], "Resource": "arn:aws:logs:us-east-1:0:log-group:x:*"},
    {"Sid": "Never", "Effect": "Deny", "Action": ["dynamodb:Scan"], "Resource": "*"},
]
LINES = [
    {"call": "T.get", "grants": ["dynamodb:GetItem"], "resources": ["TokensTableArn"]},
    {"platform": "AWS asks", "grants": ["dynamodb:Query"], "resources": ["TokensTableArn"]},
    {"call": "C.get", "grants": ["s3:GetObject"], "resources": ["ClaimCheckBucketArn/*"]},
]
GET, CLAIM = ("dynamodb:GetItem", TABLE), ("s3:GetObject", f"{BUCKET}/a/b")
UNSEEN = [*LINES[:2], {**LINES[2], "unseen": "no emulator has it"}]


@pytest.mark.parametrize(("calls", "lines", "findings"), [
    ({GET, CLAIM}, LINES, []),
    ({GET}, LINES, ["granted and never used: s3:GetObject on ClaimCheckBucketArn/*"]),
    ({GET}, UNSEEN, []),
    ({GET, CLAIM}, UNSEEN, ["said to be unseen, and seen: s3:GetObject on ClaimCheckBucketArn/*"]),
    ({GET, CLAIM, ("dynamodb:PutItem", TABLE)}, LINES, [f"used and not granted: dynamodb:PutItem on {TABLE}"]),
    ({GET, CLAIM, ("dynamodb:GetItem", TABLE + "-2")}, LINES, [f"used and not granted: dynamodb:GetItem on {TABLE}-2"]),
    ({GET, CLAIM, ("dynamodb:Scan", TABLE)}, LINES, [f"used and not granted: dynamodb:Scan on {TABLE}"]),
])  # fmt: skip
def test_calls_and_grants_are_compared_both_ways(calls, lines, findings):
    assert list(recorded.compare(set(recorded.grants(POLICY, PARAMETERS)), calls, lines)) == findings


@pytest.mark.parametrize(("arn", "short"), [
    (TABLE, "TokensTableArn"),
    (TABLE + "/index/by-x", "TokensTableArn/index/by-x"),
    (TABLE + "-2", TABLE + "-2"),
    ("arn:aws:secretsmanager:us-east-1:000000000000:secret:portcullis/clients/*", "secret:portcullis/clients/*"),
    ("arn:aws:kms:us-east-1:000000000000:key/*", "key/*"),
])  # fmt: skip
def test_resources_have_the_names_of_the_list(arn, short):
    assert recorded.short_of(arn, PARAMETERS) == short


def test_what_cannot_be_seen_is_little_and_each_has_its_reason():
    functions = yaml.safe_load((ROOT / "tests/templates/actions.yml").read_text())["functions"]
    for function, lines in functions.items():
        unseen = [line for line in lines if "unseen" in line]
        assert all(len(line["unseen"]) > 20 and "call" in line for line in unseen), function
