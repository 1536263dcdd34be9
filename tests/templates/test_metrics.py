"""Dashboard and alarms ask for metrics that somebody emits, under the dimensions under which they are emitted."""

import json
import re

import pytest

from sources import functions, metrics, rust
from stack import Stack

DASHBOARD = Stack().children["Dashboard"]
NAMESPACE = re.search(r'NAMESPACE: &str = "(\w+)"', rust("shared/lambda/src/emf.rs"))[1]


def body():
    return json.loads(DASHBOARD.properties("Dashboard")["DashboardBody"])


def asked():
    """(where, namespace, metric, {dimension: value}) of every alarm and widget; a search names dimensions only."""
    for logical, alarm in DASHBOARD.of_type("AWS::CloudWatch::Alarm").items():
        for query in alarm["Properties"].get("Metrics", [{"MetricStat": {"Metric": alarm["Properties"]}}]):
            if "MetricStat" in query:
                metric = query["MetricStat"]["Metric"]
                yield logical, metric["Namespace"], metric["MetricName"], {d["Name"]: d["Value"] for d in metric.get("Dimensions", [])}
    for widget in body()["widgets"]:
        for row in widget["properties"].get("metrics", []):
            title = widget["properties"]["title"]
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
    "AWS/WAFV2": ({"BlockedRequests"}, {"WebACL", "Region", "Rule"}),
    "AWS/DDoSProtection": ({"DDoSDetected"}, {"ResourceArn"}),
    "AWS/Usage": ({"CallCount"}, {"Type", "Resource", "Service", "Class"}),
    "AWS/SQS": ({"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}, {"QueueName"}),
    "AWS/Events": ({"MatchedEvents"}, {"RuleName"}),
    "AWS/Lambda": ({"Errors", "Throttles", "Duration", "ConcurrentExecutions"}, {"FunctionName"}),
    "AWS/DynamoDB": ({"TimeToLiveDeletedItemCount", "ReadThrottleEvents", "WriteThrottleEvents"}, {"TableName"}),
}


def test_metrics_of_aws_are_documented_ones_of_resources_that_exist():
    stack = Stack(Waf="true")
    children = stack.children.values()
    names = {
        "FunctionName": {f["Properties"]["FunctionName"] for f in stack.root.of_type("AWS::Serverless::Function").values()},
        "QueueName": {q["Properties"]["QueueName"] for t in children for q in t.of_type("AWS::SQS::Queue").values()},
        "TableName": {q["Properties"]["TableName"] for t in children for q in t.of_type("AWS::DynamoDB::Table").values()},
        "RuleName": {q["Properties"]["Name"] for t in children for q in t.of_type("AWS::Events::Rule").values()},
        "ApiName": {stack.children["Api"].properties("Api")["Name"]},
        "WebACL": {stack.children["Firewall"].properties("WebAcl")["VisibilityConfig"]["MetricName"]},
        "Rule": {"ALL", *(r["VisibilityConfig"]["MetricName"] for r in stack.children["Firewall"].properties("WebAcl")["Rules"])},
    }
    for where, namespace, name, dimensions in asked():
        if namespace != NAMESPACE:
            metric_names, dimension_names = AWS[namespace]
            assert name in metric_names and set(dimensions) == dimension_names, (where, namespace, name)
            for dimension, value in dimensions.items():
                assert value is None or value in names.get(dimension, {value}), (where, dimension, value)


def test_every_alarm_tells_somebody_and_says_why():
    for logical, alarm in DASHBOARD.of_type("AWS::CloudWatch::Alarm").items():
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
