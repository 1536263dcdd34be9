"""The API: its routes are those of config/access/routes.yml, and what it says itself leaks nothing."""

import hashlib
import itertools
import json
import re

import pytest
import yaml

from sources import logical
from stack import ROOT, Stack, Template, listed, load

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "x-amazon-apigateway-any-method"}


def api(**parameters):
    return Stack(**parameters).children["Api"]


def body(**parameters):
    return api(**parameters).properties("Api")["Body"]


def operations(**parameters):
    return {
        (method.upper(), path): operation
        for path, item in body(**parameters)["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def routes():
    return yaml.safe_load((ROOT / "config/access/routes.yml").read_text())["routes"]


def test_the_routes_are_those_of_the_access_policy():
    assert set(operations()) == {(r["method"], r["path"]) for r in routes()}


def test_exactly_the_public_routes_ask_no_authorizer():
    for route in routes():
        security = operations()[route["method"], route["path"]]["security"]
        assert security == ([] if route.get("public") else [{"Authorizer": []}]), route


def test_no_route_takes_any_method():
    assert "x-amazon-apigateway-any-method" not in {m for _, m in operations()}
    assert not any("+" in path for _, path in operations()), "no greedy path either"


# First part of the path → the function that answers.
OWNER = {"webhook": "webhook", "pii": "pii", "conversations": "pii", "sts": "sts", ".well-known": "sts", "openapi.json": "sts", "incidents": "guardduty-responder"}


def test_each_route_goes_to_the_function_that_answers_it():
    for (method, path), operation in operations().items():
        integration = operation["x-amazon-apigateway-integration"]
        assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
        function = f"function:portcullis-{OWNER[path.split('/')[1]]}/invocations"
        assert integration["uri"].endswith(function), (method, path)


def test_the_gateway_may_call_each_function_on_its_routes_and_no_other():
    stack = Stack()
    permissions = stack.root.of_type("AWS::Lambda::Permission").values()
    for (method, path), operation in operations().items():
        function = OWNER[path.split("/")[1]]
        mine = [
            p["Properties"]["SourceArn"].split("/", 2)[2].split("/", 1)
            for p in permissions
            if p["Properties"]["FunctionName"] == f"<{logical(function)}Function>"
        ]
        concrete = re.sub(r"\{\w+\}", "x", path).lstrip("/")
        fits = [m for m, pattern in mine if m in ("*", method) and re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), concrete)]
        assert fits, f"no permission for {method} {path}"
    asked = [p["Properties"]["SourceArn"] for p in permissions if p["Properties"]["FunctionName"] == "<AuthorizerFunction>"]
    assert asked == ["arn:aws:execute-api:us-east-1:111122223333:<Api.Outputs.ApiId>/authorizers/*"]
    authorizer = body()["components"]["securitySchemes"]["Authorizer"]["x-amazon-apigateway-authorizer"]
    assert "authorizerCredentials" not in authorizer, "a role of its own would have to be assumable by the gateway for any API"
    assert all(p["Properties"]["Principal"] == "apigateway.amazonaws.com" for p in permissions if "SourceArn" in p["Properties"] and "execute-api" in p["Properties"]["SourceArn"])


# Parameters that change what is deployed, and what they add to the deployment's name.
DEPLOYED = {
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-disable-default-endpoint.html
    "Domain": {"DomainName": "api.example.com", "CertificateArn": "arn:c"},
    "Cache": {"AuthorizerCacheSeconds": 60},
    "Quota": {"QuotaPerDay": 100},
}


def test_the_deployment_is_named_after_the_body_and_what_parameters_make_of_it():
    text = (ROOT / "infra/api.yaml").read_text()
    start, end = text.index("      Body:\n"), text.index("\n  # CloudFormation deploys an API again")
    digest = hashlib.sha256(text[start:end].encode()).hexdigest()[:8]
    names = set(re.findall(r"  Deployment([0-9a-f]{8})[A-Z]*[a-zA-Z]*:", text))
    assert names == {digest}, f"the body changed: name the deployments Deployment{digest}…"
    for chosen in itertools.chain.from_iterable(itertools.combinations(DEPLOYED, n) for n in range(len(DEPLOYED) + 1)):
        changed = api(**{name: value for switch in chosen for name, value in DEPLOYED[switch].items()})
        name = f"Deployment{digest}{''.join(chosen)}"
        # Alone: one that stood before and after would be the snapshot of before.
        assert list(changed.of_type("AWS::ApiGateway::Deployment")) == [name], chosen
        assert changed.properties("Stage")["DeploymentId"] == f"<{name}>", chosen


def test_every_parameter_that_the_deployed_api_depends_on_is_in_the_deployments_name():
    """Names of functions derive from Name, which makes another stack; what else the body or the closed address says must not."""
    source = load("infra/api.yaml")

    def named(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "Ref":
                    yield inner
                elif key == "Fn::If":
                    yield from named(source["Conditions"][inner[0]])
                elif key == "Condition":
                    yield from named(source["Conditions"][inner])
                elif key == "Fn::Sub":
                    yield from re.findall(r"\$\{(\w+)\}", inner)
                yield from named(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from named(inner)

    properties = source["Resources"]["Api"]["Properties"]
    asked = set(named([properties["Body"], properties["DisableExecuteApiEndpoint"]])) & set(source["Parameters"])
    fixed = {name for name in asked if name == "Name" or name.endswith("FunctionArn")}
    assert asked - fixed == {"AuthorizerCacheSeconds", "DomainName", "QuotaPerDay"}
    assert {next(iter(parameters)) for parameters in DEPLOYED.values()} == asked - fixed


@pytest.mark.parametrize(
    ("kind", "status", "header"),
    [
        ("UNAUTHORIZED", 401, "WWW-Authenticate"),
        ("ACCESS_DENIED", 403, "WWW-Authenticate"),
        ("WAF_FILTERED", 403, None),
        ("MISSING_AUTHENTICATION_TOKEN", 404, None),
        ("REQUEST_TOO_LARGE", 413, None),
        ("THROTTLED", 429, "Retry-After"),
        ("QUOTA_EXCEEDED", 429, "Retry-After"),
        # No caller shows one: the authorizer has not told it yet.
        ("INVALID_API_KEY", 503, "Retry-After"),
        # What the authorizer answers to a caller over its rate (RATE_ANSWER=error).
        ("AUTHORIZER_FAILURE", 429, "Retry-After"),
        ("INTEGRATION_TIMEOUT", 504, "Retry-After"),
    ],
)
def test_the_gateways_own_answers(kind, status, header):
    answer = body()["x-amazon-apigateway-gateway-responses"][kind]
    assert answer["statusCode"] == status
    assert header is None or f"gatewayresponse.header.{header}" in answer["responseParameters"]


def test_refusals_say_how_to_ask():
    """RFC 6750 section 3, RFC 9449 section 7.1: both schemes, the algorithms of proofs, and why a good token does not do."""
    algorithms = re.search(r'DPOP_ALGS: &str = "([^"]+)"', (ROOT / "shared/token/src/dpop.rs").read_text())[1]
    # The same answer to whoever showed no token, to whom no error may be named.
    for kind, error in (("UNAUTHORIZED", ""), ("ACCESS_DENIED", ', error="insufficient_scope"')):
        parameters = body()["x-amazon-apigateway-gateway-responses"][kind]["responseParameters"]
        challenge = parameters["gatewayresponse.header.WWW-Authenticate"]
        assert challenge == f"'Bearer realm=\"portcullis\"{error}, DPoP algs=\"{algorithms}\"'", kind


def test_no_answer_of_the_gateway_leaks_or_may_be_cached():
    for kind, answer in body()["x-amazon-apigateway-gateway-responses"].items():
        template = answer["responseTemplates"]["application/json"]
        assert "$" not in template, f"{kind} repeats something of the request or the error"
        problem = json.loads(template)
        assert set(problem) <= {"type", "title", "status"} and problem.get("status", answer.get("statusCode")) == answer.get("statusCode")
        headers = {k.rsplit(".", 1)[1]: v.strip("'") for k, v in answer["responseParameters"].items()}
        assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Type"] == "application/problem+json"
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= set(body()["x-amazon-apigateway-gateway-responses"])


def test_the_stage_throttles_logs_and_keeps_bodies_out_of_the_log():
    stage = api(ThrottleRate=7, ThrottleBurst=9).properties("Stage")
    (settings,) = stage["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (7, 9)
    assert settings["DataTraceEnabled"] is False and settings["MetricsEnabled"] is True
    line = json.loads(stage["AccessLogSetting"]["Format"])
    assert all(v.startswith("$context.") for v in line.values())
    for leak in ("$context.path", "querystring", "authorizer.claims", "$context.error.message", "$input"):
        assert leak not in stage["AccessLogSetting"]["Format"]


PLAN = {"AWS::ApiGateway::UsagePlan", "AWS::ApiGateway::ApiKey", "AWS::ApiGateway::UsagePlanKey"}


def test_without_a_quota_nothing_asks_for_a_key():
    for nothing in ({}, {"QuotaPerDay": 0}):
        stack = Stack(**nothing)
        assert not stack.types.keys() & PLAN
        without = body(**nothing)
        assert without["x-amazon-apigateway-api-key-source"] == "HEADER", "the gateway's default"
        assert list(without["components"]["securitySchemes"]) == ["Authorizer"]
        assert "ApiKey" not in json.dumps(without["paths"]) and "x-api-key" not in json.dumps(without)
        assert "USAGE_KEY" not in stack.root.properties("AuthorizerFunction")["Environment"]["Variables"]


def test_a_quota_counts_every_route_that_asks_for_a_credential_and_no_public_one():
    with_quota = body(QuotaPerDay=100)
    # From the header each caller would choose what it counts on.
    assert with_quota["x-amazon-apigateway-api-key-source"] == "AUTHORIZER"
    assert with_quota["components"]["securitySchemes"]["ApiKey"] == {"type": "apiKey", "name": "x-api-key", "in": "header"}
    before, counted = operations(), operations(QuotaPerDay=100)
    for route in routes():
        security = counted[route["method"], route["path"]]["security"]
        assert security == ([] if route.get("public") else [{"Authorizer": []}, {"ApiKey": []}]), route
    # And nothing else changes.
    strip = lambda all: {name: {k: v for k, v in one.items() if k != "security"} for name, one in all.items()}  # noqa: E731
    assert strip(before) == strip(counted)


def test_the_usage_plan_holds_the_rate_and_the_quota_on_the_stage():
    changed = api(QuotaPerDay=100, ThrottleRate=7, ThrottleBurst=9)
    ((plan, resource),) = changed.of_type("AWS::ApiGateway::UsagePlan").items()
    assert resource["Properties"]["Quota"] == {"Limit": 100, "Period": "DAY"}
    assert resource["Properties"]["Throttle"] == {"RateLimit": 7, "BurstLimit": 9}
    # By reference: the plan goes before the stage that it is of does.
    assert resource["Properties"]["ApiStages"] == [{"ApiId": "<Api>", "Stage": "<Stage>"}]
    ((key, _),) = changed.of_type("AWS::ApiGateway::ApiKey").items()
    (joint,) = changed.of_type("AWS::ApiGateway::UsagePlanKey").values()
    assert joint["Properties"] == {"KeyId": f"<{key}>", "KeyType": "API_KEY", "UsagePlanId": f"<{plan}>"}


@pytest.mark.parametrize("name", ["abc", "portcullis", "p" * 20])
def test_the_authorizer_tells_the_key_that_the_plan_counts_on(name):
    stack = Stack(Name=name, QuotaPerDay=1)
    (key,) = stack.children["Api"].of_type("AWS::ApiGateway::ApiKey").values()
    told = stack.root.properties("AuthorizerFunction")["Environment"]["Variables"]["USAGE_KEY"]
    assert key["Properties"]["Value"] == told and key["Properties"]["Enabled"] is True
    # As functions/authorizer/src/parts.rs reads it. Keys are known by their values in an account and region.
    assert re.fullmatch(r"[A-Za-z0-9._-]{20,128}", told) and told.startswith(name)


def test_what_the_gateway_logs_goes_to_groups_that_are_there_before_and_end():
    resources = api().resources
    stage = resources["Stage"]
    groups = {logical: r["Properties"]["LogGroupName"] for logical, r in resources.items() if r["Type"] == "AWS::Logs::LogGroup"}
    assert stage["Properties"]["AccessLogSetting"]["DestinationArn"] == "<AccessLog.Arn>"
    for settings in stage["Properties"]["MethodSettings"]:
        # Made by the gateway itself it would have neither an end nor a key.
        made = [logical for logical, name in groups.items() if name == "API-Gateway-Execution-Logs_<Api>/v1"]
        assert settings["LoggingLevel"] == "OFF" or made and set(made) <= set(listed(stage["DependsOn"]))


def test_no_trace_starts_at_the_gateway():
    """Segments carry the path with its ids, the address and the user agent, for thirty days under AWS's own key."""
    assert api().properties("Stage").get("TracingEnabled", False) is False
    assert load("template.yaml")["Globals"]["Function"]["Tracing"] == "PassThrough"


def test_the_authorizer_is_asked_every_time_unless_a_cache_is_asked_for():
    def authorizer(**parameters):
        schemes = body(**parameters)["components"]["securitySchemes"]
        return schemes["Authorizer"]["x-amazon-apigateway-authorizer"]

    assert "identitySource" not in authorizer() and str(authorizer()["authorizerResultTtlInSeconds"]) == "0"
    cached = authorizer(AuthorizerCacheSeconds=5)
    # Whoever came from another address, or without the token, is not the one whose answer is kept.
    sources = {s.strip() for s in cached["identitySource"].split(",")}
    assert {"method.request.header.Authorization", "context.identity.sourceIp"} <= sources
    assert cached["type"] == "request" and cached["authorizerUri"].endswith("portcullis-authorizer/invocations")


def test_answers_are_kept_only_where_the_token_says_all_of_the_caller():
    for parameters, accepted in (
        ({}, True),
        ({"ApiKeys": "required", "MtlsMode": "strict"}, True),
        ({"AuthorizerCacheSeconds": 60}, True),
        ({"AuthorizerCacheSeconds": 60, "ApiKeys": "alternative"}, False),
        ({"AuthorizerCacheSeconds": 60, "ApiKeys": "required"}, False),
        ({"AuthorizerCacheSeconds": 60, "MtlsMode": "permissive"}, False),
        ({"AuthorizerCacheSeconds": 60, "MtlsMode": "strict"}, False),
        ({"AuthorizerCacheSeconds": 60, "TruststoreUri": "s3://bucket/ca.pem", "DomainName": "api.example"}, False),
    ):
        template = Template("template.yaml", **parameters)
        rule = template.source["Rules"]["AnswersAreKeptForTokensAlone"]
        applies = template._boolean(rule["RuleCondition"])
        held = all(template._boolean(assertion["Assert"]) for assertion in rule["Assertions"])
        assert (not applies or held) == accepted, parameters
        # A token that needs a proof or a certificate beside it is for the authorizer to refuse: the gateway cannot tell.
        told = Stack(**parameters).root.properties("AuthorizerFunction")["Environment"]["Variables"].get("ANSWERS_ARE_KEPT")
        assert (told == "true") == ("AuthorizerCacheSeconds" in parameters), parameters


def test_security_headers_of_the_edge():
    edge = Stack(CloudFront="true", EdgeDomainName="a.example", EdgeCertificateArn="c").children["Edge"]
    headers = edge.properties("Headers")["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    assert headers["XSSProtection"] == {"Protection": False, "Override": True}, "X-XSS-Protection: 0"
    assert "unsafe" not in headers["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    assert headers["ContentSecurityPolicy"]["ContentSecurityPolicy"].startswith("default-src 'none'")
    assert headers["StrictTransportSecurity"]["AccessControlMaxAgeSec"] == 31536000
    assert headers["StrictTransportSecurity"]["Preload"] and headers["StrictTransportSecurity"]["IncludeSubdomains"]
    assert headers["FrameOptions"]["FrameOption"] == "DENY"
    distribution = edge.properties("Distribution")["DistributionConfig"]
    assert distribution["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.3_2025"
    assert distribution["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "https-only"
    (origin,) = distribution["Origins"]
    assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"


def test_the_gate_blocks_whatever_did_not_come_through_cloudfront():
    stack = Stack(CloudFront="true", EdgeDomainName="a.example", EdgeCertificateArn="c")
    (rule,) = stack.children["Firewall"].properties("WebAcl")["Rules"]
    shown = stack.children["Edge"].properties("Distribution")["DistributionConfig"]["Origins"][0]["OriginCustomHeaders"][0]
    asked = rule["Statement"]["NotStatement"]["Statement"]["ByteMatchStatement"]
    assert rule["Action"] == {"Block": {}}
    assert asked["FieldToMatch"]["SingleHeader"]["Name"] == shown["HeaderName"].lower()
    edge = stack.children["Edge"]
    assert shown["HeaderValue"] == "{{resolve:secretsmanager:<Secrets.Outputs.OriginSecretArn>:SecretString:::}}"
    assert asked["SearchString"] == "{{resolve:secretsmanager:<Edge.Outputs.OriginSecretArn>:SecretString:::}}", "closed once the edge stands"
    assert edge.resolve(edge.source["Outputs"]["OriginSecretArn"]["Value"]) == "<Secrets.Outputs.OriginSecretArn>"
    for visibility in (rule["VisibilityConfig"], stack.children["Firewall"].properties("WebAcl")["VisibilityConfig"]):
        assert visibility["SampledRequestsEnabled"] is False, "samples would show the secret"
    redacted = stack.children["Firewall"].properties("Logging")["RedactedFields"]
    assert {"SingleHeader": {"Name": shown["HeaderName"].lower()}} in redacted, "so would the log"
