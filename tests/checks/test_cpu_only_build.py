"""cpu-only-build: a build without CUDA, where CUDA is meant."""

from __future__ import annotations

import pytest

from gpu_doctor.model.inventory import BuiltFor, Distribution
from gpu_doctor.model.remedy import InstallPackages, Remedy, RemovePackages
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, only
from tests.kit import PREFIX, dist, gpu, interpreter, inventory

CPU = dist("torch", "2.8.0+cpu", built="2.8.0+cpu")
CUDA = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
VISION = dist("torchvision", "0.23.0+cu128", cuda="12.8", built="0.23.0+cu128")
NO_GPU = {"gpus": (), "driver": None}


def test_a_cpu_torch_beside_a_gpu() -> None:
    finding = only(judge("cpu-only-build", inventory(CPU)))
    assert (finding.severity, finding.subject, finding.seats) == ("error", "torch 2.8.0+cpu", ("torch",))
    assert "RTX 4090 is here" in finding.message
    assert evidence(finding)["torch is built for"] == "CPU only (cuda = None)"
    assert evidence(finding)["GPU"] == "NVIDIA GeForce RTX 4090 (sm_89)"


UV = (("uv", "pip"), f"{PREFIX}/bin/python")


def test_the_cpu_build_goes_first_because_a_plain_requirement_is_met_by_it() -> None:
    """`torch==2.8.0` is met by 2.8.0+cpu; without that any installer takes the default build from the plain index."""
    assert only(judge("cpu-only-build", inventory(CPU))).remedy == Remedy(
        "Install torch 2.8.0 built for CUDA 12.8 (cu128).",
        "ask",
        (RemovePackages(*UV, ("torch",)), InstallPackages(*UV, ("torch==2.8.0",))),
        "changes torch 2.8.0+cpu and downloads some gigabytes; a sync to an older lock file takes it back",
    )


def test_a_cpu_torch_beside_cuda_packages_is_inferred() -> None:
    finding = only(judge("cpu-only-build", inventory(CPU, VISION, **NO_GPU)))
    assert finding.severity == "warning"
    assert "torchvision 0.23.0+cu128 beside it is built for CUDA" in finding.message


def test_an_assumed_gpu_counts_as_one() -> None:
    assumed = (gpu("RTX 5090", (12, 0), assumed=True, where="--gpu"),)
    finding = only(judge("cpu-only-build", inventory(CPU, gpus=assumed)))
    assert (finding.severity, evidence(finding)["GPU"]) == ("error", "RTX 5090 (sm_120)")


def test_a_cpu_torchvision_under_a_cuda_torch() -> None:
    """Its nms and its other operators then exist for the CPU only."""
    vision = dist("torchvision", "0.23.0+cpu", built="0.23.0+cpu")
    finding = only(judge("cpu-only-build", inventory(CUDA, vision)))
    assert (finding.severity, finding.seats) == ("warning", ("torchvision",))
    steps = (RemovePackages(*UV, ("torchvision",)), InstallPackages(*UV, ("torchvision==0.23.0",)))
    assert finding.remedy == Remedy(f"Install what belongs to {CUDA.label}.", "ask", steps, "changes no torch")


@pytest.mark.parametrize(
    "packages",
    [
        (CUDA,),
        (CUDA, VISION),
        (CUDA, dist("torchaudio", "2.11.0", built="2.11.0")),
        (dist("torch", "2.8.0+rocm6.3", built_for=BuiltFor(None, "2.8.0+rocm6.3", "", rocm="6.3")),),
        (dist("torch", "2.8.0+xpu", built="2.8.0+xpu"),),
        (dist("torch", "2.5.0a0+872d972e41.nv24.10", cuda="12.6"), dist("torchvision", "0.20.0a0")),
        (dist("torch", "2.9.0.dev20250901+cu128", cuda="12.8"),),
    ],
    ids=["CUDA", "with torchvision", "torchaudio without code", "ROCm", "Intel", "NGC", "nightly"],
)
def test_healthy(packages: tuple[Distribution, ...]) -> None:
    assert judge("cpu-only-build", inventory(*packages)).status == "passed"


def test_a_cpu_machine_may_be_meant_so() -> None:
    run = judge("cpu-only-build", inventory(CPU, **NO_GPU))
    assert (run.status, run.applies, run.findings) == ("skipped", True, ())
    assert "--gpu" in run.note


def test_a_cpu_torch_for_an_unknown_gpu_is_not_judged() -> None:
    run = judge("cpu-only-build", inventory(CPU, gpus=Unknown("NVML does not answer")))
    assert (run.status, run.note) == ("skipped", "NVML does not answer")


def test_a_torch_that_does_not_say_is_not_judged() -> None:
    run = judge("cpu-only-build", inventory(dist("torch", "2.8.0")))
    assert (run.status, run.applies) == ("skipped", True)


def test_a_gpu_that_no_build_serves_leaves_the_finding_and_no_command() -> None:
    assert only(judge("cpu-only-build", inventory(CPU, gpus=(gpu("Tesla K20", (3, 5)),)))).remedy is None


def test_without_torch_there_is_nothing_to_judge() -> None:
    run = judge("cpu-only-build", inventory(dist("onnxruntime", "1.20.1")))
    assert (run.status, run.applies) == ("skipped", False)


def test_pip_does_it_as_well_and_only_another_build_needs_uv() -> None:
    pip = inventory(CPU, interpreter=interpreter(manager="pip"))
    assert commands(only(judge("cpu-only-build", pip))) == [
        f"{PREFIX}/bin/python -m pip uninstall -y torch",
        f"{PREFIX}/bin/python -m pip install torch==2.8.0",
    ]
    old = inventory(CPU, interpreter=interpreter(manager="pip"), gpus=(gpu("P100", (6, 0)),))
    (line,) = commands(only(judge("cpu-only-build", old)))
    assert line.startswith(f"uv pip install --python {PREFIX}/bin/python --torch-backend=cu126")
