#!/usr/bin/env python3
"""Start of each Lambda binary: spawn to first `next`, and peak memory, median of many.

usage: cold_start.py PEERS BINARIES [RUNS]

PEERS is the folder of the peer benchmark: its stand-in for the Lambda Runtime API (lambda/rapi.py) does the timing.
BINARIES holds the built functions. The functions start as in Lambda, with their SDK clients built and policies loaded; the
event they then get is one that they answer without any service.
"""
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENV = {
    "TEXT_QUEUE_URL": "http://127.0.0.1:9/1/text.fifo", "MEDIA_QUEUE_URL": "http://127.0.0.1:9/1/media.fifo",
    "TEXT_DLQ_URL": "http://127.0.0.1:9/1/text-dlq.fifo", "MEDIA_DLQ_URL": "http://127.0.0.1:9/1/media-dlq.fifo",
    "CLAIM_CHECK_BUCKET": "claims", "CONVERSATIONS_TABLE": "conversations", "SUBJECT_KEYS_TABLE": "subject-keys",
    "CONVERSATION_KEY_ID": "alias/conversation", "MEDIA_KEY_ID": "alias/media",
    "SECRET_PROVIDER": "aws", "WEBHOOK_SECRET_ID": "portcullis/webhook", "LOG_LEVEL": "error",
    "ISSUER": "https://id.example", "AUDIENCE": "https://api.example", "TOKENS_TABLE": "tokens",
    "LIMITS_TABLE": "limits", "AUDIT_TABLE": "audit", "INCIDENTS_TABLE": "incidents", "CORRELATION_TABLE": "correlation",
    "OWN_ROLE_ARN": "arn:aws:iam::123456789012:role/bench",
    "NOTIFICATIONS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:incidents",
}
# What Lambda sets.
LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "bench", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true",
}
# The token service and rotation read their secrets before they begin: without Secrets Manager they do not start.
EVENTS = {
    "webhook": "webhook/wrong-method.json",
    "pii": "pii/unknown-path.json",
    "authorizer": "authorizer/unknown-event.json",
    "cloudtrail-responder": "cloudtrail-responder/api-call-3-harmless.json",
    "guardduty-responder": "guardduty-responder/unknown-event.json",
}


def main():
    peers, binaries = Path(sys.argv[1]), Path(sys.argv[2])
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 30
    sys.path.insert(0, str(peers / "lambda"))
    sys.dont_write_bytecode = True
    import rapi

    print("function\tto_next_ms\tmin_ms\tto_answer_ms\tpeak_mb\tsize_mb")
    for name, event in EVENTS.items():
        binary = next(p for p in (binaries / name / "bootstrap", binaries / name) if p.is_file())
        body = (ROOT / "events" / event).read_bytes()
        starts = [start(rapi, binary, body) for _ in range(runs)]
        expected = json.loads((ROOT / "events" / event.replace(".json", ".expected.json")).read_text())
        found = json.loads(starts[0]["answer"])
        if any(found.get(part) != expected.get(part) for part in ("statusCode", "errorType")):
            sys.exit(f"{name} answers {starts[0]['answer'][:200]}")
        median = lambda key: statistics.median(s[key] for s in starts)
        print(f"{name}\t{median('next'):.1f}\t{min(s['next'] for s in starts):.1f}\t{median('answered'):.1f}"
              f"\t{median('rss') / 1024:.1f}\t{binary.stat().st_size / 1e6:.1f}")


def start(rapi, binary, body):
    """One start. An error is an answer too: it is how an authorizer says 401."""
    api = rapi._Api(body, 0)
    env = {**os.environ, **LAMBDA, **ENV, "AWS_LAMBDA_RUNTIME_API": api.address}
    began = time.perf_counter()
    process = subprocess.Popen([str(binary)], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        if not api.first_done.wait(30):
            sys.exit(f"{binary} does not answer")
        answered = api.response_at or time.perf_counter()
        api.gate.set()
        answer = api.body if api.error is None else api.error[1]
        return {"next": (api.next_at - began) * 1000, "answered": (answered - began) * 1000,
                "rss": rapi._rss_kb(process.pid), "answer": answer}
    finally:
        process.kill()
        process.wait()
        api.sock.close()


main()
