"""Reports of invented preflights: a requirement of each standing, with and without an environment."""

from __future__ import annotations

from dataclasses import replace

from gpu_doctor.model.case import Report
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.requirement import Ignored, Judged, Requirement
from tests.report import patients

UNMET = Judged(
    Requirement("kernels:sm_120", "kernels", "sm_120", where="pyproject.toml:12"),
    "unmet",
    "torch 2.8.0 has no code for sm_120.",
    (Evidence("torch", "sm_80, sm_90", f"{patients.SITE}/torch/lib/libtorch_cuda.so"),),
    (patients.CUDNN,),
    1.5,
)
OPEN = Judged(
    Requirement("driver>=570", "driver", "", ">=", "570"), "undetermined", "No driver is known: give --driver."
)
MET = Judged(Requirement("torch-cuda", "torch-cuda"), "met", "torch 2.8.0 computes on the GPU.", seconds=4.25)


def preflight(report: Report | None = None) -> Report:
    return replace(report or patients.sick(), requirements=(UNMET, OPEN, MET))


def ignoring() -> Report:
    """A healthy environment, in which somebody chose to ignore a finding."""
    ignored = Ignored(patients.CLASH, "the CPU build is meant here", "2027-01-01", "pyproject.toml:20")
    return replace(patients.healthy(), ignored=(ignored,))
