"""Each switch, on and off, leaves exactly the resources that it says."""

import re

import pytest

from stack import ROOT, Stack, Template, files, listed, load, policies

# What stands whatever the switches are, and must survive all of them.
ALWAYS = {
    "AWS::KMS::Key": 7,
    "AWS::DynamoDB::Table": 8,
    "AWS::ApiGateway::RestApi": 1,
    "AWS::SNS::Topic": 1,
}
OFF = {
    "Waf": "false", "CloudFront": "false", "ShieldAdvanced": "false", "AttachVpc": "false", "Cache": "false",
    "KmsSigning": "false", "RotateSecrets": "false", "CloudTrail": "false", "GuardDuty": "false",
    "ConfigRules": "false", "ConfigRecorder": "false", "Macie": "false", "SecurityHub": "false", "Alarms": "false",
    "ExampleAiRole": "false", "ManageAccountLogging": "false", "Response": "false", "ReadOnlyEvents": "false",
    "ConfigServiceRole": "false",
}  # fmt: skip
EDGE = {"CloudFront": "true", "Waf": "true", "EdgeDomainName": "api.example.com", "EdgeCertificateArn": "arn:c"}
DOMAIN = {"DomainName": "api.example.com", "CertificateArn": "arn:c"}
CACHE = {"AttachVpc": "true", "Cache": "true"}

# Switches (beside OFF) → the resources that they add, type by type.
CASES = {
    "Waf": ({"Waf": "true"}, {
        "AWS::WAFv2::WebACL": 1, "AWS::WAFv2::IPSet": 2, "AWS::WAFv2::WebACLAssociation": 1,
        "AWS::WAFv2::LoggingConfiguration": 1, "AWS::Logs::MetricFilter": 1, "AWS::Logs::LogGroup": 1, "AWS::CloudFormation::Stack": 1,
    }),
    "CloudFront": (EDGE, {
        "AWS::CloudFront::Distribution": 1, "AWS::CloudFront::Function": 1, "AWS::CloudFront::ResponseHeadersPolicy": 1, "AWS::WAFv2::WebACL": 2,
        "AWS::WAFv2::IPSet": 2, "AWS::WAFv2::WebACLAssociation": 1, "AWS::WAFv2::LoggingConfiguration": 2, "AWS::Logs::MetricFilter": 1,
        "AWS::S3::Bucket": 1, "AWS::S3::BucketPolicy": 1, "AWS::Logs::LogGroup": 2, "AWS::CloudFormation::Stack": 3,
    }),
    "ShieldAdvanced": ({**EDGE, "ShieldAdvanced": "true"}, {
        "AWS::Shield::Protection": 1, "AWS::CloudFront::Distribution": 1, "AWS::CloudFront::Function": 1, "AWS::CloudFront::ResponseHeadersPolicy": 1,
        "AWS::WAFv2::WebACL": 2, "AWS::WAFv2::IPSet": 2, "AWS::WAFv2::WebACLAssociation": 1,
        "AWS::WAFv2::LoggingConfiguration": 2, "AWS::Logs::MetricFilter": 1, "AWS::S3::Bucket": 1, "AWS::S3::BucketPolicy": 1,
        "AWS::Logs::LogGroup": 2, "AWS::CloudFormation::Stack": 3,
    }),
    "AttachVpc": ({"AttachVpc": "true"}, {
        "AWS::EC2::VPC": 1, "AWS::EC2::Subnet": 2, "AWS::EC2::RouteTable": 1, "AWS::EC2::SubnetRouteTableAssociation": 2,
        "AWS::EC2::SecurityGroup": 3, "AWS::EC2::SecurityGroupEgress": 1, "AWS::EC2::VPCEndpoint": 5,
        "AWS::EC2::FlowLog": 1, "AWS::Logs::LogGroup": 1, "AWS::IAM::Role": 1, "AWS::IAM::ManagedPolicy": 1,
        "AWS::CloudFormation::Stack": 1,
    }),
    "Cache": ({**CACHE, "Alarms": "false"}, {
        "AWS::ElastiCache::ReplicationGroup": 1, "AWS::ElastiCache::SubnetGroup": 1, "AWS::ElastiCache::ParameterGroup": 1,
        "AWS::SecretsManager::Secret": 1,
        "AWS::EC2::VPC": 1, "AWS::EC2::Subnet": 2, "AWS::EC2::RouteTable": 1, "AWS::EC2::SubnetRouteTableAssociation": 2,
        "AWS::EC2::SecurityGroup": 3, "AWS::EC2::SecurityGroupEgress": 1, "AWS::EC2::VPCEndpoint": 5,
        "AWS::EC2::FlowLog": 1, "AWS::Logs::LogGroup": 1, "AWS::IAM::Role": 1, "AWS::IAM::ManagedPolicy": 1,
        "AWS::CloudFormation::Stack": 2,
    }),
    "RotateSecrets": ({"RotateSecrets": "true"}, {
        "AWS::SecretsManager::Secret": 9, "AWS::SecretsManager::RotationSchedule": 9, "AWS::Lambda::Permission": 1,
        "AWS::CloudFormation::Stack": 1,
    }),
    "CloudTrail": ({"CloudTrail": "true"}, {
        "AWS::CloudTrail::Trail": 1, "AWS::S3::Bucket": 1, "AWS::S3::BucketPolicy": 1, "AWS::Logs::LogGroup": 1,
        "AWS::IAM::Role": 1, "AWS::CloudFormation::Stack": 1,
    }),
    "Response": ({"Response": "true"}, {
        "AWS::Events::Rule": 5, "AWS::Lambda::Permission": 5, "AWS::CloudFormation::Stack": 1,
    }),
    "NotificationWebhookUrl": ({"NotificationWebhookUrl": "https://chat.example/hook"}, {"AWS::SecretsManager::Secret": 1}),
    "GuardDuty": ({"GuardDuty": "true"}, {"AWS::GuardDuty::Detector": 1, "AWS::CloudFormation::Stack": 1}),
    "Macie": ({"Macie": "true"}, {"AWS::Macie::Session": 1, "AWS::CloudFormation::Stack": 1}),
    "SecurityHub": ({"SecurityHub": "true"}, {"AWS::SecurityHub::Hub": 1, "AWS::CloudFormation::Stack": 1}),
    "ConfigRules": ({"ConfigRules": "true"}, {"AWS::Config::ConfigRule": 25, "AWS::CloudFormation::WaitConditionHandle": 1, "AWS::CloudFormation::Stack": 1}),
    "ConfigRecorder": ({"ConfigRecorder": "true"}, {
        "AWS::Config::ConfigurationRecorder": 1, "AWS::Config::DeliveryChannel": 1, "AWS::CloudFormation::WaitConditionHandle": 1,
        "AWS::S3::Bucket": 1, "AWS::S3::BucketPolicy": 1, "AWS::CloudFormation::Stack": 1,
    }),
    "ConfigServiceRole": ({"ConfigRecorder": "true", "ConfigServiceRole": "true"}, {
        "AWS::IAM::ServiceLinkedRole": 1, "AWS::Config::ConfigurationRecorder": 1, "AWS::Config::DeliveryChannel": 1, "AWS::CloudFormation::WaitConditionHandle": 1,
        "AWS::S3::Bucket": 1, "AWS::S3::BucketPolicy": 1, "AWS::CloudFormation::Stack": 1,
    }),
    "ExampleAiRole": ({"ExampleAiRole": "true"}, {
        "AWS::IAM::Role": 1, "AWS::Logs::LogGroup": 1, "AWS::CloudFormation::Stack": 1,
    }),
    "ManageAccountLogging": ({"ManageAccountLogging": "true"}, {"AWS::ApiGateway::Account": 1, "AWS::IAM::Role": 1}),
    "QuotaPerDay": ({"QuotaPerDay": 1_000_000}, {
        "AWS::ApiGateway::ApiKey": 1, "AWS::ApiGateway::UsagePlan": 1, "AWS::ApiGateway::UsagePlanKey": 1,
    }),
    "AlertEmail": ({"AlertEmail": "a@example.com"}, {"AWS::SNS::Subscription": 1}),
    "DomainName": (DOMAIN, {"AWS::ApiGateway::DomainName": 1, "AWS::ApiGateway::BasePathMapping": 1}),
    "HostedZoneId": ({**DOMAIN, "HostedZoneId": "Z1"}, {
        "AWS::ApiGateway::DomainName": 1, "AWS::ApiGateway::BasePathMapping": 1, "AWS::Route53::RecordSet": 1,
    }),
    "TruststoreUri": ({**DOMAIN, "TruststoreUri": "s3://b/ca.pem"}, {
        "AWS::ApiGateway::DomainName": 1, "AWS::ApiGateway::BasePathMapping": 1,
    }),
}  # fmt: skip
# Switches that change properties instead, each with a test of its own below or in another file.
PROPERTIES = {"Protect", "KmsSigning", "ReadOnlyEvents"}


def difference(more, less):
    return {kind: n - less.get(kind, 0) for kind, n in more.items() if n != less.get(kind, 0)}


@pytest.mark.parametrize("name", CASES)
def test_a_switch_adds_what_it_says_and_takes_nothing_away(name):
    switches, added = CASES[name]
    assert difference(Stack(**{**OFF, **switches}).types, Stack(**OFF).types) == added


@pytest.mark.parametrize("name", CASES)
def test_what_always_stands_survives_every_switch(name):
    types = Stack(**{**OFF, **CASES[name][0]}).types
    assert {kind: min(types.get(kind, 0), n) for kind, n in ALWAYS.items()} == ALWAYS


def test_every_switch_has_a_case():
    booleans = {
        name for name, spec in load("template.yaml")["Parameters"].items() if spec.get("AllowedValues") == ["true", "false"]
    }
    assert booleans - PROPERTIES == (set(OFF) - PROPERTIES) & (set(CASES) | TESTED_ELSEWHERE)


# test_metrics.py.
TESTED_ELSEWHERE = {"Alarms"}


def test_rules_of_config_wait_for_the_recorder_that_they_need():
    """PutConfigRule fails without a recorder: NoAvailableConfigurationRecorderException."""
    checklist = Stack(ConfigRules="true", ConfigRecorder="true").children["Checklist"]
    (recorder,) = checklist.of_type("AWS::Config::ConfigurationRecorder")
    (channel,) = checklist.of_type("AWS::Config::DeliveryChannel")
    rules = checklist.of_type("AWS::Config::ConfigRule")
    assert rules and {rule.get("DependsOn") for rule in rules.values()} == {"RecorderIsThere"}
    assert set(checklist.resources["RecorderIsThere"]["Metadata"].values()) == {f"<{recorder}>", f"<{channel}>"}
    without = Stack(ConfigRules="true", ConfigRecorder="false").children["Checklist"]
    assert "RecorderIsThere" in without.resources


def test_protection_reaches_every_table():
    for value, expected in (("true", True), ("false", False)):
        tables = Stack(Protect=value).children["Data"].of_type("AWS::DynamoDB::Table")
        assert {t["Properties"]["DeletionProtectionEnabled"] for t in tables.values()} == {expected}


def test_reserved_concurrency_reaches_every_function_or_none():
    for value, expected in ((0, {None}), (7, {7})):
        functions = Stack(ReservedConcurrency=value).root.of_type("AWS::Serverless::Function")
        assert {f["Properties"].get("ReservedConcurrentExecutions") for f in functions.values()} == expected


def test_functions_are_attached_to_the_vpc_only_by_the_switch():
    for value, cache in (("false", "false"), ("true", "false"), ("true", "true")):
        stack = Stack(AttachVpc=value, Cache=cache)
        roles = {**stack.children["Roles"].of_type("AWS::IAM::Role"), **stack.children["ResponseRoles"].of_type("AWS::IAM::Role")}
        for logical, function in stack.root.of_type("AWS::Serverless::Function").items():
            # The authorizer fetches issuers' keys over the internet, unless its limits are in the cache; the responders call
            # what has no endpoint in the VPC.
            outside = "Responder" in logical or (logical == "AuthorizerFunction" and cache == "false")
            attached = value == "true" and not outside
            assert ("VpcConfig" in function["Properties"]) == attached, logical
            role = roles[logical.replace("Function", "Role")]
            assert bool(role["Properties"].get("ManagedPolicyArns")) == attached, logical


def test_the_token_service_leaves_the_vpc_when_it_fetches_keys_of_others():
    for issuers, attached in (("", True), ("- {name: cognito}", False)):
        function = Stack(AttachVpc="true", UserIssuers=issuers).root.properties("StsFunction")
        assert ("VpcConfig" in function) == attached


def test_kms_signs_only_by_the_switch():
    def signer(value):
        return Stack(KmsSigning=value).root.properties("StsFunction")["Environment"]["Variables"]

    assert signer("false")["SIGNER"] == "sealed" and signer("false")["SIGNING_KEY_ID"] == "<Keys.Outputs.TokenKeyArn>"
    assert signer("true")["SIGNER"] == "kms" and signer("true")["SIGNING_KEY_PREFIX"] == "portcullis/signing"
    assert "SIGNING_KEY_ID" not in signer("true") and "SIGNING_KEY_PREFIX" not in signer("false")


def test_calls_that_only_read_are_judged_by_the_switch():
    for value, state in (("true", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"), ("false", "ENABLED")):
        rules = Stack(ReadOnlyEvents=value).children["Responders"]
        assert rules.properties("ApiCalls")["State"] == state


def test_the_responders_get_every_event_once_and_look_by_themselves():
    rules = Stack().children["Responders"].of_type("AWS::Events::Rule")
    kinds = [kind for r in rules.values() for kind in r["Properties"].get("EventPattern", {}).get("detail-type", [])]
    assert sorted(kinds) == sorted(set(kinds)), "an event that two rules match is judged twice"
    assert {"AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail", "GuardDuty Finding"} <= set(kinds)
    schedules = {l: r["Properties"]["ScheduleExpression"] for l, r in rules.items() if "ScheduleExpression" in r["Properties"]}
    assert schedules == {"Audit": "rate(5 minutes)", "Expiry": "rate(5 minutes)"}
    for logical, rule in rules.items():
        (target,) = rule["Properties"]["Targets"]
        assert target["DeadLetterConfig"]["Arn"] == "<Alerts.Outputs.UndeliveredQueueArn>", logical
        assert target["RetryPolicy"]["MaximumRetryAttempts"] >= 2
        assert rule["Properties"]["Name"].startswith("portcullis-"), "the queue's policy names rules by that"


def test_incidents_block_addresses_where_the_web_acl_stands():
    for parameters, where in (({"Waf": "false"}, None), ({}, "regional"), (EDGE, "global"), (ELSEWHERE, "global")):
        stack = Stack(**parameters)
        lists = [
            resource
            for _, _, s in policies(stack.children["ResponseRoles"])
            for resource in listed(s["Resource"])
            if "wafv2:UpdateIPSet" in s["Action"]
        ]
        assert bool(lists) is bool(where) and all(f":{where}/ipset/portcullis-blocked-v" in arn for arn in lists)
        variables = stack.root.properties("GuarddutyResponderFunction")["Environment"]["Variables"]
        assert ("BLOCK_LIST_IPV4_ARN" in variables) is bool(where)


def test_limits_are_in_the_cache_or_in_their_table_and_never_in_both():
    table, cache = {"LIMITS_TABLE": "<Data.Outputs.LimitsTable>"}, {
        "LIMITS_REDIS_URL": "rediss://<Valkey.Outputs.Address>",
        "LIMITS_REDIS_SECRET": "<Valkey.Outputs.AuthTokenArn>",
    }  # fmt: skip
    for switches, expected in (({}, table), ({"AttachVpc": "true"}, table), ({"Cache": "true"}, table), (CACHE, cache)):
        stack = Stack(**switches)
        for logical in ("AuthorizerFunction", "StsFunction"):
            variables = stack.root.properties(logical)["Environment"]["Variables"]
            assert {k: v for k, v in variables.items() if k.startswith("LIMITS_")} == expected, (logical, switches)
        password = cache["LIMITS_REDIS_SECRET"] if expected is cache else ""
        assert stack.children["Roles"].parameters["CacheSecretArn"] == password


def test_only_who_keeps_limits_in_the_cache_reads_its_password():
    readers = {o for o, _, s in policies(Stack(**CACHE).children["Roles"]) if "<Valkey.Outputs.AuthTokenArn>" in listed(s["Resource"])}
    assert readers == {"AuthorizerRole", "StsRole"}


def test_functions_reach_the_cache_by_tls_and_a_password_alone():
    stack = Stack(**CACHE)
    group, network = stack.children["Valkey"].properties("Valkey"), stack.children["Network"]
    assert group["TransitEncryptionMode"] == "required" and group["AuthToken"] == "{{resolve:secretsmanager:<AuthToken>}}"
    assert group["SecurityGroupIds"] == ["<Network.Outputs.CacheSecurityGroupId>"]
    (entry,) = network.properties("CacheSecurityGroup")["SecurityGroupIngress"]
    way = network.properties("CacheFromLambda")
    assert entry["SourceSecurityGroupId"] == way["GroupId"] == "<LambdaSecurityGroup>"
    assert {entry["FromPort"], entry["ToPort"], way["FromPort"], way["ToPort"]} == {6379}
    assert group.get("Port", 6379) == 6379


def test_no_limit_is_evicted():
    cache = Stack(**CACHE).children["Valkey"]
    assert cache.properties("Valkey")["CacheParameterGroupName"] == "<Settings>"
    assert cache.properties("Settings")["Properties"] == {"maxmemory-policy": "noeviction"}


def test_in_the_vpc_everything_that_the_functions_call_has_an_endpoint():
    services = {
        action.split(":")[0]
        for owner, _, s in policies(Template("infra/roles.yaml", Name="portcullis", AttachVpc="true", CacheSecretArn="s", KmsSigning="true", ApiKeys="required", AuditBusArn="b"))
        if owner != "InterfacePolicy" and s["Effect"] == "Allow"
        for action in listed(s["Action"])
    }
    # What a function writes to its log does not leave through the VPC, and no code calls the service.
    services -= {"logs"}
    for bus, needed in (("arn:bus", services), ("", services - {"events"})):
        endpoints = Stack(**CACHE, AuditBusArn=bus).children["Network"].of_type("AWS::EC2::VPCEndpoint").values()
        assert {e["Properties"]["ServiceName"].rsplit(".", 1)[1] for e in endpoints} == needed


def test_the_cache_needs_the_vpc_and_no_keys_of_others():
    assert "Valkey" not in Stack(Cache="true", AttachVpc="false").children
    for switches, allowed in (
        (CACHE, True),
        ({**CACHE, "AttachVpc": "false"}, False),
        ({**CACHE, "TrustedIssuers": "[{}]"}, False),
        ({**CACHE, "UserIssuers": "- {name: cognito}"}, False),
        ({"TrustedIssuers": "[{}]", "UserIssuers": "- {name: cognito}"}, True),
    ):
        root = Stack(**switches).root
        rule = root.source["Rules"]["CacheIsInTheVpc"]
        refused = root._boolean(rule["RuleCondition"]) and not all(root._boolean(a["Assert"]) for a in rule["Assertions"])
        assert refused is not allowed, switches


def test_with_a_domain_the_api_has_one_door():
    for parameters, closed, mutual in (({}, False, False), (DOMAIN, True, False), ({**DOMAIN, "TruststoreUri": "s3://b/k"}, True, True)):
        api = Stack(**parameters).children["Api"]
        assert api.properties("Api")["DisableExecuteApiEndpoint"] is closed
        if closed:
            assert ("MutualTlsAuthentication" in api.properties("Domain")) is mutual


ELSEWHERE = {"EdgeDomainName": "api.example.com", "EdgeBlockListV4Arn": "arn:4", "EdgeBlockListV6Arn": "arn:6"}


def test_behind_cloudfront_the_list_and_the_limit_stand_at_the_edge():
    children = Stack(**EDGE).children
    assert children["EdgeFirewall"].properties("WebAcl")["Scope"] == "CLOUDFRONT"
    assert not children["EdgeFirewall"].of_type("AWS::WAFv2::WebACLAssociation")
    assert {"BlockList", "RateLimit"} <= {r["Name"] for r in children["EdgeFirewall"].properties("WebAcl")["Rules"]}
    assert [r["Name"] for r in children["Firewall"].properties("WebAcl")["Rules"]] == ["ThroughCloudFront"]


def test_the_stage_keeps_its_web_acl_whatever_stands_before_it():
    """An association that CloudFormation replaces is first made, and then taken away by the stage's name: nothing is left."""
    found = []
    for parameters in ({}, EDGE, ELSEWHERE):
        firewall = Stack(**parameters).children["Firewall"]
        acl = firewall.properties("WebAcl")
        # What replaces a web ACL: its name and scope.
        found.append((acl["Name"], acl["Scope"], firewall.properties("StageAssociation")))
    assert found[0] == found[1] == found[2] and found[0][2]["ResourceArn"] == "<Api.Outputs.StageArn>"


def test_an_api_elsewhere_knows_the_distribution_that_is_deployed_by_itself():
    for parameters in (EDGE, ELSEWHERE):
        stack = Stack(**parameters)
        sts, authorizer, responder = (
            stack.root.properties(f"{name}Function")["Environment"]["Variables"] for name in ("Sts", "Authorizer", "GuarddutyResponder")
        )
        assert sts["ISSUER"] == sts["AUDIENCE"] == authorizer["ISSUER"] == authorizer["PUBLIC_URL"] == "https://api.example.com"
        assert sts["VIEWER_ADDRESS_HEADER"] == authorizer["VIEWER_ADDRESS_HEADER"] == "x-viewer-address"
        assert [r["Name"] for r in stack.children["Firewall"].properties("WebAcl")["Rules"]] == ["ThroughCloudFront"]
        lists = responder["BLOCK_LIST_IPV4_ARN"], responder["BLOCK_LIST_IPV6_ARN"]
        here = tuple(f"<EdgeFirewall.Outputs.BlockedAddressesV{v}Arn>" for v in "46")
        assert lists == (here if parameters is EDGE else ("arn:4", "arn:6"))
    without = Stack(EdgeDomainName="api.example.com").root.properties("GuarddutyResponderFunction")
    assert "BLOCK_LIST_IPV4_ARN" not in without["Environment"]["Variables"]


def refused(rule, **parameters):
    root = Stack(**parameters).root
    rule = root.source["Rules"][rule]
    return root._boolean(rule["RuleCondition"]) and not all(root._boolean(a["Assert"]) for a in rule["Assertions"])


def test_cloudfront_reaches_the_api():
    """It calls the API's own address, which a custom domain closes, and shows no client certificate."""
    for parameters in (EDGE, ELSEWHERE):
        assert not refused("TheApiIsBehindTheEdge", **parameters)
        assert refused("TheApiIsBehindTheEdge", **{**DOMAIN, **parameters})
        assert refused("TheApiIsBehindTheEdge", **{**parameters, "Waf": "false"})
    assert not refused("TheApiIsBehindTheEdge", **DOMAIN)
    assert refused("CloudFrontIsComplete", CloudFront="true"), "without a name"


def test_parameters_of_the_edge_that_do_nothing_are_refused():
    for parameters, whether in (
        ({}, False),
        (ELSEWHERE, False),
        ({**ELSEWHERE, "EdgeBlockListV4Arn": ""}, True),
        ({**ELSEWHERE, "EdgeBlockListV6Arn": ""}, True),
        ({**ELSEWHERE, "EdgeDomainName": ""}, True),
        ({**ELSEWHERE, "EdgeDomainName": "", "Waf": "false"}, True),
    ):
        assert refused("ListsOfTheEdgeAreComplete", **parameters) is whether, parameters
    for parameters, whether in (({}, False), (EDGE, False), ({**EDGE, "CloudFront": "false"}, True)):
        assert refused("CertificateOfTheEdgeIsUsed", **parameters) is whether, parameters


@pytest.mark.parametrize("name", files())
def test_every_parameter_says_what_it_is(name):
    missing = [key for key, spec in load(name).get("Parameters", {}).items() if not spec.get("Description")]
    assert missing == []


COSTS = ("USD", "Free", "free", "Next to nothing", "costs")
COSTLESS = {
    "Name", "LogLevel", "StageName", "RateLimit", "BlockedCountries", "TruststoreVersion", "EdgeDomainName",
    "EdgeCertificateArn", "VpcCidr", "CacheNodeType", "MetaClientCn",
}  # fmt: skip


def test_every_part_says_what_it_costs():
    parameters = load("template.yaml")["Parameters"]
    silent = {k for k, s in parameters.items() if not any(word in s["Description"] for word in COSTS)}
    assert silent == COSTLESS & silent and silent <= COSTLESS, silent - COSTLESS


def test_every_parameter_of_the_root_is_in_a_group():
    interface = load("template.yaml")["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in interface for name in group["Parameters"]]
    assert sorted(grouped) == sorted(load("template.yaml")["Parameters"])


def test_children_get_every_parameter_that_has_no_default():
    for logical, child in Stack(**{**EDGE, "AttachVpc": "true", "Cache": "true", "GuardDuty": "true", "ConfigRules": "true", "ExampleAiRole": "true"}).children.items():
        passed = set(load("template.yaml")["Resources"][logical]["Properties"].get("Parameters", {}))
        needed = {k for k, s in child.source["Parameters"].items() if "Default" not in s}
        assert needed <= passed, (logical, needed - passed)
        assert passed <= set(child.source["Parameters"]), (logical, passed)


def test_outputs_that_are_asked_for_exist():
    """Every `Child.Outputs.X` of the root names an output of that child."""
    text = (ROOT / "template.yaml").read_text()
    for child, output in set(re.findall(r"\b([A-Z][A-Za-z]+)\.Outputs\.([A-Za-z0-9]+)", text)):
        template = load(load("template.yaml")["Resources"][child]["Properties"]["TemplateURL"])
        assert output in template["Outputs"], f"{child}.{output}"


def test_samconfig_names_parameters_that_exist():
    import tomllib

    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    parameters = load("template.yaml")["Parameters"]
    profiles = {name: p["deploy"]["parameters"]["parameter_overrides"] for name, p in config.items() if isinstance(p, dict)}
    assert {"dev", "prod"} <= set(profiles)
    for profile, overrides in profiles.items():
        values = dict(override.split("=", 1) for override in overrides)
        assert set(values) <= set(parameters), profile
        for name, value in values.items():
            allowed = parameters[name].get("AllowedValues")
            assert allowed is None or value in map(str, allowed), (profile, name, value)
        Stack(**values)


def test_operations_says_what_to_do_at_every_alarm():
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/OPERATIONS.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(…?[A-Za-z]+)`", row)}
    endings = tuple(name[1:] for name in named if name.startswith("…"))
    stack = Stack(**CACHE, ExpectedCountries="ES", QuotaPerDay=1), Stack(**EDGE)
    alarms = {a for s in stack for child in s.children.values() for a in child.of_type("AWS::CloudWatch::Alarm")}
    silent = {alarm for alarm in alarms if alarm not in named and not alarm.endswith(endings)}
    assert silent == set()


def test_operations_takes_down_what_it_says_to_deploy_beside_the_stack():
    before, tear_down = (ROOT / "docs/OPERATIONS.md").read_text().split("## Tear down", 1)
    beside = set(re.findall(r"cloudformation deploy .*--stack-name ([a-z-]+)", before))
    assert beside == {"portcullis-edge", "portcullis-edge-acl", "portcullis-forward"}
    assert beside <= set(re.findall(r"for each in ([^;]+); do", tear_down)[0].split())
    replicated = re.search(r"replicate-secret-to-regions (--secret-id \S+)", before)[1]
    assert f"remove-regions-from-replication {replicated}" in tear_down, "no secret that has replicas is deleted"


def test_operations_names_what_a_torn_down_stack_leaves_under_a_name():
    """It stands in the way of the next deployment: "already exists"."""
    text = (ROOT / "docs/OPERATIONS.md").read_text().split("## Tear down", 1)[1].split("\n## ", 1)[0]
    loops = {"$name": "portcullis", "$suffix": "111122223333-us-east-1"}
    for variable, value in loops.items():
        text = text.replace(variable, value)
    listing = [(body, words.split()) for words, body in re.findall(r"for each in ([^;]+); do\n(.*)", text)]
    named = {body.replace("$each", word) for body, words in listing for word in (w.strip('"') for w in words)}
    named.add(text)
    everything = {"CloudTrail": "true", "ConfigRecorder": "true", "AttachVpc": "true", **EDGE}
    stack = Stack(**everything)
    for template in (stack.root, *stack.children.values()):
        for logical, resource in template.resources.items():
            if resource.get("DeletionPolicy", "").startswith("Retain"):
                keys = ("TableName", "BucketName", "LogGroupName", "Name", "RoleName")
                for name in (resource["Properties"][key] for key in keys if key in resource["Properties"]):
                    # The gateway's own group is named after the API, which gets another id.
                    if "<Api>" not in name and "-trail-" not in name:
                        assert any(f"{name}" in line for line in named), (logical, name)
