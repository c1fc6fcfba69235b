"""What gpu-doctor sees and does on this machine's own GPUs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.doctor import choose, examine
from gpu_doctor.model.case import Case
from gpu_doctor.probe.gpus import start_gpu_question
from gpu_doctor.readers.machine.host import read_host

RULES = ("gpu-result-wrong", "gpu-operation-fails", "dtype-unsupported-by-gpu", "kernel-image-missing")


@pytest.fixture(scope="session")
def visible() -> int:
    """Return how many GPUs there are; skip where there is none."""
    _, gpus = start_gpu_question(read_host(os.environ), os.environ).result()
    if not isinstance(gpus, tuple) or not gpus:
        pytest.skip("no NVIDIA GPU visible")
    return len(gpus)


@pytest.fixture(scope="session")
def case(visible: int, lab: Callable[[str], Path]) -> Case:
    """Examine the torch of `$GPU_DOCTOR_GPU_PYTHON`, else that of the lab `torch-2.8`, on every GPU."""
    python = os.environ.get("GPU_DOCTOR_GPU_PYTHON") or str(lab("torch-2.8") / "bin/python")
    report = examine(choose(python, None, os.environ, str(Path.cwd())), os.environ, select=RULES)
    (one,) = report.cases
    return one
