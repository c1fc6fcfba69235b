"""cuFFT's experiments on a real GPU: all behave as those of a healthy one, and the figures are printed with `-s`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.checks.shared.live import asked, failures
from gpu_doctor.doctor import Asking, choose, examine
from gpu_doctor.model.case import Case
from gpu_doctor.model.probes import Probe

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="session")
def triage(visible: int, lab: Callable[[str], Path]) -> Case:
    """Make every experiment on the first GPU, ill or not."""
    python = os.environ.get("GPU_DOCTOR_GPU_PYTHON") or str(lab("torch-2.8") / "bin/python")
    target = choose(python, None, os.environ, str(Path.cwd()))
    (one,) = examine(target, os.environ, select=("cufft-failure",), asking=Asking(thorough=True)).cases
    return one


def experiments(case: Case) -> dict[str, Probe]:
    return {probe.subject.partition(": ")[2]: probe for probe in asked(case.inventory, "cufft")}


def test_every_experiment_is_made(triage: Case) -> None:
    found = experiments(triage)
    for name, probe in found.items():
        for trial in probe.trials:
            said = ", ".join(f"{measure.name} {measure.value}" for measure in trial.measured)
            print(f"{name} · {trial.name}: {trial.outcome} {trial.detail} {said} ({probe.seconds:.1f} s)")
    assert len(found) == 12
    assert {name: probe.reason for name, probe in found.items() if probe.ending != "answered"} == {}


def test_a_healthy_cufft_passes_each(triage: Case) -> None:
    assert {name: failures(probe) for name, probe in experiments(triage).items() if failures(probe)} == {}
    assert triage.findings == ()


def test_a_refused_input_and_a_failed_kernel_look_as_the_page_says(triage: Case) -> None:
    """What docs/cufft.md says of them is read here, not remembered."""
    found = experiments(triage)
    ended = {t.value("ended") for name in ("empty input", "too short input") for t in found[name].trials[:-1]}
    assert "worked" not in ended
    (sticky,) = found["sticky error"].trials
    assert "device-side assert" in (sticky.value("ended") or "")
