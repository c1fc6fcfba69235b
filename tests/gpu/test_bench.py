"""Real workloads on real GPUs: `pytest -m gpu -s tests/gpu/test_bench.py` prints the figures for docs/benchmarks.md.

`$GPU_DOCTOR_GPU_PYTHON` names the interpreter; a workload that it lacks the packages for is skipped.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.doctor import choose
from gpu_doctor.errors import DoctorError
from gpu_doctor.measure import Measured, measure
from gpu_doctor.model.bench import WORKLOADS, BenchWish, Wanted, Workload
from gpu_doctor.report.bench import as_bench
from gpu_doctor.report.paper import Look

pytestmark = pytest.mark.gpu

_SPOKEN = ("xtts", "whisper")


@pytest.fixture(scope="module")
def python(visible: int, lab: Callable[[str], Path]) -> str:
    return os.environ.get("GPU_DOCTOR_GPU_PYTHON") or str(lab("torch-2.8") / "bin/python")


def measured(python: str, workload: Workload, **changes: object) -> Measured:
    target = choose(python, None, os.environ, str(Path.cwd()))
    wish = BenchWish(workload, "cpu", **changes)  # type: ignore[arg-type]
    try:
        found = measure(target, os.environ, Wanted((workload,), "both", wish, "random"), lambda _words: None)
    except DoctorError as error:
        pytest.skip(error.message)
    print(f"\n{datetime.date.today()}")
    print(as_bench.render(found.case, found.benches, found.findings, found.left_out, Look()))
    return found


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_workload_runs_on_the_gpu_and_no_rule_objects(python: str, workload: Workload) -> None:
    found = measured(python, workload)
    cpu, gpu = found.benches
    assert (cpu.ending, gpu.ending) == ("answered", "answered"), (cpu.reason, gpu.reason)
    assert gpu.ran_on == "cuda:0"
    assert gpu.peak_vram_bytes
    if workload in _SPOKEN:
        assert gpu.rtf
    assert [finding for finding in found.findings if finding.severity == "error"] == []


def test_loading_and_freeing_again_and_again_holds_no_more(python: str) -> None:
    gpu = measured(python, "stft", reload=6).benches[1]
    assert len(gpu.reloads) == 6
    assert [one.reason for one in gpu.reloads] == [""] * 6
