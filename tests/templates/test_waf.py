"""The web ACL, run: labelled requests through the template's own rules."""

import re

import pytest

from sources import rust
from stack import Stack, listed
from waf import Request, WebAcl

JSON = {"Content-Type": "application/json"}
HANDSHAKE = "hub.mode=subscribe&hub.verify_token=t&hub.challenge=1"
V4, V6 = "<BlockedAddressesV4.Arn>", "<BlockedAddressesV6.Arn>"
BLOCKED = {V4: ["198.51.100.7/32", "203.0.113.0/24"], V6: ["2001:db8:bad::/48"]}
GROUPS = {
    "Common": "AWSManagedRulesCommonRuleSet",
    "KnownBadInputs": "AWSManagedRulesKnownBadInputsRuleSet",
    "SqlInjection": "AWSManagedRulesSQLiRuleSet",
    "IpReputation": "AWSManagedRulesAmazonIpReputationList",
    "AnonymousIp": "AWSManagedRulesAnonymousIpList",
}


def properties(**parameters):
    return Stack(**parameters).children["Firewall"].properties("WebAcl")


def acl(**parameters):
    return WebAcl(properties(**parameters), BLOCKED)


PASSES = {
    "a webhook": Request("POST", "/webhook", headers=JSON),
    "a webhook by the API's own address": Request("POST", "/v1/webhook", headers=JSON),
    "a webhook with a character set": Request("POST", "/webhook", headers={"content-type": "Application/JSON; charset=utf-8"}),
    "the handshake": Request("GET", "/webhook", query=HANDSHAKE),
    "a read": Request("GET", "/v1/conversations/x"),
    "a token request by form": Request("POST", "/sts/token", headers={"Content-Type": "application/x-www-form-urlencoded"}),
    "a message that looks like an attack": Request("POST", "/webhook", headers=JSON, managed=[GROUPS["SqlInjection"], GROUPS["Common"], GROUPS["KnownBadInputs"]]),
    "the same by the API's own address": Request("POST", "/v1/webhook", headers=JSON, managed=[GROUPS["SqlInjection"]]),
    "a large body": Request("POST", "/pii/encrypt", headers=JSON, managed=[(GROUPS["Common"], "SizeRestrictions_BODY")]),
    "a neighbour of a blocked address": Request(address="198.51.100.8"),
}  # fmt: skip

REFUSED = {
    "a blocked address": (Request(address="198.51.100.7"), "BlockList"),
    "a blocked network": (Request(address="203.0.113.200"), "BlockList"),
    "a blocked IPv6 network": (Request(address="2001:db8:bad:1::5"), "BlockList"),
    "a blocked address with a sound webhook": (Request("POST", "/webhook", "198.51.100.7", headers=JSON), "BlockList"),
    "China": (Request(country="CN"), "Geo"),
    "Russia with a sound webhook": (Request("POST", "/webhook", country="RU", headers=JSON), "Geo"),
    "North Korea": (Request(country="KP"), "Geo"),
    "a webhook by form": (Request("POST", "/webhook", headers={"Content-Type": "application/x-www-form-urlencoded"}), "WebhookShape"),
    "a webhook without a type": (Request("POST", "/webhook"), "WebhookShape"),
    "a webhook whose type only contains JSON": (Request("POST", "/webhook", headers={"Content-Type": "text/plain; application/json"}), "WebhookShape"),
    "a webhook by PUT": (Request("PUT", "/webhook", headers=JSON), "WebhookShape"),
    "a webhook by DELETE": (Request("DELETE", "/webhook"), "WebhookShape"),
    "a bare GET": (Request("GET", "/webhook"), "WebhookShape"),
    "a handshake of another mode": (Request("GET", "/webhook", query=HANDSHAKE.replace("subscribe", "unsubscribe")), "WebhookShape"),
    "a handshake without a token": (Request("GET", "/webhook", query="hub.mode=subscribe&hub.challenge=1"), "WebhookShape"),
    "a handshake with an empty token": (Request("GET", "/webhook", query="hub.mode=subscribe&hub.verify_token=&hub.challenge=1"), "WebhookShape"),
    "a handshake without a challenge": (Request("GET", "/webhook", query="hub.mode=subscribe&hub.verify_token=t"), "WebhookShape"),
    "capitals in the path": (Request("GET", "/WebHook"), "WebhookShape"),
    "an encoded path": (Request("GET", "/%77ebhook"), "WebhookShape"),
    "a path with dots": (Request("GET", "/x/../webhook"), "WebhookShape"),
    "a path with two slashes": (Request("GET", "//webhook"), "WebhookShape"),
    "a path below": (Request("DELETE", "/webhook/x"), "WebhookShape"),
    "an injection": (Request("POST", "/pii/classify", headers=JSON, managed=[GROUPS["SqlInjection"]]), "SqlInjection"),
    "an injection behind /webhook": (Request("POST", "/conversations/webhook", headers=JSON, managed=[GROUPS["SqlInjection"]]), "SqlInjection"),
    "an injection after /webhook": (Request("POST", "/webhook/../pii/decrypt", headers=JSON, managed=[GROUPS["SqlInjection"]]), "SqlInjection"),
    "an injection in the handshake": (Request("GET", "/webhook", query=HANDSHAKE, managed=[GROUPS["SqlInjection"]]), "SqlInjection"),
    "a script": (Request("POST", "/pii/classify", headers=JSON, managed=[(GROUPS["Common"], "CrossSiteScripting_BODY")]), "Common"),
    "a known bad input": (Request("GET", "/", managed=[GROUPS["KnownBadInputs"]]), "KnownBadInputs"),
    "an address of ill repute": (Request("GET", "/", managed=[GROUPS["IpReputation"]]), "IpReputation"),
    "an address of ill repute with a webhook": (Request("POST", "/webhook", headers=JSON, managed=[GROUPS["IpReputation"]]), "IpReputation"),
    "an anonymous address": (Request("GET", "/", managed=[GROUPS["AnonymousIp"]]), "AnonymousIp"),
}  # fmt: skip


@pytest.mark.parametrize("label", PASSES)
def test_passes(label):
    assert acl().judge(PASSES[label]) == ("Allow", None), "by the default, and by no rule"


@pytest.mark.parametrize("label", REFUSED)
def test_is_blocked(label):
    request, rule = REFUSED[label]
    assert acl().judge(request) == ("Block", rule)


def test_the_rate_is_2000_in_five_minutes_for_each_address():
    firewall = acl()
    verdicts = [firewall.judge(Request(address="192.0.2.9"))[0] for _ in range(2001)]
    assert verdicts == ["Allow"] * 2000 + ["Block"]
    assert firewall.judge(Request(address="192.0.2.10")) == ("Allow", None)
    assert firewall.judge(Request("POST", "/webhook", "192.0.2.9", headers=JSON)) == ("Block", "RateLimit")


def test_the_rate_is_a_parameter_and_says_when_to_come_back():
    firewall = acl(RateLimit=10)
    assert [firewall.judge(Request())[0] for _ in range(11)] == ["Allow"] * 10 + ["Block"]
    (rule,) = [r for r in firewall.rules if r["Name"] == "RateLimit"]
    response = rule["Action"]["Block"]["CustomResponse"]
    assert response["ResponseCode"] == 429 and response["ResponseHeaders"] == [{"Name": "Retry-After", "Value": "300"}]


def test_countries_are_a_parameter():
    assert acl(BlockedCountries="US").judge(Request(country="US")) == ("Block", "Geo")
    assert acl(BlockedCountries="US").judge(Request(country="CN")) == ("Allow", None)
    none = acl(BlockedCountries="")
    assert none.judge(Request(country="CN")) == ("Allow", None)
    assert "Geo" not in {rule["Name"] for rule in none.rules}, "WAF refuses an empty list"


def test_requests_from_unexpected_countries_are_counted_and_go_on():
    found = properties(ExpectedCountries="ES,IE")
    (rule,) = [r for r in found["Rules"] if r["Name"] == "Elsewhere"]
    assert rule["Action"] == {"Count": {}}
    would = WebAcl({**found, "Rules": [{**rule, "Action": {"Block": {}}}]})
    for country, counted in (("ES", None), ("IE", None), ("BR", "Elsewhere")):
        assert would.judge(Request(country=country))[1] == counted
        assert WebAcl(found, BLOCKED).judge(Request(country=country)) == ("Allow", None)
    assert "Elsewhere" not in {r["Name"] for r in properties()["Rules"]}


def test_the_log_s_countries_become_a_metric():
    (filter,) = Stack().children["Firewall"].of_type("AWS::Logs::MetricFilter").values()
    (made,) = filter["Properties"]["MetricTransformations"]
    assert made["Dimensions"] == [{"Key": "Country", "Value": "$.httpRequest.country"}]
    assert filter["Properties"]["LogGroupName"] == "<WafLog>"
    assert "DefaultValue" not in made, "CloudWatch refuses it beside dimensions"


def test_nothing_is_allowed_early():
    for parameters in ({}, {"CloudFront": "true", "EdgeDomainName": "a.example", "EdgeCertificateArn": "c"}):
        stack = Stack(**parameters)
        for child in stack.children.values():
            for resource in child.of_type("AWS::WAFv2::WebACL").values():
                for rule in resource["Properties"]["Rules"]:
                    assert "Allow" not in rule.get("Action", {}), rule["Name"]


def test_managed_groups_are_those_of_the_requirements_with_an_override_and_no_action():
    found = {}
    for rule in properties()["Rules"]:
        group = rule["Statement"].get("ManagedRuleGroupStatement")
        assert ("OverrideAction" in rule) == (group is not None) and ("Action" in rule) == (group is None), rule["Name"]
        if group:
            assert rule["OverrideAction"] == {"None": {}}, "its own actions stand"
            found[rule["Name"]] = group["Name"]
    assert found == GROUPS


def test_every_rule_is_counted():
    for rule in properties()["Rules"]:
        visibility = rule["VisibilityConfig"]
        assert visibility["CloudWatchMetricsEnabled"] is True and visibility["MetricName"] == rule["Name"]


def test_the_log_keeps_no_secret():
    logging = Stack().children["Firewall"].properties("Logging")
    redacted = [next(iter(f.items())) for f in logging["RedactedFields"]]
    headers = {detail["Name"] for kind, detail in redacted if kind == "SingleHeader"}
    key = re.search(r'api_key_header: "([a-z-]+)"', rust("functions/authorizer/src/parts.rs"))[1]
    assert {"authorization", "x-api-key", "dpop", "cookie", key} <= headers
    assert {"QueryString", "UriPath"} <= {kind for kind, _ in redacted}, "the handshake's token, and ids"


def test_the_log_is_where_waf_writes_and_no_two_are_the_same():
    children = Stack(CloudFront="true", EdgeDomainName="a.example", EdgeCertificateArn="c").children
    names = [children[child].properties("WafLog")["LogGroupName"] for child in ("Firewall", "EdgeFirewall")]
    assert all(name.startswith("aws-waf-logs-portcullis") for name in names) and len(set(names)) == 2
    for child in ("Firewall", "EdgeFirewall"):
        assert listed(children[child].properties("Logging")["LogDestinationConfigs"])[0].endswith(":log-group:<WafLog>")
    assert children["Firewall"].properties("Logging")["LoggingFilter"]["DefaultBehavior"] == "DROP"
    assert "LoggingFilter" not in children["EdgeFirewall"].properties("Logging")


EDGE = {"CloudFront": "true", "EdgeDomainName": "a.example", "EdgeCertificateArn": "c"}


@pytest.mark.parametrize("parameters", [{}, EDGE, {"EdgeDomainName": "a.example"}], ids=["stage", "edge", "elsewhere"])
def test_every_list_of_addresses_is_read_by_a_rule_beside_it(parameters):
    """An address in any other list is blocked by nobody, and whoever put it there is not told."""
    for logical, child in Stack(**parameters).children.items():
        if child.of_type("AWS::WAFv2::WebACL"):
            rules = str(child.properties("WebAcl")["Rules"])
            assert all(f"<{each}.Arn>" in rules for each in child.of_type("AWS::WAFv2::IPSet")), logical


def test_the_origin_s_secret_changes_while_requests_come():
    """Each deployment of "The origin's secret" in docs/OPERATIONS.md, with the distribution before and after it has followed."""
    old, new = "", "1" * 36

    def stack(shown, taken):
        return Stack(**EDGE, OriginSecretVersion=shown, OriginSecretNextVersion=taken).children

    def header(shown):
        origin = stack(shown, "")["Edge"].properties("Distribution")["DistributionConfig"]["Origins"][0]
        return {"x-origin-verify": origin["OriginCustomHeaders"][0]["HeaderValue"].replace("Secrets.", "Edge.")}

    for shown, taken, passes in ((old, "", [old]), (old, new, [old, new]), (new, "", [new])):
        gate = WebAcl(stack(shown, taken)["Firewall"].properties("WebAcl"))
        for version in (old, new):
            verdict = gate.judge(Request(headers=header(version)))[0]
            assert verdict == ("Allow" if version in passes else "Block"), (shown, taken, version)
        assert gate.judge(Request())[0] == "Block"


def test_the_evaluator_itself():
    """What a wrong evaluator would let pass: Allow ends, Count does not, priorities order."""
    block = {"Name": "b", "Priority": 2, "Action": {"Block": {}}, "Statement": {"GeoMatchStatement": {"CountryCodes": ["ES"]}}}
    allow = {**block, "Name": "a", "Priority": 1, "Action": {"Allow": {}}}
    count = {**allow, "Name": "c", "Action": {"Count": {}}}
    for rules, expected in (([block, allow], ("Allow", "a")), ([block, count], ("Block", "b")), ([], ("Allow", None))):
        assert WebAcl({"DefaultAction": {"Allow": {}}, "Rules": rules}).judge(Request()) == expected
    with pytest.raises(ValueError):
        WebAcl({"DefaultAction": {"Allow": {}}, "Rules": [{**block, "Statement": {"XssMatchStatement": {}}}]}).judge(Request())
