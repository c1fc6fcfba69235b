"""driver-too-old: minor-version compatibility, right to the last digit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.model.hardware import DriverLibrary
from gpu_doctor.model.inventory import Distribution
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import dist, driver, gpu, host, inventory, probe, trial

CUDA_12 = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
CUDA_13 = dist("torch", "2.12.0", cuda="13.0", built="2.12.0+cu130")


def test_cuda_13_on_driver_570() -> None:
    finding = only(judge("driver-too-old", inventory(CUDA_13, driver=driver("570.86.15", "12.8"))))
    assert finding.severity == "error"
    assert "570.86.15" in finding.message
    assert "torch 2.12.0+cu130" in finding.message
    assert evidence(finding)["lowest driver for CUDA 13"] == "580"
    assert set(finding.seats) == {"driver", "torch"}
    assert commands(finding) == [
        "uv pip install --python /opt/app/venv/bin/python --torch-backend=cu126 torch==2.12.0+cu126"
    ]


def test_the_live_refusal_is_evidence_of_the_same_illness() -> None:
    words = "RuntimeError: The NVIDIA driver on your system is too old (found version 12080)."
    refused = probe("torch-gpu", "GPU 0", "answered", trial("is available", "failed", words))
    seen = inventory(CUDA_13, driver=driver("570.86.15", "12.8"), probes=(refused,))
    assert evidence(only(judge("driver-too-old", seen)))["asked live: is available in torch on GPU 0"] == words
    alarms = [finding.rule for finding in judge_all(seen).findings if finding.severity == "error"]
    assert alarms == ["driver-too-old"]


def test_a_kernel_that_runs_clears_torch_alone() -> None:
    ran = probe("torch-gpu", "GPU 0", "answered", trial("launch kernel"))
    old = inventory(CUDA_13, driver=driver("570.86.15", "12.8"), probes=(ran,))
    assert judge("driver-too-old", old).status == "passed"
    both = inventory(CUDA_13, dist("cupy-cuda13x", "14.0"), driver=driver("570.86.15", "12.8"), probes=(ran,))
    assert only(judge("driver-too-old", both)).seats == ("driver", "cupy-cuda13x")


def test_every_package_that_is_too_new_is_one_finding() -> None:
    both = inventory(CUDA_13, dist("cupy-cuda13x", "14.0"), driver=driver("535.129.03", "12.2"))
    finding = only(judge("driver-too-old", both))
    assert {"torch", "cupy-cuda13x"} < set(finding.seats)
    assert finding.remedy is not None
    assert (finding.remedy.safety, finding.remedy.steps) == ("manual", ())


def test_a_torch_that_is_not_to_blame_is_left_alone() -> None:
    cuda_11 = dist("torch", "2.3.1+cu118", cuda="11.8", built="2.3.1+cu118")
    finding = only(
        judge("driver-too-old", inventory(cuda_11, dist("ctranslate2", "4.6.0"), driver=driver("470.82.01", "11.4")))
    )
    assert "ctranslate2" in finding.message
    assert "torch" not in finding.seats
    assert finding.remedy is not None
    assert "525.60.13" in finding.remedy.summary


def test_a_driver_is_written_as_nvidia_writes_it() -> None:
    finding = only(judge("driver-too-old", inventory(CUDA_12, driver=driver("450.80.02", "11.0"))))
    assert (finding.subject, evidence(finding)["driver"]) == ("driver 450.80.02", "450.80.02")


@pytest.mark.parametrize(
    ("package", "version"),
    [
        (CUDA_12, "525.60.13"),
        (CUDA_12, "535.288.01"),
        (CUDA_12, "580.95.05"),
        (CUDA_13, "580.65.06"),
        (CUDA_13, "580"),
        (CUDA_13, "999.10"),
        (dist("torch", "2.15.0", cuda="13.2", built="2.15.0+cu132"), "580.65.06"),
        (dist("torch", "1.13.1", cuda="11.7", built="1.13.1+cu117"), "450.80.02"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.label,
)
def test_minor_version_compatibility_is_health(package: Distribution, version: str) -> None:
    assert judge("driver-too-old", inventory(package, driver=driver(version))).status == "passed"


@pytest.mark.parametrize(
    ("package", "version"), [(CUDA_12, "525.60.12"), (CUDA_12, "520.61.05"), (CUDA_13, "575.57.08")]
)
def test_just_below_the_line_is_too_old(package: Distribution, version: str) -> None:
    assert judge("driver-too-old", inventory(package, driver=driver(version))).status == "failed"


@pytest.mark.parametrize(
    "package",
    [
        dist("torch", "2.8.0+cpu", built="2.8.0+cpu"),
        dist("torch", "2.8.0+rocm6.3", built="2.8.0+rocm6.3"),
        dist("onnxruntime", "1.20.1"),
        dist("nvidia-cublas", "13.0.0.19"),
    ],
    ids=lambda package: package.label,
)
def test_what_is_not_built_for_cuda_asks_for_no_driver(package: Distribution) -> None:
    assert judge("driver-too-old", inventory(package, driver=driver("390.157", None))).status == "passed"


def test_windows_numbers_count_in_wsl() -> None:
    wsl = host(wsl=True)
    old, enough = driver("526.98", "12.0"), driver("527.41", "12.0")
    assert judge("driver-too-old", inventory(CUDA_12, driver=old, host=wsl)).status == "failed"
    assert judge("driver-too-old", inventory(CUDA_12, driver=enough, host=wsl)).status == "passed"


def test_a_compat_library_lifts_the_limit() -> None:
    compat = DriverLibrary(
        "/usr/local/cuda/compat/libcuda.so.1", "/usr/local/cuda/compat/libcuda.so.580", None, "compat", ""
    )
    lifted = inventory(CUDA_13, driver=driver("535.129.03"), host=host(libcuda=compat))
    run = judge("driver-too-old", lifted)
    assert (run.status, run.applies) == ("skipped", True)
    assert "compat" in run.note


def test_this_machines_compat_library_does_not_speak_for_an_assumed_driver() -> None:
    compat = DriverLibrary(
        "/usr/local/cuda/compat/libcuda.so.1", "/usr/local/cuda/compat/libcuda.so.580", None, "compat", ""
    )
    assumed = inventory(CUDA_13, driver=driver("535.129.03", assumed=True), host=host(libcuda=compat))
    assert judge("driver-too-old", assumed).status == "failed"


def test_an_unknown_driver_is_not_judged() -> None:
    run = judge("driver-too-old", inventory(CUDA_13, driver=Unknown("the driver is not known: give --driver")))
    assert (run.status, run.note) == ("skipped", "the driver is not known: give --driver")


def test_cuda_beyond_the_facts_is_said_not_guessed() -> None:
    future = dist("torch", "9.0.0", cuda="77.0", built="9.0.0+cu770")
    run = judge("driver-too-old", inventory(future, dist("ctranslate2", "99.0")))
    assert run.status == "passed"
    assert "CUDA 77.0 is newer than the facts" in run.note
    assert "ctranslate2 99.0" in run.note


def test_no_driver_is_another_illness() -> None:
    run = judge("driver-too-old", inventory(CUDA_13, driver=None))
    assert (run.status, run.applies) == ("skipped", False)


def test_a_shadowed_distribution_is_not_judged() -> None:
    shadowed = replace(CUDA_13, active=False)
    assert judge("driver-too-old", inventory(shadowed, CUDA_12, driver=driver("570.26"))).status == "passed"


def test_a_gpu_of_two_kinds_gets_a_torch_for_both() -> None:
    sick = inventory(CUDA_13, driver=driver("550.54.14"), gpus=(gpu(), gpu("Tesla T4", (7, 5))))
    assert commands(only(judge("driver-too-old", sick)))[0].endswith("torch==2.12.0+cu126")
