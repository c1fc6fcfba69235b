"""The report as SARIF 2.1.0, for code scanning and everything else that collects results of analyses.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.plan import HeldBack, Treatment
from gpu_doctor.model.remedy import command
from gpu_doctor.model.requirement import Ignored, Judged
from gpu_doctor.report.as_json import shape_finding
from gpu_doctor.report.bench.figures import REGRESSION, Regression, regressions
from gpu_doctor.report.ci import sarif_bench
from gpu_doctor.report.ci.places import Place, artifact, main_place, place, seen_at
from gpu_doctor.report.foreign import clean, clean_block, clean_command
from gpu_doctor.report.plans import Part, deeds, planned
from gpu_doctor.report.words import verdict_word

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {"unmet": "error", "undetermined": "warning"}
# What an analysis has to say that is no result; SARIF calls it a notification.
_NOTICES = {
    "rule-crashed": "A rule broke, so the verdict lacks it",
    "not-asked": "The live interpreter could not be asked",
    "not-judged": "A rule could not judge",
    "not-read": "Something could not be read",
    "not-measured": "A workload could not be measured",
}
_RELATED = 8
# Code scanning cuts what is longer.
_LONGEST = 1000
_BASES = {
    "%SRCROOT%": {"description": {"text": "The folder that gpu-doctor was started in."}},
    "HOME": {"description": {"text": "The home folder of the user, whose path was taken out."}},
}


def render(report: Report, docs: Mapping[str, str] | None = None, base: str = "") -> str:
    """Return the report as one SARIF document, ASCII only.

    `docs` are the rules' own words by id. Files below the folder `base` are named relative to it.
    """
    return json.dumps(shape(report, docs or {}, base), indent=2) + "\n"


def shape(report: Report, docs: Mapping[str, str], base: str) -> dict[str, Any]:
    """Return the SARIF document as JSON-compatible values: one run, one invocation for each environment."""
    wanted = [one for one in report.requirements if one.standing in _LEVELS]
    rules = {rule.id: _rule(rule, docs.get(rule.id, "")) for case in report.cases for rule in case.rules}
    for finding in _every_finding(report):
        rules.setdefault(finding.rule, _rule(Rule(finding.rule, finding.rule, finding.severity, "running"), ""))
    rules |= {_name(one): _requirement_rule(one) for one in report.requirements}
    rules |= {REGRESSION: dict(sarif_bench.RULE)} if any(case.bench for case in report.cases) else {}
    places = {name: index for index, name in enumerate(rules)}
    results = [*(_requirement(one, report, base) for one in wanted), *_results(report, base)]
    driver = {
        "name": "gpu-doctor",
        "version": report.doctor,
        "rules": list(rules.values()),
        "notifications": [{"id": kind, "shortDescription": {"text": words}} for kind, words in _NOTICES.items()],
        "properties": {"facts": report.facts},
    }
    measured = [one for one in map(sarif_bench.measured, report.cases) if one is not None]
    run = {
        "tool": {"driver": driver},
        "invocations": [_invocation(case, base, places) for case in report.cases] or [{"executionSuccessful": True}],
        "originalUriBaseIds": _BASES,
        "columnKind": "unicodeCodePoints",
        "results": [{**result, "ruleIndex": places[result["ruleId"]]} for result in results],
        **({"properties": _clean({"measured": measured})} if measured else {}),
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _every_finding(report: Report) -> Iterator[Finding]:
    for case in report.cases:
        yield from case.findings
    yield from (one.finding for one in report.ignored)


def _rule(rule: Rule, doc: str) -> dict[str, Any]:
    title, _, rest = clean_block(doc).partition("\n")
    said = rest.strip() or f"{clean(rule.title)}."
    finds = re.sub(r"\AWhat it finds\.\s*", "", said.partition("\n\n")[0])
    return {
        "id": rule.id,
        "name": "".join(part.capitalize() for part in re.split(r"\W+", rule.id)),
        "shortDescription": {"text": clean(rule.title)},
        "fullDescription": {"text": clean(finds, _LONGEST)},
        "help": {"text": f"{title or clean(rule.title)}\n\n{said}", "markdown": _markdown(title or rule.title, said)},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": ["gpu", rule.stage]},
    }


def _markdown(title: str, said: str) -> str:
    """Return a rule's words with `What it finds.` and its like as headings."""
    parts = re.sub(r"^((?:What|Why|How)\b[^.\n]{0,40})\.\s+", r"**\1.** ", said, flags=re.MULTILINE)
    return f"**{clean(title)}**\n\n{parts}"


def _name(one: Judged) -> str:
    return f"requirement/{clean(one.requirement.text)}"


def _requirement_rule(one: Judged) -> dict[str, Any]:
    text = clean(one.requirement.text)
    words = f"The environment must meet {text}, says {clean(one.requirement.where)}."
    return {
        "id": _name(one),
        "name": "Requirement",
        "shortDescription": {"text": f"Required: {text}"},
        "fullDescription": {"text": words},
        "help": {"text": words, "markdown": words},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["gpu", "requirement"]},
    }


def _requirement(one: Judged, report: Report, base: str) -> dict[str, Any]:
    asked = place(one.requirement.where)
    where = asked or (main_place(report.cases[0]) if report.cases else Place("."))
    evidence = [{"what": e.what, "value": e.value, "where": e.where, "again": e.again} for e in one.evidence]
    return {
        "ruleId": _name(one),
        "level": _LEVELS[one.standing],
        "message": {"text": _message(one.message)},
        "locations": [_location(where, base, report.cases[0] if report.cases else None)],
        "partialFingerprints": {"gpuDoctorRequirement/v1": clean(one.requirement.text)},
        "properties": _clean(
            {"standing": one.standing, "evidence": evidence, "causes": [cause.fingerprint for cause in one.causes]}
        ),
    }


def _results(report: Report, base: str) -> Iterator[dict[str, Any]]:
    for number, case in enumerate(report.cases):
        for finding in case.findings:
            yield {**_result(case, finding, base), "provenance": {"invocationIndex": number}}
        for regression in regressions(case):
            yield {**_regression(case, regression, base), "provenance": {"invocationIndex": number}}
    for one in report.ignored:
        if report.cases:
            yield {**_result(report.cases[0], one.finding, base), "suppressions": [_suppression(one)]}


def _result(case: Case, finding: Finding, base: str) -> dict[str, Any]:
    others = [pair for pair in seen_at(finding.evidence) if pair[0] != main_place(case, finding)]
    related = [
        {"id": number, **_location(at, base), "message": {"text": _message(f"{item.what}: {item.value}")}}
        for number, (at, item) in enumerate(others[:_RELATED], 1)
    ]
    return {
        "ruleId": finding.rule,
        "level": finding.severity,
        "message": {"text": _message(finding.message, *_explained(case, finding), *_cure(finding))},
        "locations": [_location(main_place(case, finding), base, case)],
        **({"relatedLocations": related} if related else {}),
        "partialFingerprints": {"gpuDoctorFinding/v1": finding.fingerprint},
        "properties": _clean({key: value for key, value in shape_finding(finding).items() if key in _KEPT})
        | _plan(planned(case, finding)),
    }


def _regression(case: Case, one: Regression, base: str) -> dict[str, Any]:
    return {
        "ruleId": REGRESSION,
        "level": "error",
        "message": {"text": _message(one.message)},
        "locations": [_location(main_place(case), base, case)],
        "partialFingerprints": {"gpuDoctorRegression/v1": one.fingerprint},
        "properties": {"workload": one.bench.wish.workload, "device": clean(one.bench.wish.device)},
    }


def _plan(part: Part | None) -> dict[str, Any]:
    """Return what the plan has for a finding; a `fix` of SARIF could hold neither links nor packages."""
    if part is None:
        return {}
    remedy = part.remedy
    told = {
        "treated": isinstance(part, Treatment),
        "why": part.why if isinstance(part, HeldBack) else "",
        "remedy": remedy.summary if remedy else "",
        "safety": remedy.safety if remedy else "",
        "price": remedy.price if remedy else "",
    }
    return {"plan": _clean(told) | {"steps": [clean_command(line) for line in deeds(part)]}}


_KEPT = ("subject", "evidence", "remedy", "durable", "consequence_of")


def _explained(case: Case, finding: Finding) -> Iterator[str]:
    """Yield what explains a consequence: it is a note of its own, and its cause has the level."""
    for cause in case.findings:
        if finding.consequence_of == cause.fingerprint:
            yield f"Explained by {cause.rule}: {cause.message}"


def _cure(finding: Finding) -> Iterator[str]:
    if finding.remedy is not None:
        yield f"Remedy: {finding.remedy.summary}"
        yield from (clean_command(line) for line in map(command, finding.remedy.steps) if line)


def _suppression(one: Ignored) -> dict[str, Any]:
    until = f" (until {one.until})" if one.until else ""
    return {"kind": "external", "status": "accepted", "justification": clean(f"{one.reason}{until}; {one.where}")}


def _message(*paragraphs: str) -> str:
    """Return a plain-text message in which nothing is a link: `[text](target)` would be one."""
    return "\n\n".join(clean(words) for words in paragraphs).replace("](", "\\](")


def _location(at: Place, base: str, case: Case | None = None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": artifact(at.path, base)}
    if at.line:
        physical["region"] = {"startLine": at.line}
    if case is None:
        return {"physicalLocation": physical}
    prefix = clean(case.inventory.interpreter.prefix)
    logical = {"name": prefix.rpartition("/")[2] or prefix, "fullyQualifiedName": prefix, "kind": "environment"}
    return {"physicalLocation": physical, "logicalLocations": [logical]}


def _invocation(case: Case, base: str, rules: Mapping[str, int]) -> dict[str, Any]:
    crashed = any(run.status == "crashed" for run in case.runs)
    return {
        "executionSuccessful": not crashed and not case.unaskable,
        "toolExecutionNotifications": list(_notifications(case, base, rules)),
        "properties": {"environment": clean(case.inventory.interpreter.prefix), "verdict": verdict_word(case)},
    }


def _notifications(case: Case, base: str, rules: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for run in case.runs:
        about = {"associatedRule": {"id": run.rule, **({"index": rules[run.rule]} if run.rule in rules else {})}}
        if run.status == "crashed":
            yield _notice("rule-crashed", "error", f"The rule {run.rule} broke: {run.note}") | about
        elif run.note and (run.applies or run.status != "skipped"):
            part = "could not judge" if run.status == "skipped" else "judged in part"
            yield _notice("not-judged", "note", f"The rule {run.rule} {part}: {run.note}") | about
    if case.unaskable:
        yield _notice("not-asked", "warning", f"The live interpreter cannot be asked: {case.unaskable}")
    for words in sarif_bench.unmeasured(case):
        yield _notice("not-measured", "note", words)
    for seen in case.inventory.observations:
        at = place(seen.where)
        where = {"locations": [_location(at, base)]} if at is not None else {}
        yield _notice("not-read", "note", f"Not read: {seen.where}: {seen.what}") | where


def _notice(kind: str, level: str, words: str) -> dict[str, Any]:
    index = list(_NOTICES).index(kind)
    return {"level": level, "descriptor": {"id": kind, "index": index}, "message": {"text": _message(words)}}


def _clean(value: Any) -> Any:
    """Return values whose texts hold nothing that steers a terminal, and no half of a character."""
    if isinstance(value, str):
        return clean_block(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, Sequence) else value
