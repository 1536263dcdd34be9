"""Incidents on the deployed stack: events by EventBridge, containment in an account of emulators, approval and release by the API.

Playbooks are those of a test, in which every step runs by itself, so that each thing that a responder may do is done: held
and released, and the account looks as before. EC2 and Auto Scaling are moto's, GuardDuty's findings scripts/record-actions'.
"""

import io
import json
import os
import time
import zipfile

import boto3

from deployed import ACCOUNT, REGION, ROOT, aws, bearer, call, check, invoked, items, set_variables, update_parameters, wait_for

STEPS = (
    "notify", "comment_finding", "collect_evidence", "detach_from_autoscaling", "isolate_instance", "deactivate_access_keys",
    "revoke_role_sessions", "deny_user", "delete_login_profile", "quarantine_function", "block_public_access", "block_address",
    "archive_finding",
)  # fmt: skip
# Of the sample events: what each responder is sent.
AUTOMATIC = ("BACKDOOR", "UNAUTHORIZED_ACCESS", "COMPROMISED_CREDENTIALS")
DETECTOR = "d0000000000000000000000000000001"


def incidents(record):
    if not record:
        return print("check-stack: incidents need the recorder, which answers for what the emulator lacks", flush=True)
    account = Account()
    playbooks = "\n---\n".join(playbook(kind, "automatic") for kind in AUTOMATIC)
    playbooks += "\n---\n" + playbook("DATA_EXFILTRATION", "approval")
    lists = {f"BLOCK_LIST_{name}_ARN": arn for name, arn in account.lists.items()}
    for function in ("cloudtrail-responder", "guardduty-responder"):
        set_variables(function, lists | {"PLAYBOOKS": playbooks})
    update_parameters("BlockLists", {"BlockLists": "regional"})
    for rule, source in (("findings", "aws.guardduty"), ("api-calls", "aws.iam"), ("sign-ins", "aws.signin")):
        as_from(rule, source)
    auditor, admin = bearer("ops.auditor"), bearer("ops.security-admin")
    by_findings(account, auditor, admin)
    by_a_group_that_was_opened(account, auditor, admin)
    by_approval(account, auditor, admin)
    by_calls(account, auditor, admin)
    by_schedule()
    told = [item for item in items("audit") if "incident" in item["body"]["S"]]
    check("incidents are audited", True, len(told) > 10)


def by_findings(account, auditor, admin):
    """One finding about a user, an instance, a function, a bucket and two addresses, and one about a role."""
    before = account.state()
    send("GuardDuty Finding", finding("f1", "UnauthorizedAccess:IAMUser/TorIPCaller", {
        "accessKeyDetails": {"accessKeyId": account.key, "userType": "IAMUser", "userName": "eva"},
        "instanceDetails": {"instanceId": account.instance},
        "lambdaDetails": {"functionName": "resize"},
        "s3BucketDetails": [{"name": "reports", "arn": "arn:aws:s3:::reports"}],
    }, "198.51.100.7"))  # fmt: skip
    user = found(auditor, "CONTAINED", 1)[0]
    send("GuardDuty Finding", finding("f2", "UnauthorizedAccess:IAMUser/TorIPCaller", {
        "accessKeyDetails": {"accessKeyId": "ASIA0", "userType": "AssumedRole", "userName": "app"},
    }, "2001:db8::7"))  # fmt: skip
    role = next((i for i in found(auditor, "CONTAINED", 2) if i != user), "none")
    held = account.state()
    check("held", [], sorted(name for name in before if held[name] == before[name]))
    release(user, admin)
    release(role, admin)
    after = account.state()
    check("as before", {}, {name: (before[name], after[name]) for name in before if after[name] != before[name]})


def by_a_group_that_was_opened(account, auditor, admin):
    """The group of the isolated is there by now. Somebody let an address into it: an instance is isolated all the same."""
    [group] = account.isolating()
    opened = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.0/24"}]}]
    account.ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=opened)
    before = account.state()
    send("GuardDuty Finding", finding("f4", "UnauthorizedAccess:EC2/TorClient", {
        "instanceDetails": {"instanceId": account.instance},
    }, "198.51.100.7"))  # fmt: skip
    isolated = found(auditor, "CONTAINED", 1)[0]
    check("closed again", [[]], [g["IpPermissions"] for g in account.isolating()])
    release(isolated, admin)
    check("as before it", before, account.state())


def by_approval(account, auditor, admin):
    """A step that asks waits until somebody approves."""
    send("GuardDuty Finding", finding("f3", "Exfiltration:S3/MaliciousIPCaller", {
        "accessKeyDetails": {"accessKeyId": account.key, "userType": "IAMUser", "userName": "eva"},
    }, "198.51.100.7"))  # fmt: skip
    waiting = found(auditor, "AWAITING_APPROVAL", 1)[0]
    check("approved by an auditor", 403, call("POST", f"/incidents/{waiting}/approve", b"", auditor)[0])
    check("not held before", "Active", account.state()["keys"])
    check("approved by an admin", 200, call("POST", f"/incidents/{waiting}/approve", b"", admin)[0])
    check("held after it", "Inactive", account.state()["keys"])
    release(waiting, admin)


def by_calls(account, auditor, admin):
    """Calls that CloudTrail recorded: of a user, of a role, and sign-ins that fail until they are a burst."""
    event = json.loads((ROOT / "events/cloudtrail-responder/api-call-1-access-key-for-another.json").read_text())
    for number, (kind, name, address) in enumerate((("IAMUser", "eva", "198.51.100.9"), ("AssumedRole", "app", "2001:db8::9"))):
        detail = event["detail"] | {"eventID": f"e{number}", "sourceIPAddress": address, "userIdentity": identity(kind, name)}
        send(event["detail-type"], record_of(detail))
        release(found(auditor, "CONTAINED", 1)[0], admin)
    for name in ("signin-1-fails", "signin-2-fails-until-it-is-a-burst"):
        events = json.loads((ROOT / f"events/cloudtrail-responder/{name}.json").read_text())
        for record in events if isinstance(events, list) else [events["detail"]]:
            send("AWS Console Sign In via CloudTrail", record_of(record | {"userIdentity": identity("IAMUser", "eva")}))
    wait_for("correlation remembers", True, lambda: len(items("correlation")) > 0)


def by_schedule():
    """What is due by the clock."""
    for function in ("cloudtrail-responder", "guardduty-responder"):
        event = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
        check(f"the schedule of {function}", None, invoked(function, event))


def release(incident, admin):
    status, body = call("POST", f"/incidents/{incident}/release", b"", admin)
    check(f"released: {incident}", (200, []), (status, json.loads(body).get("not_released")))


def found(auditor, status, wanted):
    """Ids of incidents, as the API lists them, when so many are there."""
    for _ in range(60):
        answer = json.loads(call("GET", f"/incidents?status={status}", headers=auditor)[1]).get("incidents", [])
        if len(answer) >= wanted:
            break
        time.sleep(1)
    check(f"incidents that are {status}", wanted, len(answer))
    return [incident["id"] for incident in answer] or [status]


def playbook(kind, mode):
    steps = "".join(f"\n  - {{step: {step}, mode: {'automatic' if step == 'notify' else mode}}}" for step in STEPS)
    return f"incident: {kind}\ntitle: {kind}\ndry_run: false\nautomatic_from: low\nsteps:{steps}"


def send(kind, detail):
    """By the rule, whose source is ours: emulators refuse events of aws.*, as AWS does."""
    entry = {"Source": "portcullis.test", "DetailType": kind, "Detail": json.dumps(detail)}
    aws("events").put_events(Entries=[entry])


def as_from(rule, source):
    """The functions take AWS's sources alone, so that the rule's target is told one of them."""
    events, name = aws("events"), f"portcullis-{rule}"
    [target] = events.list_targets_by_rule(Rule=name)["Targets"]
    paths = {"kind": "$.detail-type", "detail": "$.detail", "time": "$.time", "id": "$.id"}
    template = (
        f'{{"version": "0", "source": "{source}", "account": "{ACCOUNT}", "region": "{REGION}", "resources": [], '
        '"id": "<id>", "time": "<time>", "detail-type": "<kind>", "detail": <detail>}'
    )
    target["InputTransformer"] = {"InputPathsMap": paths, "InputTemplate": template}
    events.put_targets(Rule=name, Targets=[target])


def finding(identifier, kind, resource, address):
    event = json.loads((ROOT / "events/guardduty-responder/finding-1-key-from-tor.json").read_text())["detail"]
    remote = {"ipAddressV6" if ":" in address else "ipAddressV4": address}
    event["service"]["action"]["awsApiCallAction"]["remoteIpDetails"] = remote
    arn = f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/{DETECTOR}/finding/{identifier}"
    return event | {"accountId": ACCOUNT, "region": REGION, "id": identifier, "arn": arn, "type": kind, "resource": resource}


def record_of(detail):
    return detail | {"awsRegion": REGION, "recipientAccountId": ACCOUNT}


def identity(kind, name):
    if kind == "IAMUser":
        return {"type": kind, "principalId": "AIDA0", "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "accountId": ACCOUNT, "userName": name}
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "accountId": ACCOUNT, "userName": name}
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/session"
    return {"type": kind, "principalId": "AROA0:session", "arn": arn, "accountId": ACCOUNT, "sessionContext": {"sessionIssuer": issuer}}


class Account:
    """What incidents are about: a user with a key and a password, a role, an instance in a group, a function, a bucket, lists."""

    def __init__(self):
        self.iam, self.ec2, self.scaling = aws("iam"), moto("ec2"), moto("autoscaling")
        self.iam.create_user(UserName="eva")
        self.key = self.iam.create_access_key(UserName="eva")["AccessKey"]["AccessKeyId"]
        self.iam.create_login_profile(UserName="eva", Password="a Password of 20 letters!", PasswordResetRequired=False)
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        self.iam.create_role(RoleName="app", AssumeRolePolicyDocument=json.dumps(trust))
        self.instance = self.launched()
        self.function()
        aws("s3").create_bucket(Bucket="reports")
        aws("s3").delete_public_access_block(Bucket="reports")
        self.lists = {f"IPV{v}": self.block_list(v) for v in (4, 6)}

    def launched(self):
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        zone = self.ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
        self.scaling.create_launch_configuration(LaunchConfigurationName="l", ImageId=image, InstanceType="t3.micro")
        self.scaling.create_auto_scaling_group(AutoScalingGroupName="g", LaunchConfigurationName="l", MinSize=1, MaxSize=5, AvailabilityZones=[zone])
        return self.scaling.describe_auto_scaling_instances()["AutoScalingInstances"][0]["InstanceId"]

    def function(self):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("bootstrap", "#!/bin/sh\n")
        role = f"arn:aws:iam::{ACCOUNT}:role/app"
        aws("lambda").create_function(FunctionName="resize", Runtime="provided.al2023", Role=role, Handler="b", Code={"ZipFile": packed.getvalue()})

    def block_list(self, version):
        name = f"portcullis-blocked-v{version}"
        made = aws("wafv2").create_ip_set(Name=name, Scope="REGIONAL", IPAddressVersion=f"IPV{version}", Addresses=[])
        return made["Summary"]["ARN"]

    def isolating(self):
        groups = self.ec2.describe_security_groups()["SecurityGroups"]
        return [group for group in groups if group["GroupName"] == "portcullis-isolated"]

    def state(self):
        """Name → how it is: each differs while it is held."""
        instance = self.ec2.describe_instances(InstanceIds=[self.instance])["Reservations"][0]["Instances"][0]
        protected = self.ec2.describe_instance_attribute(InstanceId=self.instance, Attribute="disableApiTermination")
        return {
            "keys": self.iam.list_access_keys(UserName="eva")["AccessKeyMetadata"][0]["Status"],
            "policies of the user": len(self.iam.list_user_policies(UserName="eva")["PolicyNames"]),
            "policies of the role": len(self.iam.list_role_policies(RoleName="app")["PolicyNames"]),
            "password": self.password(),
            "groups of the interface": sorted(g["GroupId"] for n in instance["NetworkInterfaces"] for g in n["Groups"]),
            "termination": protected["DisableApiTermination"]["Value"],
            "tags": sorted(t["Key"] for t in instance.get("Tags", []) if t["Key"].startswith("portcullis:")),
            "auto scaling": any(i["InstanceId"] == self.instance for i in self.scaling.describe_auto_scaling_instances()["AutoScalingInstances"]),
            "function": aws("lambda").get_function_concurrency(FunctionName="resize").get("ReservedConcurrentExecutions"),
            "bucket": self.closed(),
            **{name: self.addresses(arn) for name, arn in self.lists.items()},
        }

    def password(self):
        try:
            return bool(self.iam.get_login_profile(UserName="eva"))
        except self.iam.exceptions.NoSuchEntityException:
            return False

    def closed(self):
        try:
            return aws("s3").get_public_access_block(Bucket="reports")["PublicAccessBlockConfiguration"]
        except aws("s3").exceptions.ClientError:
            return None

    def addresses(self, arn):
        name, identifier = arn.split("/")[-2:]
        return aws("wafv2").get_ip_set(Name=name, Scope="REGIONAL", Id=identifier)["IPSet"]["Addresses"]


def moto(service):
    return boto3.client(service, endpoint_url=os.environ["PORTCULLIS_MOTO"])
