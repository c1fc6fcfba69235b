"""What a project ignores leaves the cases with what it explains, and comes back when its time is over."""

from __future__ import annotations

from datetime import date

from gpu_doctor.model.case import Report
from gpu_doctor.model.config import Config, Ignore
from gpu_doctor.preflight.ignores import apply, expired
from tests.report import patients

DAY = date(2026, 12, 1)


def ignored(report: Report, *items: Ignore, today: date = DAY) -> Report:
    return apply(report, Config(ignore=items), today)


def item(rule: str, **changes: object) -> Ignore:
    return Ignore(rule, "known here", "pyproject.toml:5", **changes)  # type: ignore[arg-type]


def rules(report: Report) -> list[str]:
    return [finding.rule for case in report.cases for finding in case.findings]


def test_a_finding_goes_with_what_it_explains() -> None:
    before = patients.sick()
    after = ignored(before, item("cudnn-unreachable"))
    assert set(rules(before)) - set(rules(after)) == {"cudnn-unreachable", "library-path-shadows"}
    assert [(it.finding.rule, it.reason, it.where) for it in after.ignored] == [
        ("cudnn-unreachable", "known here", "pyproject.toml:5"),
        ("library-path-shadows", "known here", "pyproject.toml:5"),
    ]


def test_the_rule_says_that_something_was_ignored() -> None:
    (case,) = ignored(patients.sick(), item("cudnn-unreachable")).cases
    run = next(run for run in case.runs if run.rule == "cudnn-unreachable")
    assert (run.status, run.note, run.findings) == ("passed", "ignored: known here", ())


def test_an_ignored_consequence_leaves_its_cause() -> None:
    after = ignored(patients.sick(), item("library-path-shadows"))
    assert "cudnn-unreachable" in rules(after)
    assert "library-path-shadows" not in rules(after)


def test_a_subject_narrows_it() -> None:
    before = patients.sick()
    (subject,) = {f.subject for case in before.cases for f in case.findings if f.rule == "cudnn-unreachable"}
    assert ignored(before, item("cudnn-unreachable", subject="something else")) == before
    assert "cudnn-unreachable" not in rules(ignored(before, item("cudnn-unreachable", subject=subject)))


def test_the_last_day_counts_and_the_next_does_not() -> None:
    until = item("cudnn-unreachable", until=DAY)
    assert "cudnn-unreachable" not in rules(ignored(patients.sick(), until))
    late = date(2026, 12, 2)
    assert ignored(patients.sick(), until, today=late) == patients.sick()
    assert expired(Config(ignore=(until,)), DAY) == ()
    assert expired(Config(ignore=(until, item("driver-too-old"))), late) == (
        "pyproject.toml:5: cudnn-unreachable is not ignored any more since 2026-12-01: known here",
    )


def test_nothing_to_ignore_changes_nothing() -> None:
    assert apply(patients.sick(), Config(), DAY) == patients.sick()
    assert ignored(patients.healthy(), item("cudnn-unreachable")) == patients.healthy()
