from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.model.bench import Bench
from gpu_doctor.model.case import BenchRun, Case, Report
from gpu_doctor.model.comparison import Comparison
from gpu_doctor.model.finding import CheckRun, Finding, Rule, Severity, Status
from gpu_doctor.model.inventory import UNASKED
from gpu_doctor.model.unknown import Unknown
from tests.bench.samples import bench
from tests.kit import inventory, probe

RULES = (
    Rule("code", "x", "error", "gpu-code"),
    Rule("files", "x", "error", "packages"),
    Rule("host", "x", "error", "host"),
)


def finding(rule: str, severity: Severity = "error", subject: str = "it", cause: str | None = None) -> Finding:
    return Finding(rule, severity, subject, "ill", (), consequence_of=cause)


def case(*runs: Any) -> Case:
    """A case of findings, each the result of its rule, and of statuses."""
    made = [
        CheckRun(item.rule, "failed", "", (item,)) if isinstance(item, Finding) else CheckRun("code", item)
        for item in runs
    ]
    return Case(inventory(), tuple(made), RULES)


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        (("passed",), "healthy"),
        (("passed", "skipped"), "healthy"),
        ((finding("host"), "passed"), "sick"),
        ((finding("host"), "crashed"), "sick"),
        ((finding("host", "warning"),), "healthy"),
        ((finding("host", "note"),), "healthy"),
        ((), "undetermined"),
        (("skipped",), "undetermined"),
        (("crashed",), "undetermined"),
        (("passed", "crashed"), "undetermined"),
        ((finding("host", "warning"), "crashed"), "undetermined"),
    ],
)
def test_a_verdict_is_health_only_where_something_was_judged(runs: tuple[Finding | Status, ...], verdict: str) -> None:
    assert case(*runs).verdict == verdict


UNRUN = probe("import", "torch", "unrunnable", reason="python cannot be started")


@pytest.mark.parametrize(
    ("probes", "verdict", "live", "why"),
    [
        (UNASKED, "healthy", False, ""),
        (Unknown("there is no interpreter to ask"), "undetermined", False, "there is no interpreter to ask"),
        ((), "healthy", False, ""),
        ((probe("torch-gpu", "cuda:0", "skipped", reason="no GPU visible"),), "healthy", False, ""),
        ((probe("import", "torch", "crashed", reason="SIGSEGV"),), "healthy", True, ""),
        ((UNRUN, probe("cudnn", "torch", "skipped")), "undetermined", True, "python cannot be started"),
        ((UNRUN, probe("import", "jax")), "undetermined", True, "python cannot be started"),
    ],
)
def test_an_interpreter_that_was_to_be_asked_and_could_not_be_is_not_found_healthy(
    probes: Any, verdict: str, live: bool, why: str
) -> None:
    it = Case(inventory(probes=probes), (CheckRun("host", "passed"),), RULES)
    assert (it.verdict, it.live, it.unaskable) == (verdict, live, why)
    sick = Case(inventory(probes=probes), (CheckRun("host", "failed", "", (finding("host"),)),), RULES)
    assert sick.verdict == "sick"


def test_the_worst_comes_first_then_the_earliest_stage_then_the_name() -> None:
    warning, code, files, host = (
        finding("host", "warning"), finding("code"), finding("files"), finding("host"),
    )  # fmt: skip
    second = finding("files", subject="another")
    assert case(warning, code, files, second, host).findings == (host, second, files, code, warning)


def test_consequences_come_last_and_under_their_cause() -> None:
    cause = finding("files")
    effect = finding("host", "note", cause=cause.fingerprint)
    note = finding("code", "note", subject="by itself")
    whole = case(effect, note, cause)
    assert whole.findings == (cause, note, effect)
    assert whole.consequences(cause) == (effect,)
    assert whole.consequences(note) == ()


def test_a_finding_of_a_rule_that_nobody_knows_comes_after_the_others() -> None:
    unknown, code = finding("a-rule-of-yesterday"), finding("code")
    assert case(unknown, code).findings == (code, unknown)


@pytest.mark.parametrize(
    ("worst", "fails_on"),
    [("error", {"error", "warning", "note"}), ("warning", {"warning", "note"}), ("note", {"note"}), (None, set())],
)
def test_a_report_fails_at_or_above_the_threshold(worst: Severity | None, fails_on: set[str]) -> None:
    runs = (finding("host", worst),) if worst else ("passed",)
    report = Report((case("passed"), case(*runs)), "1.0", "2026-11-20")
    levels: tuple[Any, ...] = ("error", "warning", "note", "never")
    assert {level for level in levels if report.fails(level)} == fails_on


# --- Figures, and telling a part ----------------------------------------------------------------------------------------

ANSWERED = bench()
DIED = bench(ending="crashed")
WORSE = Comparison(ANSWERED, bench(), 0.1, lost=("batch 8 runs no longer",))


@pytest.mark.parametrize(
    ("benches", "comparisons", "runs", "verdict"),
    [
        ((ANSWERED,), (), (), "healthy"),
        ((ANSWERED, DIED), (), (finding("host", "warning"),), "healthy"),
        ((ANSWERED,), (Comparison(ANSWERED, bench(), 0.1),), (), "healthy"),
        ((ANSWERED,), (WORSE,), (), "sick"),
        ((ANSWERED,), (), (finding("host"),), "sick"),
        ((DIED,), (WORSE,), (), "sick"),
        ((DIED,), (), (), "undetermined"),
        ((), (), (), "undetermined"),
    ],
)
def test_figures_are_judged_by_what_was_measured(
    benches: tuple[Bench, ...], comparisons: tuple[Comparison, ...], runs: tuple[Finding, ...], verdict: str
) -> None:
    whole = replace(case(*runs), inventory=replace(inventory(), benches=benches), bench=BenchRun(comparisons))
    assert whole.verdict == verdict


def test_saved_benchmarks_are_no_figures_of_this_run() -> None:
    assert replace(case("passed"), inventory=replace(inventory(), benches=(DIED,))).verdict == "healthy"


def test_a_case_that_tells_a_part_has_these_findings_and_the_rules_that_broke() -> None:
    host, files = finding("host"), finding("files")
    both = CheckRun("host", "failed", "", (host, finding("host", subject="other")))
    whole = replace(case(files, "passed", "skipped", "crashed"), runs=(*case(files, "passed", "crashed").runs, both))
    told = whole.telling((host,))
    assert told.findings == (host,)
    assert [(run.rule, run.status) for run in told.runs] == [("code", "crashed"), ("host", "failed")]
    assert whole.telling(()).findings == ()
