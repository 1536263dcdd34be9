"""The costs that are told are those that are computed, from numbers that the templates have."""

import copy
import subprocess
import sys

import pytest
import yaml

from stack import ROOT, Stack

USAGE = yaml.safe_load((ROOT / "config/usage.yml").read_text())
PRICES = yaml.safe_load((ROOT / "config/prices.yml").read_text())


def count(stack, kind):
    return stack.types.get(kind, 0)


def test_what_is_told_is_what_is_computed():
    subprocess.run([sys.executable, ROOT / "scripts/costs.py", "--check"], check=True)


def test_numbers_of_things_are_the_templates():
    stack = Stack()
    assert USAGE["keys"] == count(stack, "AWS::KMS::Key")
    assert USAGE["secrets"] == count(stack, "AWS::SecretsManager::Secret")
    assert USAGE["alarms"] == count(stack, "AWS::CloudWatch::Alarm")
    interface = [
        e
        for e in Stack(AttachVpc="true").children["Network"].of_type("AWS::EC2::VPCEndpoint").values()
        if e["Properties"]["VpcEndpointType"] == "Interface"
    ]
    assert USAGE["endpoints"] == len(interface)
    firewall = stack.children["Firewall"].properties("WebAcl")
    assert len(firewall["Rules"]) == 9, "scripts/costs.py counts nine rules"
    memory = {
        f["Metadata"]["BuildProperties"]["Binary"]: f["Properties"]["MemorySize"]
        for f in stack.root.of_type("AWS::Serverless::Function").values()
    }
    assert {name: memory[name] for name in USAGE["memory_mb"]} == USAGE["memory_mb"]


@pytest.mark.parametrize("part", ["monthly", "each", "gigabyte"])
def test_prices_are_positive_and_all_used(part):
    text = (ROOT / "scripts/costs.py").read_text()
    for name, price in PRICES[part].items():
        assert float(price) > 0, name
        assert f'"{name}"' in text, f"{name} is priced and never counted"


def test_a_dearer_price_makes_a_dearer_bill():
    sys.path.insert(0, str(ROOT / "scripts"))
    import costs

    on = dict.fromkeys(costs.DEFAULTS, True)
    before = sum(costs.bill(PRICES, USAGE, 100, on).values())
    for part, prices in PRICES.items():
        if part != "version":
            for name in prices:
                dearer = {**PRICES, part: {**prices, name: float(prices[name]) * 2}}
                assert sum(costs.bill(dearer, USAGE, 100, on).values()) > before, name


def test_every_switch_changes_the_bill():
    sys.path.insert(0, str(ROOT / "scripts"))
    import costs

    for name, value in costs.DEFAULTS.items():
        other = costs.DEFAULTS | {name: not value}
        assert costs.bill(PRICES, USAGE, 100, other) != costs.bill(PRICES, USAGE, 100, costs.DEFAULTS), name


def test_the_second_web_acl_is_paid_for():
    sys.path.insert(0, str(ROOT / "scripts"))
    import costs

    gate = Stack(CloudFront="true", EdgeDomainName="a.example", EdgeCertificateArn="c").children["Firewall"].properties("WebAcl")
    assert len(gate["Rules"]) == 1, "scripts/costs.py counts one rule"
    for rate in (1, 10_000):
        one, two = (costs.bill(PRICES, USAGE, rate, costs.DEFAULTS | {"cloudfront": on}) for on in (False, True))
        each = PRICES["each"]
        judged = two["CloudFront"] / float(each["cloudfront_request"]) * float(each["waf_request"])
        fixed = PRICES["monthly"]["waf_acl"] + PRICES["monthly"]["waf_rule"]
        assert two["WAF"] - one["WAF"] == pytest.approx(fixed + judged)


def figures(part, path=()):
    """Path of every number in there."""
    for name, value in part.items():
        yield from figures(value, (*path, name)) if isinstance(value, dict) else [(*path, name)]


# Where a figure holds from, what the recorder answers, what is not asked for at all.
NOT_IN_THE_BILL = {("read", "often_from"), ("response", "audit_pages"), ("calls_a_message", "subject_keys_query")}
MEASURED = {part: USAGE[part] for part in ("message", "calls_a_message", "read", "log_bytes", "response")}


@pytest.mark.parametrize("path", sorted(set(figures(MEASURED)) - NOT_IN_THE_BILL), ids=".".join)
def test_every_figure_that_is_measured_is_in_the_bill(path):
    sys.path.insert(0, str(ROOT / "scripts"))
    import costs

    on = {**dict.fromkeys(costs.DEFAULTS, True), "cache": False}
    more = copy.deepcopy(USAGE)
    part = more
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] *= 2
    # A few messages, and many: reads are rare or frequent.
    changed = [costs.bill(PRICES, more, rate, on) != costs.bill(PRICES, USAGE, rate, on) for rate in (1, 10_000)]
    assert any(changed), path


def test_answer_times_are_times_of_a_network():
    assert USAGE["answer_ms"]["others"]
    for service, milliseconds in USAGE["answer_ms"].items():
        assert 1 <= milliseconds <= 1000, service
