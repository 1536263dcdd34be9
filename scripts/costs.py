#!/usr/bin/env python3
"""What the stack costs a month at so many messages a minute: config/prices.yml times config/usage.yml.

    scripts/costs.py                        the table of docs/OPERATIONS.md
    scripts/costs.py --rate 50 --set waf=false --set vpc=true
    scripts/costs.py --check                whether docs/OPERATIONS.md shows what is computed

Needs PyYAML, which the tools `infra` and `ministack` bring.
"""

import argparse
import pathlib
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATES = (1, 100, 10_000)
MINUTES, HOURS, DAYS = 43_800, 730, 30.4
DEFAULTS = {"waf": True, "cloudfront": False, "shield": False, "vpc": False, "cache": False, "kms_signing": False,
            "response": True, "guardduty": False, "config": False, "alarms": True}  # fmt: skip
GB = 1_000_000_000


def main():
    options = arguments()
    prices, usage = (yaml.safe_load((ROOT / "config" / name).read_text()) for name in ("prices.yml", "usage.yml"))
    switches = DEFAULTS | {k: v == "true" for k, v in (s.split("=", 1) for s in options.set)}
    rates = [options.rate] if options.rate else RATES
    text = table(rates, [bill(prices, usage, rate, switches) for rate in rates])
    if not options.check:
        print(text)
    elif text not in (ROOT / "docs/OPERATIONS.md").read_text():
        sys.exit(f"docs/OPERATIONS.md does not show what scripts/costs.py computes:\n{text}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, help="messages a minute")
    parser.add_argument("--set", action="append", default=[], metavar="SWITCH=true|false", help=", ".join(DEFAULTS))
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


def bill(prices, usage, rate, on):
    """Part → USD a month."""
    each, monthly, gigabyte = prices["each"], prices["monthly"], prices["gigabyte"]
    message, calls = usage["message"], usage["calls_a_message"]
    messages = rate * MINUTES
    reads = messages * usage["reads_a_message"]
    read = reading(usage, rate / 60 * usage["reads_a_message"])
    requests = messages + reads
    containers = containers_of(usage, rate)
    kept_log = gigabyte["log_in"] + gigabyte["log_month"] * usage["log_months"]

    def lambdas():
        consumed = messages / message["batch"]
        seconds = {
            "webhook": messages * message["webhook_ms"] / 1000,
            "pii": consumed * message["pii_ms"] / 1000 + reads * read["api_ms"] / 1000,
            "authorizer": reads * read["authorizer_ms"] / 1000,
        }
        size = sum(s * usage["memory_mb"][f] / 1024 for f, s in seconds.items()) * each["lambda_gb_second"]
        return size + (messages + consumed + 2 * reads) * each["lambda_request"]

    def response():
        what, events = usage["response"], usage["trail_events_a_month"]
        judged = events * what["event_ms"] + what["audits_a_month"] * what["audit_ms"]
        kept = what["upkeeps_a_month"] * what["upkeep_ms"]
        milliseconds = {"cloudtrail-responder": judged, "guardduty-responder": kept}
        size = sum(ms / 1000 * usage["memory_mb"][f] / 1024 for f, ms in milliseconds.items()) * each["lambda_gb_second"]
        calls = events + what["audits_a_month"] + what["upkeeps_a_month"]
        progress = what["audit_calls"]
        units = what["audits_a_month"] * (
            progress["get"] * each["dynamodb_read_unit"] + progress["put"] * each["dynamodb_write_unit"]
        )
        # Indexes are read as they happen to be: half a unit.
        units += what["upkeeps_a_month"] * what["upkeep_calls"]["query"] * each["dynamodb_read_unit"] / 2
        lines = usage["log_bytes"]
        written = (events + what["audits_a_month"]) * lines["cloudtrail-responder"]
        written += what["upkeeps_a_month"] * lines["guardduty-responder"]
        return size + calls * each["lambda_request"] + units + written / GB * kept_log

    def queue():
        # Sent, received and deleted in batches; empty receives of an idle queue.
        moved = messages * (calls["sqs"] + 2 / message["batch"])
        polls = usage["idle"]["pollers"] * usage["idle"]["polls_an_hour"] * HOURS
        return (moved + polls) * each["sqs_fifo_request"]

    def tables():
        # A record is also in the local index (all of it) and in the global one (its keys); the units are whole.
        units = whole(message["record_bytes"], 1024) * 2 + 1
        writes = messages * (calls["records_put"] * units + calls["subject_keys_put"]) + reads * (
            (0 if on["cache"] else read["limits_update"]) + read["audit_put"] * whole(read["audit_bytes"], 1024)
        )
        page = whole(read["page_records"] * message["record_bytes"], 4096)
        units_read = messages * (calls["subject_keys_get"] + calls["subject_keys_query"]) + reads * (
            read["conversations_query"] * page + read["subject_keys_get"] + read["tokens_read"]
        )
        stored = messages * message["kept_days"] / DAYS * message["record_bytes"] * 2 / GB
        return (
            writes * each["dynamodb_write_unit"]
            + units_read * each["dynamodb_read_unit"]
            + stored * (gigabyte["dynamodb_month"] + gigabyte["dynamodb_backup_month"])
        )

    def keys():
        # Queues, tables and bucket keep their data keys for five minutes; branch keys live as long in each container.
        kms = containers * 12 * HOURS * usage["kms_calls_in_five_minutes"] * each["kms_request"]
        fixed = usage["keys"] * monthly["kms_key"] + usage["secrets"] * monthly["secret"]
        secrets = containers * 12 * HOURS * usage["secret_reads_in_five_minutes"] * each["secrets_request"]
        signing = 3 * monthly["kms_key"] + usage["tokens_a_month"] * each["kms_sign_curve"] if on["kms_signing"] else 0
        return kms + fixed + secrets + signing

    def logs():
        size = usage["log_bytes"]
        written = messages * (size["webhook"] + size["pii"] / message["batch"] + size["access"])
        written += reads * (size["access"] + size["authorizer"] + size["pii-read"])
        if on["waf"]:
            written += requests * size["waf"]
        return written / GB * kept_log

    def waf():
        one = monthly["waf_acl"] + requests * each["waf_request"]
        # With CloudFront the second, before the stage, judges every request again by one rule.
        gate = one + monthly["waf_rule"] if on["cloudfront"] else 0
        return one + 9 * monthly["waf_rule"] + usage["countries"] * monthly["metric"] + gate

    def network():
        return usage["endpoints"] * 2 * monthly["interface_endpoint_zone"] + messages * 10_000 / GB * gigabyte["endpoint"]

    parts = {
        "API Gateway": requests * each["api_request"],
        "Lambda": lambdas(),
        "SQS": queue(),
        "DynamoDB": tables(),
        "KMS and secrets": keys(),
        "Logs": logs(),
        "WAF": waf() if on["waf"] else 0,
        "Dashboard, alarms, metrics": (
            monthly["dashboard"] + usage["alarms"] * monthly["alarm"] if on["alarms"] else 0
        ) + usage["metrics"] * monthly["metric"],
        "CloudFront": requests * each["cloudfront_request"] if on["cloudfront"] else 0,
        "Shield Advanced": monthly["shield_advanced"] if on["shield"] else 0,
        "VPC endpoints": network() if on["vpc"] else 0,
        "Valkey": 2 * monthly["cache_node"] + monthly["secret"] if on["cache"] else 0,
        "Incident response": response() if on["response"] else 0,
        "GuardDuty": usage["trail_events_a_month"] * each["guardduty_event"] if on["guardduty"] else 0,
        "Config": usage["config_changes_a_month"] * each["config_item"]
        + usage["config_evaluations_a_month"] * each["config_evaluation"] if on["config"] else 0,
    }  # fmt: skip
    return {part: cost for part, cost in parts.items() if cost}


def reading(usage, reads_a_second):
    """What a read is, at that pace."""
    read = usage["read"]
    return read | read["often" if reads_a_second >= read["often_from"] else "rarely"]


def containers_of(usage, rate):
    """Containers that are warm on average: at least one of each while messages come at all."""
    message = usage["message"]
    busy = rate / 60 * (message["webhook_ms"] + message["pii_ms"] / message["batch"]) / 1000
    return max(2.0, 2 * busy)


def whole(size, unit):
    return -(-size // unit)


def table(rates, bills):
    head = "| USD a month | " + " | ".join(f"{rate:,.0f} a minute".replace(",", " ") for rate in rates) + " |"
    rows = [head, "|---|" + "---:|" * len(rates)]
    for part in dict.fromkeys(part for b in bills for part in b):
        rows.append(f"| {part} | " + " | ".join(money(b.get(part, 0)) for b in bills) + " |")
    rows.append("| **all** | " + " | ".join(f"**{money(sum(b.values()))}**" for b in bills) + " |")
    per = [sum(b.values()) / (rate * MINUTES) * 1e6 for rate, b in zip(rates, bills)]
    rows.append("| for a million messages | " + " | ".join(map(money, per)) + " |")
    return "\n".join(rows)


def money(value):
    text = f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
    return text.replace(",", " ")


if __name__ == "__main__":
    main()
