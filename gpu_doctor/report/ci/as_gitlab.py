"""The report as GitLab's code quality report, for the widget of a merge request.

Severities of GitLab in falling order: blocker, critical, major, minor, info. A requirement that is not met blocks. A
figure that became worse is as grave as an error.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.requirement import Judged
from gpu_doctor.report.bench.figures import REGRESSION, Regression, regressions
from gpu_doctor.report.ci.places import Place, main_place, place, shown
from gpu_doctor.report.foreign import clean

_SEVERITIES = {"error": "critical", "warning": "major", "note": "info", "unmet": "blocker", "undetermined": "major"}


def render(report: Report, base: str = "") -> str:
    """Return the report as a list of issues, ASCII only; paths are relative to the folder `base` where they can be."""
    return json.dumps(list(_unique(_issues(report, base))), indent=2) + "\n"


def _issues(report: Report, base: str) -> Iterator[dict[str, Any]]:
    first = next(iter(report.cases), None)
    for one in report.requirements:
        if one.standing != "met":
            yield _requirement(one, place(one.requirement.where) or (main_place(first) if first else Place(".")), base)
    many = len(report.cases) > 1
    for case in report.cases:
        for finding in case.findings:
            yield _finding(case, finding, base, many)
        for regression in regressions(case):
            yield _regression(case, regression, base, many)


def _requirement(one: Judged, at: Place, base: str) -> dict[str, Any]:
    name = f"requirement/{one.requirement.text}"
    return _issue(name, one.message, _SEVERITIES[one.standing], _digest(name), at, base)


def _regression(case: Case, one: Regression, base: str, many: bool) -> dict[str, Any]:
    fingerprint = _of_case(case, one.fingerprint, many)
    return _issue(REGRESSION, one.message, _SEVERITIES["error"], fingerprint, main_place(case), base)


def _finding(case: Case, finding: Finding, base: str, many: bool) -> dict[str, Any]:
    fingerprint = _of_case(case, finding.fingerprint, many)
    message = finding.message if finding.remedy is None else f"{finding.message} Remedy: {finding.remedy.summary}"
    return _issue(finding.rule, message, _SEVERITIES[finding.severity], fingerprint, main_place(case, finding), base)


def _of_case(case: Case, fingerprint: str, many: bool) -> str:
    # The same illness of two environments is two issues, and GitLab tells issues by their fingerprints.
    return _digest(case.inventory.interpreter.prefix, fingerprint) if many else fingerprint


def _issue(name: str, message: str, severity: str, fingerprint: str, at: Place, base: str) -> dict[str, Any]:
    return {
        "description": clean(message),
        "check_name": clean(name),
        "fingerprint": fingerprint,
        "severity": severity,
        "location": {"path": clean(shown(at.path, base)), "lines": {"begin": at.line or 1}},
    }


def _unique(issues: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    seen: Counter[str] = Counter()
    for issue in issues:
        fingerprint = issue["fingerprint"]
        seen[fingerprint] += 1
        again = seen[fingerprint] > 1
        yield {**issue, "fingerprint": _digest(fingerprint, str(seen[fingerprint]))} if again else issue


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]
