"""GitLab's code quality report: the fields that it asks for, and fingerprints that tell issues apart."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_doctor.model.case import Report
from gpu_doctor.model.finding import CheckRun
from gpu_doctor.report.ci import as_gitlab
from tests.report import full, patients, planned, preflights, recorded

# GitLab publishes no schema; its documentation names these fields and severities.
FIELDS = {
    "description": {"type": "string"},
    "check_name": {"type": "string"},
    "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
    "location": {
        "type": "object",
        "required": ["path", "lines"],
        "additionalProperties": False,
        "properties": {
            "path": {"type": "string", "minLength": 1},
            "lines": {
                "type": "object",
                "required": ["begin"],
                "additionalProperties": False,
                "properties": {"begin": {"type": "integer", "minimum": 1}},
            },
        },
    },
}
ITEM = {"type": "object", "additionalProperties": False, "required": list(FIELDS), "properties": FIELDS}


def issues(report: Report, base: str = "") -> list[dict[str, Any]]:
    text = as_gitlab.render(report, base)
    found = json.loads(text)
    jsonschema.validate(found, {"type": "array", "items": ITEM})
    fingerprints = [issue["fingerprint"] for issue in found]
    assert len(fingerprints) == len(set(fingerprints))
    assert text.isascii()
    assert isinstance(found, list)
    return found


def test_every_finding_is_an_issue() -> None:
    first, second, third = issues(patients.sick(), patients.HOME)
    assert first == {
        "description": f"{patients.CUDNN.message} Remedy: Install ctranslate2 4.6.3 or newer",
        "check_name": "cudnn-unreachable",
        "fingerprint": patients.CUDNN.fingerprint,
        "severity": "critical",
        "location": {"path": patients.LOADER.removeprefix(f"{patients.HOME}/"), "lines": {"begin": 1}},
    }
    assert (second["severity"], third["check_name"]) == ("major", "library-path-shadows")
    assert third["location"]["path"] == "venv/bin/python"


@pytest.mark.parametrize("name", recorded.NAMES)
def test_a_recorded_patient_has_its_findings(name: str) -> None:
    report = recorded.report(name)
    levels = {"error": "critical", "warning": "major", "note": "info"}
    assert [(i["check_name"], i["severity"]) for i in issues(report)] == [
        (f.rule, levels[f.severity]) for f in report.cases[0].findings
    ]


def test_health_is_an_empty_list() -> None:
    assert as_gitlab.render(patients.healthy()) == "[]\n"


def test_requirements_block_or_are_open() -> None:
    unmet, open_, *_ = issues(preflights.preflight())
    assert (unmet["check_name"], unmet["severity"]) == ("requirement/kernels:sm_120", "blocker")
    assert unmet["location"] == {"path": "pyproject.toml", "lines": {"begin": 12}}
    assert (open_["check_name"], open_["severity"]) == ("requirement/driver>=570", "major")


def test_the_same_illness_of_two_environments_is_two_issues() -> None:
    (case,) = patients.sick().cases
    assert len(issues(Report((case, case), "0.1.0", "2026-11-20"))) == 6


def test_a_fingerprint_outlives_what_stands_beside_it() -> None:
    alone = patients.report([CheckRun("ort-packages-clash", "failed", findings=(patients.CLASH,))])
    assert issues(alone)[0]["fingerprint"] == issues(patients.sick())[1]["fingerprint"]


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40))
def test_any_text_gives_a_valid_report(words: str) -> None:
    report = full.everything(lambda: words)
    found = issues(report)
    regressions = 2
    assert len(found) == 2 + sum(len(case.findings) for case in report.cases) + regressions
    json.dumps(found, ensure_ascii=False).encode("utf-8")


def test_a_regression_is_a_critical_issue_and_good_figures_are_none() -> None:
    found = issues(planned.bad())
    kinds = [(issue["check_name"], issue["severity"]) for issue in found]
    assert kinds == [("bench-fails", "critical"), *[("bench-regression", "critical")] * 3]
    assert found[1]["description"].startswith("whisper on cuda:0: time is worse than in the run of 2026-11-01 10:00")
    assert found[1]["location"] == {"path": patients.PYTHON, "lines": {"begin": 1}}
    assert issues(planned.good()) == []


def test_a_plan_adds_no_issue_to_its_findings() -> None:
    with_plan = planned.planned()
    (case,) = with_plan.cases
    assert issues(with_plan) == issues(Report((replace(case, plan=None),), "0.1.0", "2026-11-20"))
