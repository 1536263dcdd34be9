"""Dashboard and alarms ask for metrics that somebody emits, under the dimensions under which they are emitted."""

import json
import re

import pytest

from sources import functions, metrics, rust
from stack import ROOT, Stack

# Everything that the dashboard may hold, but for what stands at the edge alone.
EVERYTHING = {"Waf": "true", "ExpectedCountries": "ES,IE", "WebhookSilenceHours": 6}
EDGE = {**EVERYTHING, "CloudFront": "true", "EdgeDomainName": "api.example.com", "EdgeCertificateArn": "arn:c"}
DASHBOARD = Stack(**EVERYTHING).children["Dashboard"]
VALKEY = Stack(AttachVpc="true", Cache="true").children["Valkey"]
NAMESPACE = re.search(r'NAMESPACE: &str = "(\w+)"', rust("shared/lambda/src/emf.rs"))[1]


def body():
    return json.loads(DASHBOARD.properties("Dashboard")["DashboardBody"])


def alarms(*templates):
    return {logical: alarm for t in templates for logical, alarm in t.of_type("AWS::CloudWatch::Alarm").items()}


def asked():
    """(where, namespace, metric, {dimension: value}) of every alarm and widget; a search names dimensions only."""
    for logical, alarm in alarms(DASHBOARD).items():
        for query in alarm["Properties"].get("Metrics", [{"MetricStat": {"Metric": alarm["Properties"]}}]):
            if "MetricStat" in query:
                metric = query["MetricStat"]["Metric"]
                yield logical, metric["Namespace"], metric["MetricName"], {d["Name"]: d["Value"] for d in metric.get("Dimensions", [])}
    for widget in body()["widgets"]:
        for row in widget["properties"].get("metrics", []):
            title = widget["properties"]["title"]
            if isinstance(row[0], dict) and "SEARCH(" not in row[0]["expression"]:
                continue
            if isinstance(row[0], dict):
                namespace, names = re.search(r"SEARCH\('\{([\w/]+),([\w,]+)\}", row[0]["expression"]).groups()
                name = re.search(r'MetricName="(\w+)"', row[0]["expression"])[1]
                fixed = dict(re.findall(r'(\w+)="([^"]+)"', row[0]["expression"]))
                yield title, namespace, name, {n: fixed.get(n) for n in names.split(",")}
            else:
                values = [v for v in row if not isinstance(v, dict)]
                yield title, values[0], values[1], dict(zip(values[2::2], values[3::2]))


OURS = [a for a in asked() if a[1] == NAMESPACE]


@pytest.mark.parametrize(("where", "name", "dimensions"), [(w, n, d) for w, _, n, d in OURS])
def test_our_metrics_are_emitted_under_these_dimensions(where, name, dimensions):
    function = dimensions["Function"]
    owners = [function] if function else functions()
    assert any(tuple(k for k in dimensions if k != "Function") in metrics(f).get(name, set()) for f in owners if f in functions()), (where, name)


@pytest.mark.parametrize(("where", "dimensions"), [(w, d) for w, _, _, d in OURS])
def test_values_of_dimensions_stand_in_the_code(where, dimensions):
    function = dimensions["Function"]
    if function is None:
        return
    text = rust(f"functions/{function}/src") + rust("shared/webhook/src/signature.rs")
    for name, value in dimensions.items():
        if name not in ("Function", "Status") and value is not None:
            assert f'"{value}"' in text, (where, value)


def test_every_metric_of_the_functions_is_shown():
    shown = {(n, tuple(k for k in d if k != "Function")) for _, _, n, d in OURS}
    for function in functions():
        for name in metrics(function):
            assert any(n == name for n, _ in shown), f"{function} emits {name}, and nothing shows it"


# Namespaces and metrics of AWS that are asked for: name → dimensions, from the services' documentation.
AWS = {
    "AWS/ApiGateway": ({"Count", "4XXError", "5XXError"}, {"ApiName", "Stage"}),
    "AWS/WAFV2": ({"BlockedRequests", "CountedRequests"}, {"WebACL", "Region", "Rule"}),
    "AWS/DDoSProtection": ({"DDoSDetected"}, {"ResourceArn"}),
    "AWS/Usage": ({"CallCount"}, {"Type", "Resource", "Service", "Class"}),
    "AWS/SQS": ({"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}, {"QueueName"}),
    "AWS/Events": ({"MatchedEvents", "InvocationsFailedToBeSentToDlq"}, {"RuleName"}),
    "AWS/Lambda": (
        {"Errors", "Throttles", "Duration", "ConcurrentExecutions", "AsyncEventsDropped", "DestinationDeliveryFailures"},
        {"FunctionName"},
    ),
    "AWS/DynamoDB": ({"TimeToLiveDeletedItemCount", "ReadThrottleEvents", "WriteThrottleEvents"}, {"TableName"}),
}


def test_metrics_of_aws_are_documented_ones_of_resources_that_exist():
    stack = Stack(**EVERYTHING)
    children = [*stack.children.values(), *Stack(**EDGE).children.values()]
    names = {
        "FunctionName": {f["Properties"]["FunctionName"] for f in stack.root.of_type("AWS::Serverless::Function").values()},
        "QueueName": {q["Properties"]["QueueName"] for t in children for q in t.of_type("AWS::SQS::Queue").values()},
        "TableName": {q["Properties"]["TableName"] for t in children for q in t.of_type("AWS::DynamoDB::Table").values()},
        "RuleName": {
            *(q["Properties"]["Name"] for t in children for q in t.of_type("AWS::Events::Rule").values()),
            *(
                event["Properties"]["Name"]
                for f in stack.root.of_type("AWS::Serverless::Function").values()
                for event in f["Properties"].get("Events", {}).values()
                if event["Type"] == "Schedule"
            ),
        },
        "ApiName": {stack.children["Api"].properties("Api")["Name"]},
        "WebACL": {w["Properties"]["VisibilityConfig"]["MetricName"] for t in children for w in t.of_type("AWS::WAFv2::WebACL").values()},
        "Rule": {
            "ALL",
            *(
                r["VisibilityConfig"]["MetricName"]
                for t in children
                for w in t.of_type("AWS::WAFv2::WebACL").values()
                for r in w["Properties"]["Rules"]
            ),
        },
    }
    for where, namespace, name, dimensions in asked():
        if namespace not in (NAMESPACE, *FILTERED):
            metric_names, dimension_names = AWS[namespace]
            # A web ACL at the edge has no region: widgets look for both.
            region = {"Region"} if namespace == "AWS/WAFV2" else set()
            assert name in metric_names and set(dimensions) | region == dimension_names, (where, namespace, name)
            for dimension, value in dimensions.items():
                assert value is None or value in names.get(dimension, {value}), (where, dimension, value)


FILTERED = {
    t["MetricNamespace"]: (t["MetricName"], {d["Key"] for d in t["Dimensions"]})
    for child in Stack().children.values()
    for filter in child.of_type("AWS::Logs::MetricFilter").values()
    for t in filter["Properties"]["MetricTransformations"]
}


def test_metrics_of_logs_are_those_that_filters_make():
    found = {ns: (name, set(dimensions)) for _, ns, name, dimensions in asked() if ns in FILTERED}
    assert FILTERED and found == FILTERED


@pytest.mark.parametrize(("scope", "region"), [(EVERYTHING, {"Region"}), (EDGE, set())])
def test_alarms_ask_for_the_web_acl_under_the_dimensions_of_its_scope(scope, region):
    """AWS: Region is there for all protected resource types except CloudFront distributions."""
    found = {}
    for alarm in alarms(Stack(**scope).children["Dashboard"]).values():
        if alarm["Properties"].get("Namespace") == "AWS/WAFV2":
            dimensions = {d["Name"]: d["Value"] for d in alarm["Properties"]["Dimensions"]}
            found[dimensions["Rule"]] = set(dimensions)
    assert found.pop("ThroughCloudFront", None) == ({"WebACL", "Rule", "Region"} if scope is EDGE else None), "before the stage"
    assert set(map(frozenset, found.values())) == {frozenset({"WebACL", "Rule"} | region)} and len(found) == 2


def test_nothing_is_asked_of_a_web_acl_that_is_not_there():
    dashboard = Stack(Waf="false", ExpectedCountries="ES").children["Dashboard"]
    assert "AWS/WAFV2" not in {a["Properties"].get("Namespace") for a in alarms(dashboard).values()}


def test_silence_is_heard():
    """A metric that is only ever counted up is missing, not zero, when nothing happens."""
    for logical, alarm in alarms(DASHBOARD).items():
        below = alarm["Properties"]["ComparisonOperator"].startswith("LessThan")
        assert (alarm["Properties"]["TreatMissingData"] == "breaching") is below, logical
    assert DASHBOARD.properties("NoWebhooks")["EvaluationPeriods"] == 6
    assert "NoWebhooks" not in Stack(WebhookSilenceHours=0).children["Dashboard"].resources


def test_guesses_are_heard_whichever_endpoint_they_are_made_at():
    for name in ("AuthenticationFailures", "Lockouts", "RefreshReuse"):
        assert metrics("sts")[name] == {()}, "an alarm on one endpoint would be deaf to the others"
        assert any(n == name and d == {"Function": "sts"} for w, _, n, d in OURS if w in DASHBOARD.resources), name


def test_every_table_has_an_alarm_for_refused_requests():
    tables = {t["Properties"]["TableName"] for t in Stack().children["Data"].of_type("AWS::DynamoDB::Table").values()}
    for name in ("ReadThrottleEvents", "WriteThrottleEvents"):
        assert {d["TableName"] for w, _, n, d in asked() if n == name and w in DASHBOARD.resources} == tables


def test_what_is_called_asynchronously_has_an_alarm_for_what_is_lost():
    functions = {
        f["Properties"]["FunctionName"]
        for f in Stack().root.of_type("AWS::Serverless::Function").values()
        if "EventInvokeConfig" in f["Properties"]
    }
    for name in ("AsyncEventsDropped", "DestinationDeliveryFailures"):
        assert {d["FunctionName"] for w, _, n, d in asked() if n == name and w in DASHBOARD.resources} == functions
    rules = {r["Properties"]["Name"] for r in Stack().children["Responders"].of_type("AWS::Events::Rule").values()}
    lost = {d["RuleName"] for w, _, n, d in asked() if n == "InvocationsFailedToBeSentToDlq"}
    assert rules | {"portcullis-signing-keys"} == lost


def test_both_nodes_of_the_cache_are_watched_before_their_memory_is_full():
    """Nothing is evicted: what is full refuses."""
    watched = {}
    for alarm in alarms(VALKEY).values():
        for query in (q["MetricStat"]["Metric"] for q in alarm["Properties"]["Metrics"] if "MetricStat" in q):
            watched.setdefault(query["MetricName"], []).append(query["Dimensions"])
    nodes = [[{"Name": "CacheClusterId", "Value": f"<Valkey>-00{n}"}] for n in (1, 2)]
    assert watched == {"DatabaseMemoryUsagePercentage": nodes, "EngineCPUUtilization": nodes}
    assert VALKEY.properties("Valkey")["NumCacheClusters"] == len(nodes)
    assert not alarms(Stack(AttachVpc="true", Cache="true", Alarms="false").children["Valkey"])


def test_every_alarm_tells_somebody_and_says_why():
    for logical, alarm in alarms(DASHBOARD, VALKEY, Stack(**EDGE).children["Dashboard"]).items():
        assert alarm["Properties"]["AlarmActions"] == ["<Alerts.Outputs.TopicArn>"], logical
        assert len(alarm["Properties"]["AlarmDescription"]) > 20, logical


@pytest.mark.parametrize("function", functions())
def test_every_function_has_an_alarm_for_failures_and_throttles(function):
    alarmed = {(n, d.get("FunctionName")) for w, s, n, d in asked() if s == "AWS/Lambda" and w in DASHBOARD.resources}
    assert {("Errors", f"portcullis-{function}"), ("Throttles", f"portcullis-{function}")} <= alarmed


def test_widgets_do_not_overlap():
    taken = set()
    for widget in body()["widgets"]:
        cells = {(x, y) for x in range(widget["x"], widget["x"] + widget["width"]) for y in range(widget["y"], widget["y"] + widget["height"])}
        assert not cells & taken and widget["x"] + widget["width"] <= 24
        taken |= cells


def requirements():
    """Metric of the source document → (titles of widgets, alarms, remark), of docs/METRICS.md."""
    lines = [line for line in (ROOT / "docs/METRICS.md").read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {metric: (re.findall(r'"([^"]+)"', shown), re.findall(r"`(\w+)`", told), remark) for metric, shown, told, remark in rows}


# "Security dashboard metrics" of the source document, in its order.
SOURCE = """
Failed authentication attempts per hour; Successful vs failed login ratio; Unusual geographic access patterns; API key usage statistics;
WAF blocked requests per hour; DDoS mitigation events; Suspicious IP addresses detected; Geographic request distribution;
Encryption coverage percentage; KMS key usage statistics; Data classification compliance; Retention policy violations;
GuardDuty findings by severity; Mean time to detection (MTTD); Mean time to response (MTTR); False positive rate;
Config compliance score; Security audit findings; Privacy request response time; Data breach incidents
"""


def test_every_metric_of_the_source_document_is_shown_or_says_why_not():
    told = requirements()
    assert list(told) == [m.strip() for m in SOURCE.split(";")]
    titles = {w["properties"].get("title") for w in body()["widgets"]}
    raised = alarms(DASHBOARD, Stack(**EDGE).children["Dashboard"])
    for metric, (widgets, alarmed, remark) in told.items():
        assert set(widgets) <= titles, (metric, set(widgets) - titles)
        assert set(alarmed) <= set(raised), (metric, set(alarmed) - set(raised))
        assert widgets or alarmed or remark.startswith("Not yet: "), metric
