"""driver-library-mismatch: libraries of one release over the kernel module of another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.model.hardware import DriverLibrary, Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Outcome, Probe
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, only
from tests.kit import driver, host, inventory, probe, trial

RULE = "driver-library-mismatch"
MODULE = Version("535.54.03")
# The driver could not be asked, so that nothing is proven but by the files.
SILENT = Unknown("NVML hangs")
NVML_18 = Unknown("nvmlInit failed with NVML error 18 (Driver/library version mismatch: …)")
COMPAT = DriverLibrary(
    "/usr/local/cuda/compat/libcuda.so.1",
    "/usr/local/cuda/compat/libcuda.so.550.54.14",
    "550.54.14",
    "compat",
    "ld.so.cache",
)


def start(code: int = 0) -> Probe:
    outcome: Outcome = "failed" if code else "passed"
    return probe(
        "cuda-init", "libcuda.so.1", "answered", trial("cuInit", outcome, f"{code}", code=str(code), error="E")
    )


def library(version: str | None, name: str = "libcuda", **changes: Any) -> DriverLibrary:
    folder = "/usr/lib/x86_64-linux-gnu"
    base = DriverLibrary(f"{folder}/{name}.so.1", f"{folder}/{name}.so.{version}", version, "driver", "ld.so.cache")
    return replace(base, **changes)


def machine(*probes: Probe, driver: object = SILENT, **changes: Any) -> Inventory:
    seen = host(**{"kernel_module": MODULE, **changes})
    return inventory(host=seen, driver=driver, probes=probes or Unknown("only files were read"))


@pytest.mark.parametrize("field", ["libcuda", "libnvidia_ml"])
def test_a_library_of_another_release(field: str) -> None:
    finding = only(judge(RULE, machine(**{field: library("550.54.14")})))
    assert finding.severity == "error"
    assert "550.54.14" in finding.message
    assert evidence(finding)["kernel module"] == "535.54.03"
    assert commands(finding) == ["sudo reboot"]


def test_two_libraries_of_another_release_are_one_illness() -> None:
    both = machine(libcuda=library("550.54.14"), libnvidia_ml=library("550.54.14", "libnvidia-ml"))
    assert len(judge(RULE, both).findings) == 1


def test_a_container_is_not_told_to_reboot() -> None:
    finding = only(judge(RULE, machine(libcuda=library("550.54.14"), container="docker")))
    assert commands(finding) == ["ldconfig"]
    assert finding.remedy is not None
    assert "image" in finding.remedy.summary


@pytest.mark.parametrize("code", [803, 804])
def test_the_files_and_the_driver_itself_are_one_finding(code: int) -> None:
    finding = only(judge(RULE, machine(start(code), libcuda=library("550.54.14"))))
    assert finding.message == (
        "libcuda.so.1 is of driver 550.54.14, and the loaded kernel module is 535.54.03. "
        f"CUDA does not start: cuInit failed with {code} (E)."
    )
    assert evidence(finding)["asked live: cuInit of libcuda.so.1"] == str(code)
    assert evidence(finding)["kernel module"] == "535.54.03"


def test_the_driver_is_believed_where_the_files_say_nothing() -> None:
    finding = only(judge(RULE, machine(start(803), libcuda=library(None), kernel_module=None)))
    assert (finding.severity, finding.subject) == ("error", "libcuda.so.1")
    assert evidence(finding)["libcuda.so.1"] == "does not say its release"
    assert commands(finding) == ["sudo reboot"]


def test_nvml_says_it_too() -> None:
    nvml = library("535.54.03", "libnvidia-ml")
    finding = only(judge(RULE, machine(driver=NVML_18, libnvidia_ml=nvml)))
    assert (finding.severity, finding.subject) == ("error", "libnvidia-ml.so.1")
    assert evidence(finding)["asked live: NVML"] == NVML_18.reason


def test_a_compat_library_that_this_gpu_refuses() -> None:
    finding = only(judge(RULE, machine(start(804), libcuda=COMPAT, container="docker (/.dockerenv)")))
    assert finding.message.startswith("/usr/local/cuda/compat/libcuda.so.1 is a forward-compatibility libcuda")
    assert commands(finding) == ["grep compat /etc/ld.so.conf.d/*", "ldconfig"]


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/usr/local/cuda/compat:/opt/lib", "export LD_LIBRARY_PATH=/opt/lib"),
        ("/usr/local/cuda/compat/", "unset LD_LIBRARY_PATH"),
    ],
)
def test_a_compat_library_on_the_path_is_taken_off_it(path: str, left: str) -> None:
    named = {"libcuda": replace(COMPAT, rule="LD_LIBRARY_PATH"), "variables": (Variable("LD_LIBRARY_PATH", path),)}
    assert commands(only(judge(RULE, machine(start(804), **named)))) == [left]


def test_a_start_that_succeeds_clears_libcuda_alone() -> None:
    assert judge(RULE, machine(start(), libcuda=library("550.54.14"))).status == "passed"
    nvml = library("550.54.14", "libnvidia-ml")
    assert only(judge(RULE, machine(start(), libnvidia_ml=nvml))).subject == "libnvidia-ml.so.1"


def test_an_nvml_that_answers_is_a_pair() -> None:
    answered = machine(driver=driver(where="NVML"), libnvidia_ml=library("550.54.14", "libnvidia-ml"))
    assert judge(RULE, answered).status == "passed"


@pytest.mark.parametrize("code", [100, 802, 999])
def test_other_errors_of_the_start_are_other_illnesses(code: int) -> None:
    assert judge(RULE, machine(start(code), libcuda=library("535.54.03"))).status == "passed"


def test_the_same_release_is_healthy() -> None:
    assert judge(RULE, machine(libcuda=library("535.54.03"))).status == "passed"


def test_a_compat_library_is_of_another_release_by_design() -> None:
    run = judge(RULE, machine(libcuda=library("550.54.14", kind="compat")))
    assert (run.status, run.applies) == ("skipped", False)


def test_a_library_that_does_not_say_its_release_is_left_open() -> None:
    run = judge(RULE, machine(libcuda=library(None)))
    assert (run.status, "does not say" in run.note) == ("passed", True)


def test_an_unreadable_module_cannot_be_judged() -> None:
    run = judge(RULE, inventory(host=host(kernel_module=Unknown("/proc is not there"), libcuda=library("550.54.14"))))
    assert (run.status, run.applies, run.note) == ("skipped", True, "/proc is not there")


def test_assumed_hardware_is_not_this_machines() -> None:
    seen = replace(machine(libcuda=library("550.54.14")), target=Target("python", None, "--python", ("sm_89",)))
    run = judge(RULE, seen)
    assert (run.status, run.applies) == ("skipped", False)
