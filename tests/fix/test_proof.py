"""Healed is what a second look shows: the finding is gone, its rule judged, and nothing that was well fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.fix.proof import proven, worse
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import CheckRun, Finding, Rule, Severity
from tests.kit import inventory

RULES = tuple(
    Rule(name, name, "error", "libraries")
    for name in ("cudnn-unreachable", "kernel-image-missing", "gpu-out-of-memory")
)
ILL = Finding("cudnn-unreachable", "error", "ctranslate2: loader", "It aborts.", ())


def case(*runs: CheckRun) -> Case:
    return Case(inventory(), runs, RULES)


def found(subject: str = "torch", severity: Severity = "error", rule: str = "kernel-image-missing") -> Finding:
    return Finding(rule, severity, subject, f"{subject} is ill.", ())


def failed(*findings: Finding, note: str = "") -> CheckRun:
    return CheckRun(findings[0].rule, "failed", note, findings)


def passed(rule: str, note: str = "") -> CheckRun:
    return CheckRun(rule, "passed", note)


# --- proven ----------------------------------------------------------------------------------------------------------


def test_a_rule_that_finds_nothing_proves_it() -> None:
    assert proven(ILL, case(passed(ILL.rule)))


def test_a_rule_that_finds_something_else_proves_it() -> None:
    assert proven(ILL, case(failed(replace(ILL, subject="torch: libcudnn.so.9"))))


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_a_finding_that_is_still_there_is_not_healed(severity: Severity) -> None:
    assert not proven(ILL, case(failed(replace(ILL, severity=severity, message="It still aborts."))))


def test_a_mere_note_of_it_is_no_illness() -> None:
    assert proven(ILL, case(failed(replace(ILL, severity="note"))))


def test_what_became_a_consequence_of_something_else_is_not_healed() -> None:
    assert not proven(ILL, case(failed(replace(ILL, severity="note", consequence_of="0123456789abcdef"))))


def test_a_rule_that_cannot_judge_any_more_proves_nothing() -> None:
    assert not proven(ILL, case(CheckRun(ILL.rule, "skipped", "the interpreter does not start")))


def test_a_rule_that_crashes_proves_nothing() -> None:
    assert not proven(ILL, case(CheckRun(ILL.rule, "crashed", "KeyError: 'x'")))


def test_a_rule_that_did_not_run_proves_nothing() -> None:
    assert not proven(ILL, case(passed("kernel-image-missing")))


def test_where_there_is_nothing_left_to_judge_the_illness_is_gone() -> None:
    assert proven(ILL, case(CheckRun(ILL.rule, "skipped", "ctranslate2 is not installed", applies=False)))


# --- worse -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_what_passed_before_and_fails_now_is_worse(severity: Severity) -> None:
    finding = found(severity=severity)
    assert worse(case(passed(finding.rule)), case(failed(finding))) == (finding,)


def test_a_new_note_is_no_harm() -> None:
    finding = found(severity="note")
    assert worse(case(passed(finding.rule)), case(failed(finding))) == ()


def test_what_failed_before_is_not_made_worse_by_failing_still() -> None:
    finding = found()
    assert worse(case(failed(finding)), case(failed(replace(finding, message="In other words.")))) == ()


def test_the_same_rule_failing_for_another_subject_is_worse() -> None:
    other = found("torchvision")
    assert worse(case(failed(found())), case(failed(found(), other))) == (other,)


def test_a_warning_for_another_subject_may_have_hidden_behind_the_failure() -> None:
    assert worse(case(failed(found())), case(failed(found("torchvision", "warning")))) == ()


@pytest.mark.parametrize("severity", ["warning", "note"])
def test_what_was_mild_and_is_an_error_now_is_worse(severity: Severity) -> None:
    now = found()
    assert worse(case(failed(found(severity=severity))), case(failed(now))) == (now,)
    assert worse(case(failed(now)), case(failed(found(severity=severity)))) == ()


def test_what_was_a_consequence_of_what_is_healed_is_the_next_finding() -> None:
    under = replace(found(), severity="note", consequence_of=ILL.fingerprint)
    assert worse(case(failed(ILL), failed(under)), case(passed(ILL.rule), failed(found()))) == ()


@pytest.mark.parametrize("status", ["skipped", "crashed"])
def test_what_could_not_be_judged_before_may_fail_now(status: str) -> None:
    before = CheckRun("kernel-image-missing", status, "torch cannot be imported")  # type: ignore[arg-type]
    assert worse(case(before), case(failed(found()))) == ()
    assert worse(case(), case(failed(found()))) == ()


def test_of_what_was_judged_in_part_only_errors_count() -> None:
    before = case(passed("kernel-image-missing", note="one of two GPUs could not be asked"))
    assert worse(before, case(failed(found(severity="warning")))) == ()
    assert worse(before, case(failed(found()))) == (found(),)


@pytest.mark.parametrize(
    "after", [passed("kernel-image-missing"), CheckRun("kernel-image-missing", "skipped", "no GPU")]
)
def test_what_finds_nothing_now_is_not_worse(after: CheckRun) -> None:
    assert worse(case(passed("kernel-image-missing")), case(after)) == ()
    assert worse(case(failed(found())), case(after)) == ()


def test_a_full_gpu_is_other_programs_doing() -> None:
    full = found("GPU 0", rule="gpu-out-of-memory")
    assert worse(case(passed(full.rule)), case(failed(full))) == ()
