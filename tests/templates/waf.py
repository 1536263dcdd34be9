"""A small evaluator of web ACLs: the statements that our rules use, on requests written down by hand.

Semantics: https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statements.html. Rules run by priority; Block and
Allow end the evaluation, Count goes on. A managed rule group is what AWS says of it: here, the labelled answer of the request
(`managed`), unless its scope-down statement leaves the request out. Anything else is an error.
"""

import ipaddress
import posixpath
import urllib.parse
from collections import Counter


class Request:
    def __init__(self, method="GET", path="/", address="192.0.2.1", country="ES", headers=None, query="", managed=()):
        self.method, self.path, self.address, self.country = method, path, address, country
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        # Names of the managed rule groups, or (group, rule), that would block it.
        self.managed = set(managed)


class WebAcl:
    def __init__(self, properties, ip_sets=None):
        self.default = next(iter(properties["DefaultAction"]))
        self.rules = sorted(properties["Rules"], key=lambda rule: rule["Priority"])
        if len({rule["Priority"] for rule in self.rules}) != len(self.rules):
            raise ValueError("two rules of one priority")
        self.ip_sets = ip_sets or {}
        self.seen = Counter()

    def judge(self, request):
        """(`Allow` or `Block`, the rule that ended it or None)."""
        for rule in self.rules:
            statement = rule["Statement"]
            if "ManagedRuleGroupStatement" in statement:
                action = self._managed(rule, statement["ManagedRuleGroupStatement"], request)
            else:
                action = next(iter(rule["Action"])) if self._matches(statement, request, rule["Name"]) else None
            if action in ("Block", "Allow"):
                return action, rule["Name"]
        return self.default, None

    def _managed(self, rule, group, request):
        if rule["OverrideAction"] not in ({"None": {}}, {"Count": {}}):
            raise ValueError("an override is None or Count")
        if "ScopeDownStatement" in group and not self._matches(group["ScopeDownStatement"], request, rule["Name"]):
            return None
        counted = {o["Name"] for o in group.get("RuleActionOverrides", []) if "Count" in o["ActionToUse"]}
        hits = {hit for hit in request.managed if (hit if isinstance(hit, str) else hit[0]) == group["Name"]}
        hits = {hit for hit in hits if isinstance(hit, str) or hit[1] not in counted}
        return "Block" if hits and "None" in rule["OverrideAction"] else None

    def _matches(self, statement, request, rule):
        ((kind, argument),) = statement.items()
        if kind == "AndStatement":
            return all(self._matches(s, request, rule) for s in argument["Statements"])
        if kind == "OrStatement":
            return any(self._matches(s, request, rule) for s in argument["Statements"])
        if kind == "NotStatement":
            return not self._matches(argument["Statement"], request, rule)
        if kind == "GeoMatchStatement":
            return request.country in argument["CountryCodes"]
        if kind == "IPSetReferenceStatement":
            address = ipaddress.ip_address(request.address)
            return any(address in ipaddress.ip_network(net) for net in self.ip_sets.get(argument["Arn"], []))
        if kind == "RateBasedStatement":
            if argument["AggregateKeyType"] != "IP" or argument["EvaluationWindowSec"] != 300:
                raise ValueError("a rate by address in five minutes")
            self.seen[rule, request.address] += 1
            return self.seen[rule, request.address] > argument["Limit"]
        if kind == "ByteMatchStatement":
            value = self._transformed(argument, request)
            return value is not None and COMPARE[argument["PositionalConstraint"]](value, argument["SearchString"])
        if kind == "SizeConstraintStatement":
            value = self._transformed(argument, request)
            return value is not None and argument["ComparisonOperator"] == "GT" and len(value) > argument["Size"]
        raise ValueError(kind)

    def _transformed(self, argument, request):
        ((field, detail),) = argument["FieldToMatch"].items()
        value = {
            "UriPath": lambda: request.path,
            "Method": lambda: request.method,
            "SingleHeader": lambda: request.headers.get(detail["Name"].lower()),
            "SingleQueryArgument": lambda: request.query.get(detail["Name"]),
        }[field]()
        if value is None:
            return None
        for step in sorted(argument["TextTransformations"], key=lambda s: s["Priority"]):
            value = TRANSFORM[step["Type"]](value)
        return value


COMPARE = {
    "EXACTLY": lambda value, wanted: value == wanted,
    "STARTS_WITH": lambda value, wanted: value.startswith(wanted),
    "CONTAINS": lambda value, wanted: wanted in value,
}
TRANSFORM = {
    "NONE": lambda value: value,
    "LOWERCASE": str.lower,
    "URL_DECODE": urllib.parse.unquote,
    "NORMALIZE_PATH": lambda value: posixpath.normpath(value.replace("//", "/")),
}
