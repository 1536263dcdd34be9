"""Outside us-east-1 the stack hears of IAM, of the root user and of sign-ins through infra/forward.yaml alone."""

import pytest

from stack import Stack, Template, policies

FORWARD = Template("infra/forward.yaml", TargetRegion="eu-west-1")
BUS = "arn:aws:events:eu-west-1:111122223333:event-bus/default"


def test_what_rules_of_the_stack_ask_for_is_forwarded():
    pattern = FORWARD.properties("Forward")["EventPattern"]
    assert pattern["source"] == [{"prefix": "aws."}] and set(pattern) == {"source", "detail-type"}
    stack = Stack()
    for child in ("Responders", "Alerts"):
        for logical, rule in stack.children[child].of_type("AWS::Events::Rule").items():
            kinds = rule["Properties"].get("EventPattern", {}).get("detail-type", [])
            # Of the services themselves: each tells of its own region, and Security Hub of all that it is told to gather.
            kinds = {kind for kind in kinds if "CloudTrail" in kind or kind == "GuardDuty Finding"}
            assert kinds <= set(pattern["detail-type"]), logical


def test_it_may_put_events_on_one_bus_and_nothing_else():
    (target,) = FORWARD.properties("Forward")["Targets"]
    assert (target["Arn"], target["RoleArn"]) == (BUS, "<Role.Arn>")
    ((_, _, statement),) = policies(FORWARD)
    assert (statement["Action"], statement["Resource"]) == (["events:PutEvents"], BUS)
    assert target["DeadLetterConfig"]["Arn"] == "<Undelivered.Arn>"


@pytest.mark.parametrize("value", ["true", "false"])
def test_calls_that_only_read_go_on_where_the_stack_judges_them(value):
    state = Template("infra/forward.yaml", TargetRegion="eu-west-1", ReadOnlyEvents=value).properties("Forward")["State"]
    assert state == Stack(ReadOnlyEvents=value).children["Responders"].properties("ApiCalls")["State"]


def test_a_region_does_not_send_to_itself():
    for target, refused in (("us-east-1", True), ("eu-west-1", False)):
        template = Template("infra/forward.yaml", TargetRegion=target)
        (assertion,) = template.source["Rules"]["ItGoesSomewhereElse"]["Assertions"]
        assert template._boolean(assertion["Assert"]) is not refused
