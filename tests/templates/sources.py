"""What the functions' sources say that they read, call and emit."""

import re

from stack import ROOT


def functions():
    """Every function that has a program: those that the template declares."""
    return sorted(path.parent.parent.name for path in (ROOT / "functions").glob("*/src/main.rs"))


def logical(function):
    """The first part of the function's names in the templates."""
    return "".join(word.capitalize() for word in function.split("-"))


def rust(folder):
    """The text of the sources under `folder`, without comments and without their unit tests."""
    texts = []
    for path in sorted((ROOT / folder).rglob("*.rs")) if (ROOT / folder).is_dir() else [ROOT / folder]:
        if path.stem != "tests" and "tests" not in path.relative_to(ROOT).parts[2:-1]:
            texts.append(strip(path.read_text()))
    return "\n".join(texts)


def strip(text):
    text = re.split(r"^#\[cfg\(test\)\]\nmod ", text, maxsplit=1, flags=re.MULTILINE)[0]
    return re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)


# `required("X")`, `optional("X")`, `parsed("X", …)` of portcullis_lambda::Settings, and `self.x(…, "X")` of a helper.
READ = re.compile(r"\.(required|optional|parsed)\(\s*\"([A-Z][A-Z0-9_]*)\"")
NAMED = re.compile(r"\"([A-Z][A-Z0-9_]{3,})\"")


def settings(function):
    """(all names that config.rs reads, those that it cannot do without whatever the others are).

    Those of the audit trail, of rate limits and of the signing keys are read by parts that the functions share.
    """
    text = rust(f"functions/{function}/src/config.rs")
    if "AuditConfig::read" in text:
        text += rust("shared/lambda/src/audit.rs")
    if "LimitsConfig::read" in text:
        text += rust("shared/lambda/src/limits.rs")
    if "ResponseConfig::read" in text:
        text += rust("shared/lambda/src/response_settings.rs") + rust("shared/lambda/src/audit.rs")
    if "SigningConfig::read" in text:
        text += rust("shared/lambda/src/signing.rs")
    read = {name for _, name in READ.findall(text)}
    # Names that reach `Settings` through a helper of the file; anything in capitals and quotes counts as one.
    read |= set(NAMED.findall(text))
    return read, {name for how, name in READ.findall(text) if how == "required"}


def metrics(function):
    """(metric name, dimensions beside Function) that the function's sources emit: name → set of dimension tuples.

    Read off `emit(now, &[("Dimension", …)], &[Reading::count("Name", …)])`; a helper that makes one reading is followed
    by its name.
    """
    text = rust(f"functions/{function}/src")
    # What both responders emit of incidents.
    if "IncidentDesk" in text:
        text += rust("shared/lambda/src/desk.rs")
    helpers = dict(re.findall(r"fn (\w+)\([^)]*\) -> Reading \{\s*Reading::\w+\(\s*\"(\w+)\"", text))
    found = {}
    for call in calls(text, ".emit("):
        dimensions = dimension_names(call, text)
        for name in re.findall(r"Reading::\w+\(\s*\"(\w+)\"", call):
            found.setdefault(name, set()).add(dimensions)
        # Counted by a helper that emits at once, or while a request is served and emitted at its end.
        around = enclosing(text, call)
        if "Reading::count(name" in call or "readings()" in call:
            for name in counted(text):
                found.setdefault(name, set()).add(dimensions)
        elif "eadings" in call:
            for name in re.findall(r"Reading::\w+\(\s*\"(\w+)\"", around):
                found.setdefault(name, set()).add(dimensions)
        # Of incidents, the desk emits what its readings are, without further dimensions.
        if "work.readings()" in call:
            for name in re.findall(r'"((?:Incidents|Approvals|TimeTo|DataBreach)[A-Z]\w+)"', rust("shared/lambda/src/incidents.rs")):
                found.setdefault(name, set()).add(())
        if call in ("&readings(&received)", "&all"):
            for name in re.findall(r"Reading::\w+\(\s*\"(\w+)\"", text[: text.index(call)] + text[text.rindex("fn readings(") :]):
                found.setdefault(name, set()).add(())
        for helper, name in helpers.items():
            if re.search(rf"\b{helper}\(", call):
                found.setdefault(name, set()).add(dimensions)
    return found


def calls(text, start):
    """The argument lists of every call that begins with `start`."""
    for match in re.finditer(re.escape(start), text):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield text[match.end() : end - 1]


def counted(text):
    """Names in `x.count("Name", …)` and `x.count(if … { "Name" } else { "Other" }, …)`."""
    for call in calls(text, ".count("):
        yield from re.findall(r"\"([A-Z]\w+)\"", call)


def enclosing(text, part):
    """The text of the function that `part` stands in."""
    start = text.rfind("fn ", 0, text.index(part))
    return text[start : text.index(part)]


def dimension_names(call, text):
    named = re.findall(r"\(\s*\"([A-Z]\w+)\"\s*,", call.split("&[Reading", 1)[0].split("Reading::", 1)[0])
    variable = re.search(r"&dimensions\b", call)
    if variable and not named:
        before = text[: text.index(call)]
        named = re.findall(r"\(\s*\"([A-Z]\w+)\"\s*,", before[before.rindex("let dimensions = ") :])
    return tuple(named)
