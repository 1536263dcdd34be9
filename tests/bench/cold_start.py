#!/usr/bin/env python3
"""Start of each Lambda binary: spawn to first `next`, and peak memory, median of many.

usage: cold_start.py PEERS BINARIES [RUNS]

PEERS is the folder of the peer benchmark: its stand-in for the Lambda Runtime API (lambda/rapi.py) does the timing.
BINARIES holds the built functions. The functions start as in Lambda, with their SDK clients built; the event they then
get is one that they answer without any service.
"""
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENV = {
    "TEXT_QUEUE_URL": "http://127.0.0.1:9/1/text.fifo", "MEDIA_QUEUE_URL": "http://127.0.0.1:9/1/media.fifo",
    "TEXT_DLQ_URL": "http://127.0.0.1:9/1/text-dlq.fifo", "MEDIA_DLQ_URL": "http://127.0.0.1:9/1/media-dlq.fifo",
    "CLAIM_CHECK_BUCKET": "claims", "CONVERSATIONS_TABLE": "conversations", "SUBJECT_KEYS_TABLE": "subject-keys",
    "CONVERSATION_KEY_ID": "alias/conversation", "MEDIA_KEY_ID": "alias/media",
    "SECRET_PROVIDER": "aws", "WEBHOOK_SECRET_ID": "portcullis/webhook", "LOG_LEVEL": "error",
}
EVENTS = {"webhook": "webhook/wrong-method.json", "pii": "pii/unknown-path.json"}


def main():
    peers, binaries = Path(sys.argv[1]), Path(sys.argv[2])
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 30
    sys.path.insert(0, str(peers / "lambda"))
    sys.dont_write_bytecode = True
    import rapi

    print("function\tto_next_ms\tmin_ms\tto_response_ms\twarm_ms\tpeak_mb\tsize_mb")
    for name, event in EVENTS.items():
        binary = next(p for p in (binaries / name / "bootstrap", binaries / name) if p.is_file())
        body = (ROOT / "events" / event).read_bytes()
        starts = [rapi.start([str(binary)], ENV, body, warm=20) for _ in range(runs)]
        expected = json.loads((ROOT / "events" / event.replace(".json", ".expected.json")).read_text())
        if json.loads(starts[0]["body"])["statusCode"] != expected["statusCode"]:
            sys.exit(f"{name} answers {starts[0]['body'][:200]}")
        median = lambda key: statistics.median(s[key] for s in starts)
        print(f"{name}\t{median('next_ms'):.1f}\t{min(s['next_ms'] for s in starts):.1f}\t{median('response_ms'):.1f}"
              f"\t{median('warm_ms'):.2f}\t{median('rss_kb') / 1024:.1f}\t{binary.stat().st_size / 1e6:.1f}")


main()
