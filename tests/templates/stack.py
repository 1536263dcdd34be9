"""The templates as CloudFormation would see them: intrinsics kept while loading, conditions resolved for given switches.

Only what our templates use is understood; anything else is an error, so that a test never passes over it.
"""

import functools
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
NO_VALUE = object()
PSEUDO = {
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "portcullis",
    "AWS::NoValue": NO_VALUE,
}


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags, and without the readings of `yes`, `on` and dates that it does not share."""


def _tagged(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name == "Fn::GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


def _mapping(loader, node):
    """A mapping whose keys are there once: YAML would keep the last and say nothing."""
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"twice: {sorted(twice)}", node.start_mark)
    return loader.construct_mapping(node, deep=True)


Loader.add_multi_constructor("!", _tagged)
Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@functools.cache
def load(name):
    """A template as it is written; `name` is relative to the repository."""
    return yaml.load((ROOT / name).read_text(), Loader)


def files():
    """Every template: the root and its children."""
    return ["template.yaml", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "infra").glob("*.yaml"))]


class Template:
    """A template under given parameters."""

    def __init__(self, name, **parameters):
        self.name = name
        self.source = load(name)
        declared = self.source.get("Parameters", {})
        unknown = set(parameters) - set(declared)
        if unknown:
            raise KeyError(f"{name} has no parameters {sorted(unknown)}")
        self.parameters = {key: parameters.get(key, spec.get("Default")) for key, spec in declared.items()}
        # What stands in for a parameter that the parent fills: recognisable where it turns up.
        for key, spec in declared.items():
            if self.parameters[key] is None:
                self.parameters[key] = {"false": "false"}.get((spec.get("AllowedValues") or [None])[-1], f"<{key}>")
            if spec["Type"] == "CommaDelimitedList" and isinstance(self.parameters[key], str):
                self.parameters[key] = self.parameters[key].split(",") if self.parameters[key] else [""]

    def condition(self, name):
        return self._boolean(self.source["Conditions"][name])

    def _boolean(self, value):
        ((kind, argument),) = value.items()
        if kind == "Condition":
            return self.condition(argument)
        if kind == "Fn::Equals":
            left, right = (self.resolve(side) for side in argument)
            return str(left) == str(right)
        if kind == "Fn::Not":
            return not self._boolean(argument[0])
        if kind == "Fn::And":
            return all(self._boolean(part) for part in argument)
        if kind == "Fn::Or":
            return any(self._boolean(part) for part in argument)
        raise ValueError(f"{self.name}: a condition of {kind}")

    @functools.cached_property
    def resources(self):
        """Logical id → resource with its intrinsics resolved, of what the conditions leave."""
        return {
            logical: self.resolve(resource)
            for logical, resource in self.source["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def of_type(self, kind):
        return {logical: r for logical, r in self.resources.items() if r["Type"] == kind}

    def properties(self, logical):
        return self.resources[logical]["Properties"]

    def resolve(self, value):
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((kind, argument),) = value.items()
            if kind == "Ref" or kind.startswith("Fn::"):
                return self._intrinsic(kind, argument)
        resolved = ((key, self.resolve(item)) for key, item in value.items())
        return {key: item for key, item in resolved if item is not NO_VALUE}

    def _intrinsic(self, kind, argument):
        if kind == "Ref":
            return self._ref(argument)
        if kind == "Fn::If":
            name, yes, no = argument
            return self.resolve(yes if self.condition(name) else no)
        if kind == "Fn::GetAtt":
            return f"<{'.'.join(argument)}>"
        if kind == "Fn::Sub":
            return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", lambda found: str(self._ref(found[1])), argument)
        if kind == "Fn::Join":
            separator, parts = argument
            return separator.join(map(str, self.resolve(parts)))
        if kind == "Fn::Split":
            separator, text = argument
            return self.resolve(text).split(separator)
        if kind == "Fn::Select":
            index, parts = argument
            parts = self.resolve(parts)
            return parts[index] if isinstance(parts, list) else f"{parts}[{index}]"
        if kind in ("Fn::Cidr", "Fn::GetAZs"):
            return f"<{kind}>"
        raise ValueError(f"{self.name}: {kind}")

    def _ref(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        if name.split(".")[0] in self.source["Resources"]:
            return f"<{name}>"
        raise KeyError(f"{self.name}: {name} is neither parameter nor resource")


class Stack:
    """The root and the children that its switches leave, each with the parameters that the root passes."""

    def __init__(self, **parameters):
        self.root = Template("template.yaml", **parameters)
        self.children = {
            logical: Template(resource["Properties"]["TemplateURL"], **resource["Properties"].get("Parameters", {}))
            for logical, resource in self.root.of_type("AWS::CloudFormation::Stack").items()
        }

    @property
    def types(self):
        """How often each type of resource is there, children included."""
        counts = {}
        for template in (self.root, *self.children.values()):
            for resource in template.resources.values():
                counts[resource["Type"]] = counts.get(resource["Type"], 0) + 1
        return counts


def policies(template):
    """(logical id, policy name, statement) of every statement of roles and managed policies."""
    for logical, role in template.of_type("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield logical, policy["PolicyName"], statement
    for logical, policy in template.of_type("AWS::IAM::ManagedPolicy").items():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield logical, logical, statement


def listed(value):
    return value if isinstance(value, list) else [value]
