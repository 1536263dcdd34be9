"""Each rule of infra/guard refuses what it is for: a rule that passes everything would pass our templates too.

    guard_cases.py CFN_GUARD
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLE = {
    "AssumeRolePolicyDocument": {"Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]},
}
OPEN_BLOCK = {"BlockPublicAcls": True, "BlockPublicPolicy": False, "IgnorePublicAcls": True, "RestrictPublicBuckets": True}


def resource(kind, **properties):
    return {"Resources": {"R": {"Type": kind, "Properties": properties}}}


def role(**statement):
    return resource("AWS::IAM::Role", **ROLE, Policies=[{"PolicyDocument": {"Statement": [{"Effect": "Allow", "Resource": "*", **statement}]}}])


# Rule → templates that it must refuse.
CASES = {
    "kms_keys_rotate": [resource("AWS::KMS::Key", EnableKeyRotation=False)],
    "tables_are_encrypted_and_kept": [resource("AWS::DynamoDB::Table", SSESpecification={"SSEEnabled": False})],
    "what_is_kept_is_not_kept_of_a_failed_creation": [
        {"Resources": {"R": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "Retain", "Properties": {"KmsKeyId": "k", "RetentionInDays": 7}}}}
    ],
    "queues_are_encrypted": [resource("AWS::SQS::Queue", QueueName="q")],
    "buckets_are_closed_and_encrypted": [resource("AWS::S3::Bucket", PublicAccessBlockConfiguration=OPEN_BLOCK)],
    "logs_are_encrypted_and_end": [resource("AWS::Logs::LogGroup", KmsKeyId="k"), resource("AWS::Logs::LogGroup", RetentionInDays=7)],
    "secrets_are_made_and_never_written_down": [resource("AWS::SecretsManager::Secret", KmsKeyId="k", SecretString="s", GenerateSecretString={})],
    "topics_are_encrypted": [resource("AWS::SNS::Topic", TopicName="t")],
    "roles_name_their_actions": [role(Action=["s3:*"]), role(Action=["s3:GetObject", "s3:Put*"]), role(Action="s3:*"), role(NotAction=["s3:GetObject"])],
    "roles_are_taken_by_services_only": [
        resource("AWS::IAM::Role", AssumeRolePolicyDocument={"Statement": [{"Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
    ],
    "no_users_and_no_access_keys": [resource("AWS::IAM::User", UserName="u"), resource("AWS::IAM::AccessKey", UserName="u")],
    "functions_have_a_role_of_their_own": [
        resource("AWS::Serverless::Function", Policies=["AdministratorAccess"]),
        resource("AWS::Serverless::Function", Role="r", FunctionUrlConfig={"AuthType": "NONE"}),
    ],
    "invocations_name_their_source": [resource("AWS::Lambda::Permission", Principal="apigateway.amazonaws.com")],
    "key_policies_separate_administration_from_use": [
        resource("AWS::KMS::Key", KeyPolicy={"Statement": [{"Sid": "Administer", "Action": ["kms:PutKeyPolicy", "kms:Decrypt"]}]}),
        resource("AWS::KMS::Key", KeyPolicy={"Statement": [{"Sid": "Administer", "Action": ["kms:*"]}]}),
        resource("AWS::KMS::Key", KeyPolicy={"Statement": [{"Sid": "Use", "Action": ["kms:Decrypt"]}]}),
    ],
    "nothing_is_allowed_early": [resource("AWS::WAFv2::WebACL", Rules=[{"Name": "a", "Action": {"Allow": {}}}])],
    "stages_log_and_throttle": [
        resource("AWS::ApiGateway::Stage", AccessLogSetting={"DestinationArn": "a"}, MethodSettings=[{"DataTraceEnabled": True, "ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}]),
        resource("AWS::ApiGateway::Stage", MethodSettings=[{"DataTraceEnabled": False, "ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}]),
    ],
    "distributions_speak_tls_1_3": [
        resource("AWS::CloudFront::Distribution", DistributionConfig={"ViewerCertificate": {"MinimumProtocolVersion": "TLSv1.2_2021"}})
    ],
    "nothing_comes_in_from_everywhere": [
        resource("AWS::EC2::SecurityGroup", SecurityGroupEgress=[{"IpProtocol": "-1"}], SecurityGroupIngress=[{"CidrIp": "0.0.0.0/0"}]),
        resource("AWS::EC2::SecurityGroup", GroupDescription="g"),
    ],
}  # fmt: skip


def main():
    program = sys.argv[1]
    rules = {r for p in (ROOT / "infra/guard").glob("*.guard") for r in re.findall(r"^rule (\w+)", p.read_text(), re.MULTILINE)}
    wrong = [f"{rule} has no case" for rule in sorted(rules ^ set(CASES))]
    for rule, templates in CASES.items():
        for number, template in enumerate(templates):
            if rule not in failed(program, template):
                wrong.append(f"{rule} lets case {number} pass")
    for line in wrong:
        print("guard:", line)
    if wrong:
        sys.exit(1)
    print(f"guard: {len(rules)} rules refuse {sum(map(len, CASES.values()))} templates")


def failed(program, template):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(template, file)
        file.flush()
        words = [program, "validate", "--rules", ROOT / "infra/guard", "--data", file.name, "--show-summary", "fail"]
        done = subprocess.run(words, capture_output=True, text=True)
        return set(re.findall(r"/(\w+)\s+FAIL", done.stdout)) | set(re.findall(r"Rule = (\w+)", done.stdout))


if __name__ == "__main__":
    main()
