"""What the checks of the deployed stack share: calls of the API, of AWS, and what is right. Run under the tools' Python."""

import base64
import functools
import hashlib
import hmac
import json
import os
import pathlib
import time
import urllib.error
import urllib.request
import uuid

import boto3
from cryptography.hazmat.primitives.asymmetric import ed25519

ROOT = pathlib.Path(__file__).resolve().parent.parent
URL = os.environ["PORTCULLIS_URL"]
ACCOUNT, REGION = "000000000000", "us-east-1"
JSON = {"Content-Type": "application/json"}
STACK = "portcullis"
RECORD = os.environ.get("PORTCULLIS_RECORD")
KEY = ed25519.Ed25519PrivateKey.generate()
failures = []


def bearer(client):
    """The header with a token, by a secret that the rotation function has just made valid."""
    status, body = token(client, rotated(client))
    check(f"a token for {client}", 200, status)
    return {"Authorization": "Bearer " + json.loads(body).get("access_token", "none")}


def rotated(client):
    """The emulator moves stages by itself and calls no function: so the steps are called here, on a version of ours."""
    secrets, name, version = aws("secretsmanager"), f"{STACK}/clients/{client}", str(uuid.uuid4())
    try:
        arn = secrets.create_secret(Name=name, SecretString=client_secret(client))["ARN"]
    except secrets.exceptions.ResourceExistsException:
        arn = secrets.describe_secret(SecretId=name)["ARN"]
    function = f"arn:aws:lambda:us-east-1:000000000000:function:{STACK}-rotation"
    secrets.rotate_secret(SecretId=name, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 30})
    # A version without a value, as AWS begins; where no recorder says so of it, the emulator would call it an empty value.
    value = {} if RECORD else {"SecretString": client_secret(client)}
    secrets.put_secret_value(SecretId=name, ClientRequestToken=version, VersionStages=["AWSPENDING"], **value)
    for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        check(f"{step} of {client}", None, invoked("rotation", {"Step": step, "SecretId": arn, "ClientRequestToken": version}))
    return json.loads(secrets.get_secret_value(SecretId=name, VersionId=version)["SecretString"])["client_secret"]


def client_secret(client):
    return json.dumps({"client_id": client, "client_secret": uuid.uuid4().hex * 2})


def key_schedule(what):
    event = json.loads((ROOT / "events/rotation/schedule-1-first-keys.json").read_text())
    check(f"the schedule of the keys: {what}", None, invoked("rotation", event))


def invoked(function, event):
    """The error that the function ended with."""
    answer = aws("lambda").invoke(FunctionName=f"{STACK}-{function}", Payload=json.dumps(event))
    return answer["Payload"].read() if answer.get("FunctionError") else None


def variables(function):
    return aws("lambda").get_function_configuration(FunctionName=f"{STACK}-{function}")["Environment"]["Variables"]


def set_variables(function, changes):
    """New containers with other variables."""
    changed = {name: value for name, value in (variables(function) | changes).items() if value is not None}
    aws("lambda").update_function_configuration(FunctionName=f"{STACK}-{function}", Environment={"Variables": changed})


def token(client, secret, headers=None):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return call("POST", "/sts/token", b"grant_type=client_credentials", basic(client, secret) | form | (headers or {}))


def basic(client, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()}


def proof(method, uri, access_token=None):
    """A DPoP proof by the one key of this run."""
    header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": base64url(KEY.public_key().public_bytes_raw())}}
    claims = {"jti": str(uuid.uuid4()), "htm": method, "htu": uri, "iat": int(time.time())}
    if access_token:
        claims["ath"] = base64url(hashlib.sha256(access_token.encode()).digest())
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{base64url(KEY.sign(signed.encode()))}"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(body, secret):
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return post("/webhook", body, {"X-Hub-Signature-256": signature})[0]


def post(path, body, headers=None):
    return call("POST", path, body, JSON | (headers or {}))


def call(method, path, body=None, headers=None):
    """Status and body. What a busy machine fails is tried again, as clients do."""
    for attempt in range(10):
        request = urllib.request.Request(URL + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            answer = error.code, error.read().decode()
            if error.code < 500 or attempt == 9:
                return answer
            time.sleep(1)


def logged():
    logs = aws("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
            for event in logs.get_log_events(logGroupName=name, logStreamName=stream["logStreamName"])["events"]:
                yield event["message"].strip()


def items(table):
    return aws("dynamodb").scan(TableName=f"{STACK}-{table}")["Items"]


def queue(name):
    return aws("sqs").get_queue_url(QueueName=f"{STACK}-{name}.fifo")["QueueUrl"]


def attributes(name):
    return aws("sqs").get_queue_attributes(QueueUrl=queue(name), AttributeNames=["All"])["Attributes"]


def update_parameters(known_by, changes):
    """Other parameters for the nested stack that has a parameter of that name."""
    stack = next(s for s in aws("cloudformation").describe_stacks()["Stacks"] if known_by in parameters(s))
    changed = [{"ParameterKey": k, "ParameterValue": v} for k, v in (parameters(stack) | changes).items()]
    name, capabilities = stack["StackName"], ["CAPABILITY_NAMED_IAM"]
    aws("cloudformation").update_stack(StackName=name, UsePreviousTemplate=True, Parameters=changed, Capabilities=capabilities)
    aws("cloudformation").get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def parameters(stack):
    return {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])}


@functools.cache
def aws(service):
    """A client of the service."""
    return boto3.client(service)


def wait_for(what, wanted, look):
    """Looks for a minute."""
    for _ in range(120):
        if (found := look()) == wanted:
            break
        time.sleep(0.5)
    check(what, wanted, found)


def check(what, expected, found):
    right = expected == found
    print(f"check-stack: {'ok  ' if right else 'FAIL'} {what}: {found}", flush=True)
    if not right:
        failures.append(what)
