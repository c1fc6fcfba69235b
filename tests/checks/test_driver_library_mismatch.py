"""driver-library-mismatch: libraries of one release over the kernel module of another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.model.hardware import DriverLibrary
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, only
from tests.kit import host, inventory

RULE = "driver-library-mismatch"
MODULE = Version("535.54.03")


def library(version: str | None, name: str = "libcuda", **changes: Any) -> DriverLibrary:
    folder = "/usr/lib/x86_64-linux-gnu"
    base = DriverLibrary(f"{folder}/{name}.so.1", f"{folder}/{name}.so.{version}", version, "driver", "ld.so.cache")
    return replace(base, **changes)


def machine(**changes: Any) -> Inventory:
    return inventory(host=host(kernel_module=MODULE, **changes))


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
    assert commands(finding) == []
    assert finding.remedy is not None
    assert "image" in finding.remedy.summary


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
