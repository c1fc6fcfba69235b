"""The report as JUnit XML, for everything that shows test results: one suite an environment, one test case a rule.

What a plan has for a rule's findings is the output of its test case. A workload that was measured is a test case, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from gpu_doctor.model.bench import Bench, speedup
from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import SEVERITIES, CheckRun, Evidence, Finding
from gpu_doctor.model.remedy import command
from gpu_doctor.model.requirement import Judged
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.bench.figures import Quantity, failure, quantities, regressions
from gpu_doctor.report.foreign import clean, clean_block, clean_command
from gpu_doctor.report.heading import hardware
from gpu_doctor.report.plans import planned, told
from gpu_doctor.report.words import verdict_word

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_BENCH = "bench"
# What XML 1.0 has no place for, not even escaped: https://www.w3.org/TR/xml/#charsets
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class _Test:
    """Hold one test case: how it ended, in one line and in many; `output` is what it says besides."""

    name: str
    group: str
    ending: Literal["passed", "failure", "error", "skipped"]
    kind: str = ""
    message: str = ""
    text: str = ""
    seconds: float = 0.0
    output: str = ""
    properties: tuple[tuple[str, str], ...] = ()


def render(report: Report) -> str:
    """Return the report as one JUnit document; ASCII only, so that no encoding of a stream can break it."""
    from xml.etree import ElementTree

    suites = [(_name(case), list(_tests(case)), _properties(case)) for case in report.cases]
    if report.requirements:
        suites.insert(0, ("requirements", list(map(_requirement, report.requirements)), {}))
    root = ElementTree.Element("testsuites", {"name": "gpu-doctor", **_counts([t for _, ts, _ in suites for t in ts])})
    for name, tests, properties in suites:
        _add_suite(root, name, tests, properties)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return document.decode("ascii") + "\n"


def _add_suite(root: Element, name: str, tests: list[_Test], properties: dict[str, str]) -> None:
    from xml.etree.ElementTree import SubElement

    suite = SubElement(root, "testsuite", {"name": _legal(name), **_counts(tests)})
    _add_properties(suite, properties.items())
    for test in tests:
        _add_test(suite, test)


def _add_properties(parent: Element, properties: Collection[tuple[str, str]]) -> None:
    from xml.etree.ElementTree import SubElement

    listed = SubElement(parent, "properties") if properties else parent
    for key, value in properties:
        SubElement(listed, "property", {"name": _legal(clean(key)), "value": _legal(clean(value))})


def _add_test(suite: Element, test: _Test) -> None:
    """Add a test case: its properties, how it ended, and its output, in the order that schemas of JUnit want."""
    from xml.etree.ElementTree import SubElement

    words = {"name": _legal(clean(test.name)), "classname": f"gpu-doctor.{test.group}", "time": f"{test.seconds:.3f}"}
    case = SubElement(suite, "testcase", words)
    _add_properties(case, test.properties)
    output = [test.text, test.output] if test.ending == "passed" else [test.output]
    if test.ending != "passed":
        kind = {} if test.ending == "skipped" else {"type": test.kind}
        ended = SubElement(case, test.ending, {**kind, "message": _legal(clean(test.message))})
        ended.text = _legal(test.text) or None
    if any(output):
        SubElement(case, "system-out").text = _legal("\n\n".join(filter(None, output)))


def _counts(tests: list[_Test]) -> dict[str, str]:
    endings = [test.ending for test in tests]
    return {
        "tests": str(len(tests)),
        "failures": str(endings.count("failure")),
        "errors": str(endings.count("error")),
        "skipped": str(endings.count("skipped")),
        "time": f"{sum(test.seconds for test in tests):.3f}",
    }


def _name(case: Case) -> str:
    return clean(case.inventory.interpreter.prefix)


def _properties(case: Case) -> dict[str, str]:
    python = case.inventory.interpreter
    version = python.version
    return {
        "verdict": verdict_word(case),
        "python": f"unknown: {version.reason}" if isinstance(version, Unknown) else str(version),
        "chosen by": case.inventory.target.chosen_by,
        "hardware": hardware(case.inventory),
    }


def _tests(case: Case) -> Iterator[_Test]:
    stages = {rule.id: rule.stage for rule in case.rules}
    for run in case.runs:
        parts = [part for finding in run.findings if (part := planned(case, finding)) is not None]
        yield replace(_test(case, run, stages.get(run.rule, "rules")), output="\n\n".join(map(told, parts)))
    if case.bench is not None:
        yield from map(partial(_workload, case), case.inventory.benches)
        for workload, why in case.bench.left_out:
            yield _Test(workload, _BENCH, "skipped", message=f"left out: {why}")


def _workload(case: Case, bench: Bench) -> _Test:
    """Return how a workload ended: one that did not answer, or whose figures became worse, is a failure."""
    worse = [one.message for one in regressions(case) if one.bench == bench]
    numbers = tuple((one.name, _number(one)) for one in quantities(bench, speedup(bench, case.inventory.benches)))
    ran_as = (("device", bench.device_name), ("model", bench.model), ("dtype", bench.dtype))
    test = _Test(
        bench.name,
        _BENCH,
        "passed",
        seconds=bench.seconds or 0.0,
        output="\n".join(clean(f"not comparable: {why}") for why in bench.not_comparable),
        properties=(*((name, value) for name, value in ran_as if value), *numbers),
    )
    if bench.ending == "skipped":
        return replace(test, ending="skipped", message=bench.reason)
    if bench.ending != "answered":
        return replace(test, ending="failure", kind=bench.ending, message=failure(bench), text=clean_block(bench.log))
    if worse:
        text = "\n".join(map(clean, worse))
        return replace(test, ending="failure", kind="regression", message=_worse(worse), text=text)
    return test


def _worse(sentences: Sequence[str]) -> str:
    more = f" (and {len(sentences) - 1} more)" if sentences[1:] else ""
    return f"{sentences[0]}{more}"


def _number(one: Quantity) -> str:
    digits = f"{one.value:.0f}" if float(one.value).is_integer() else f"{one.value:.6g}"
    return f"{digits} {one.unit}".rstrip()


def _test(case: Case, run: CheckRun, stage: str) -> _Test:
    """Return how a rule ended: the worst of its findings decides, and a mere note fails nothing."""
    findings = sorted(run.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    text = "\n\n".join(_told(finding) for finding in findings)
    if run.status == "crashed":
        return _Test(run.rule, stage, "error", "crashed", run.note, text)
    if run.status == "skipped":
        return _Test(run.rule, stage, "skipped", message=run.note)
    if not findings:
        return _Test(run.rule, stage, "passed", text=clean(f"judged in part: {run.note}") if run.note else "")
    causes = {cause.fingerprint: cause for cause in case.findings}
    own = [finding for finding in findings if finding.consequence_of not in causes]
    if not own:
        # An illness that another one explains fails once, at its cause, and is not shown as health here.
        cause = causes[findings[0].consequence_of or ""]
        return _Test(run.rule, stage, "skipped", message=f"explained by {cause.rule}: {findings[0].message}", text=text)
    if own[0].severity == "note":
        return _Test(run.rule, stage, "passed", text=text)
    return _Test(run.rule, stage, "failure", own[0].severity, own[0].message, text)


def _requirement(one: Judged) -> _Test:
    name = f"requirement/{one.requirement.text}"
    text = "\n".join([clean(one.message), *_evidence(one.evidence), *(clean(cause.message) for cause in one.causes)])
    if one.standing == "met":
        return _Test(name, "requirements", "passed", text=text, seconds=one.seconds)
    if one.standing == "unmet":
        return _Test(name, "requirements", "failure", "unmet", one.message, text, one.seconds)
    return _Test(name, "requirements", "skipped", message=f"undetermined: {one.message}", seconds=one.seconds)


def _told(finding: Finding) -> str:
    lines = [f"{finding.severity}: {clean(finding.message)}", f"subject: {clean(finding.subject)}"]
    lines += _evidence(finding.evidence)
    if finding.remedy is not None:
        lines.append(f"remedy: {clean(finding.remedy.summary)}")
        lines += [f"  {clean_command(line)}" for line in map(command, finding.remedy.steps) if line]
    return "\n".join(lines)


def _evidence(evidence: tuple[Evidence, ...]) -> Iterator[str]:
    for item in evidence:
        where = f" ({clean(item.where)})" if item.where else ""
        value = clean_block(item.value)
        yield f"{clean(item.what)}: {value}{where}" if "\n" not in value else f"{clean(item.what)}:{where}\n{value}"


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)
