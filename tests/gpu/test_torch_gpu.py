"""The experiments of the torch-gpu question on real GPUs: `pytest -m gpu -s tests/gpu` prints the figures as a table."""

from __future__ import annotations

import datetime

import pytest

from gpu_doctor.checks.shared.live import asked
from gpu_doctor.model.case import Case
from gpu_doctor.model.hardware import Driver
from gpu_doctor.model.probes import Probe
from tests.gpu.conftest import RULES

pytestmark = pytest.mark.gpu

# What an emulated or missing number format may fail at on an older GPU; everything else must work on every GPU.
_FORMATS = {"matmul bf16", "matmul fp16", "matmul fp8"}


@pytest.fixture(scope="session")
def probes(case: Case) -> tuple[Probe, ...]:
    found = asked(case.inventory, "torch-gpu")
    print(_table(case, found))
    return found


def _table(case: Case, probes: tuple[Probe, ...]) -> str:
    """Return the figures as Markdown, for docs/benchmarks.md."""
    driver = case.inventory.driver
    label = driver.label if isinstance(driver, Driver) else "unknown"
    lines = [""]
    for probe in probes:
        name, torch, seconds = (probe.value(n) for n in ("device", "torch", "first launch seconds"))
        head = f"{probe.subject}: {name}, driver {label}, torch {torch}, first launch {seconds} s"
        lines += [f"{head}, whole question {probe.seconds:.1f} s, {datetime.date.today()}", ""]
        lines += ["| experiment | outcome | relative error | tolerance | nearest to it |", "|---|---|---|---|---|"]
        for trial in probe.trials:
            figures = (trial.value(n) or "" for n in ("relative error", "tolerance", "case"))
            lines.append(f"| {' | '.join((trial.name, trial.outcome, *figures))} |")
        lines.append("")
    return "\n".join(lines)


def test_every_gpu_is_asked_and_answers(visible: int, probes: tuple[Probe, ...]) -> None:
    assert probes
    assert len(probes) <= visible
    assert {(probe.ending, probe.reason) for probe in probes} == {("answered", "")}


def test_every_experiment_comes_out_right(probes: tuple[Probe, ...]) -> None:
    bad = {
        (probe.subject, trial.name): trial.detail
        for probe in probes
        for trial in probe.trials
        if trial.outcome != "passed" and trial.name not in _FORMATS
    }
    assert bad == {}


def test_no_tolerance_is_a_knifes_edge(probes: tuple[Probe, ...]) -> None:
    """A right result stays well below its bound, so that another GPU's rounding raises no alarm."""
    near = {
        (probe.subject, trial.name): (trial.value("relative error"), trial.value("tolerance"))
        for probe in probes
        for trial in probe.trials
        if trial.outcome == "passed"
        and trial.value("tolerance")
        and float(trial.value("relative error") or "nan") > float(trial.value("tolerance") or "nan") / 2
    }
    assert near == {}


def test_products_in_tf32_are_told_from_those_in_float32(probes: tuple[Probe, ...]) -> None:
    """From Ampere on TF32 is really used where it is allowed, and float32 where it is not."""
    for probe in probes:
        exact, rounded = probe.trial("matmul fp32"), probe.trial("matmul tf32")
        assert exact is not None
        assert rounded is not None
        if int((probe.value("capability") or "0").partition(".")[0]) >= 8:
            assert float(rounded.value("relative error") or 0) > 10 * float(exact.value("relative error") or 1)


def test_the_libraries_that_worked_are_named(probes: tuple[Probe, ...]) -> None:
    for probe in probes:
        assert {name for name in ("libcublas.so", "libcudnn.so", "libcufft.so") if not probe.value(name)} == set()


def test_a_healthy_gpu_is_no_finding(case: Case) -> None:
    assert [(finding.rule, finding.message) for finding in case.findings if finding.severity != "note"] == []
    assert {run.rule for run in case.runs if run.status != "crashed"} == set(RULES)
