"""What a function fails on that nobody waits for is kept: Lambda drops it after its last try unless a queue is named.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import pytest

from stack import Stack, Template, listed, load, policies

# Who calls a function and does not wait for its answer.
ASYNCHRONOUS = {"events.amazonaws.com", "s3.amazonaws.com", "secretsmanager.amazonaws.com", "sns.amazonaws.com"}
EVENTS = {"Schedule", "ScheduleV2", "EventBridgeRule", "CloudWatchEvent", "S3", "SNS", "IoTRule", "CloudWatchLogs"}
QUEUE = "<Alerts.Outputs.UndeliveredQueueArn>"


def stack():
    return Stack(Response="true", RotateSecrets="true")


def functions():
    return stack().root.of_type("AWS::Serverless::Function")


def called_asynchronously():
    """Logical ids of functions by their own events, by permissions, and by the targets of rules."""
    everything = stack()
    found = {
        logical
        for logical, function in functions().items()
        if {event["Type"] for event in function["Properties"].get("Events", {}).values()} & EVENTS
    }
    for template in (everything.root, *everything.children.values()):
        for permission in template.of_type("AWS::Lambda::Permission").values():
            if permission["Properties"]["Principal"] in ASYNCHRONOUS:
                found.add(logical_id(permission["Properties"]["FunctionName"]))
        for rule in template.of_type("AWS::Events::Rule").values():
            arns = {target["Arn"] for target in rule["Properties"]["Targets"]}
            found |= {logical_id(arn) for arn in arns if logical_id(arn) in functions()}
    return found


def logical_id(reference):
    return reference.strip("<>").split(".")[0]


def test_these_are_the_functions_that_nobody_waits_for():
    assert called_asynchronously() == {"RotationFunction", "CloudtrailResponderFunction", "GuarddutyResponderFunction"}


@pytest.mark.parametrize("function", sorted(called_asynchronously()))
def test_what_such_a_function_fails_on_goes_to_a_queue_that_an_alarm_watches(function):
    config = functions()[function]["Properties"]["EventInvokeConfig"]
    assert config["DestinationConfig"]["OnFailure"] == {"Type": "SQS", "Destination": QUEUE}
    assert config["MaximumRetryAttempts"] == 2 and 60 <= config["MaximumEventAgeInSeconds"] <= 21600
    alarms = Stack(Alarms="true").children["Dashboard"].of_type("AWS::CloudWatch::Alarm")
    queue = Template("infra/alerts.yaml", Name="portcullis").properties("UndeliveredQueue")["QueueName"]
    watched = [d["Value"] for d in alarms["UndeliveredEvents"]["Properties"]["Dimensions"]]
    assert watched == [queue.replace("portcullis", Stack().root.parameters["Name"])]


@pytest.mark.parametrize("function", sorted(called_asynchronously()))
def test_its_role_may_put_it_there(function):
    """Lambda sends in the name of the function's role, and refuses a destination that it may not send to."""
    owner, output = logical_id(functions()[function]["Properties"]["Role"]), functions()[function]["Properties"]["Role"]
    role = output.strip("<>").split(".")[-1].removesuffix("Arn")
    sends = [
        (listed(statement["Action"]), statement["Resource"])
        for logical, _, statement in policies(stack().children[owner])
        if logical == role and statement["Sid"] == "Undelivered"
    ]
    assert sends == [(["sqs:SendMessage"], QUEUE)]


def test_the_queue_takes_what_lambda_sends_without_a_key_of_its_own():
    queue = load("infra/alerts.yaml")["Resources"]["UndeliveredQueue"]["Properties"]
    assert queue["SqsManagedSseEnabled"] is True and "KmsMasterKeyId" not in queue


def test_no_comment_says_that_eventbridge_would_call_again():
    for name in ("template.yaml", "infra/dashboard.yaml", "infra/response.yaml"):
        assert "EventBridge calls again" not in str(load(name)), name
