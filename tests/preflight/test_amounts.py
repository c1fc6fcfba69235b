"""Versions, sizes and counts: met, unmet, and not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests import kit
from tests.preflight.asked import ask, standing

RTX_4090 = kit.gpu(memory_bytes=24564 * 2**20, free_bytes=20 * 10**9)
A10 = kit.gpu("NVIDIA A10", (8, 6), memory_bytes=22731 * 2**20, free_bytes=22 * 10**9)
HERE = kit.inventory(kit.dist("torch", "2.6.0+cu124", cuda="12.4"), gpus=(RTX_4090,))
NOWHERE = replace(HERE, gpus=(), driver=None)
ASSUMED = replace(HERE, target=Target("/opt/app/venv/bin/python", None, "--python", ("RTX 4090",), "570"))
DARK = replace(HERE, gpus=Unknown("NVML hangs"), driver=Unknown("NVML hangs"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("driver>=570", "met"),
        ("driver>=580.95.5", "met"),
        ("driver>=581", "unmet"),
        ("driver>580", "unmet"),
        ("driver<=580", "met"),
        ("driver==580", "met"),
        ("driver<580", "unmet"),
        ("cuda>=12.4", "met"),
        ("cuda==13.0", "met"),
        ("cuda>=13.1", "unmet"),
        ("gpus>=1", "met"),
        ("gpus==1", "met"),
        ("gpus>=2", "unmet"),
        ("vram>=24GB", "met"),
        ("vram>=24GiB", "met"),
        ("vram==24GB", "met"),
        ("vram<=24GB", "met"),
        ("vram>24GB", "unmet"),
        ("vram<24GB", "unmet"),
        ("vram>=32GB", "unmet"),
        ("free-vram>=20GB", "met"),
        ("free-vram>=20GiB", "unmet"),
        ("free-vram>20GB", "unmet"),
        ("ram>=64GiB", "met"),
        ("ram>64GiB", "unmet"),
        ("shm>=8GB", "met"),
        ("shm>=64GB", "unmet"),
        ("package:torch", "met"),
        ("package:torch==2.6.0", "met"),
        ("package:torch>=2.4,<2.7", "met"),
        ("package:torch>=2.4,<2.6", "unmet"),
        ("package:numpy", "unmet"),
        ("python>=3.10", "met"),
        ("python>=3.10,<3.11", "unmet"),
    ],
)
def test_a_number_is_compared_as_documented(text: str, wanted: str) -> None:
    assert standing(text, HERE) == wanted


@pytest.mark.parametrize("text", ["driver>=1", "cuda>=1", "gpus>=1", "vram>=1GB", "free-vram>=1GB"])
def test_what_is_certainly_not_there_is_unmet_and_what_is_not_known_undetermined(text: str) -> None:
    gone, dark = ask(text, NOWHERE), ask(text, DARK)
    assert (gone.standing, dark.standing) == ("unmet", "undetermined")
    assert "There is no NVIDIA" in gone.message
    assert "NVML hangs" in dark.message


def test_the_sentence_says_what_is_there_and_what_was_wished() -> None:
    assert ask("driver>=590", HERE).message == "The driver is 580.95.05, not >=590."
    assert ask("vram>=32GB", HERE).message == "NVIDIA GeForce RTX 4090 has 25.8 GB (24.0 GiB), not >=32GB."
    assert ask("package:torch>=2.8", HERE).message == "torch 2.6.0+cu124 is installed, not >=2.8."
    assert ask("gpus>=1", HERE).message == "1 GPU is visible."


def test_every_visible_gpu_must_have_the_memory() -> None:
    both = replace(HERE, gpus=(RTX_4090, kit.gpu("GT 1030", (6, 1), memory_bytes=2 * 2**30)))
    assert ask("vram>=24GB", both).message.startswith("GT 1030 has 2.1 GB")
    hidden = replace(both, host=kit.host(variables=(Variable("CUDA_VISIBLE_DEVICES", "0"),)))
    assert standing("vram>=24GB", hidden) == "met"
    assert standing("gpus==1", hidden) == "met"


def test_a_gpu_that_does_not_tell_is_undetermined_unless_another_decides() -> None:
    silent = kit.gpu("Tesla", memory_bytes=None)
    assert standing("vram>=8GB", replace(HERE, gpus=(RTX_4090, silent))) == "undetermined"
    assert standing("vram>=32GB", replace(HERE, gpus=(RTX_4090, silent))) == "unmet"


def test_hidden_gpus_are_not_there() -> None:
    hidden = replace(HERE, host=kit.host(variables=(Variable("CUDA_VISIBLE_DEVICES", "-1"),)))
    found = ask("gpus>=1", hidden)
    assert (found.standing, found.message) == ("unmet", "CUDA_VISIBLE_DEVICES=-1 hides every GPU from programs.")
    part = replace(HERE, host=kit.host(variables=(Variable("CUDA_VISIBLE_DEVICES", "MIG-1"),)))
    assert standing("gpus>=1", part) == "undetermined"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"cgroup_limit_bytes": 16 * 10**9}, "unmet"),
        ({"cgroup_limit_bytes": 2**60}, "met"),
        ({"cgroup_limit_bytes": Unknown("cannot read")}, "undetermined"),
        ({"memory_bytes": Unknown("cannot read")}, "undetermined"),
    ],
)
def test_the_limit_of_a_control_group_counts(changes: dict[str, Any], wanted: str) -> None:
    assert standing("ram>=32GB", replace(HERE, host=kit.host(**changes))) == wanted


def test_an_unreadable_shm_and_unknown_versions_are_undetermined() -> None:
    assert standing("shm>=1GB", replace(HERE, host=kit.host(shm_bytes=Unknown("not mounted")))) == "undetermined"
    odd = kit.inventory(kit.dist("torch", Unknown("odd")), interpreter=kit.interpreter(version=Unknown("no header")))
    assert standing("package:torch>=2", odd) == "undetermined"
    assert standing("package:torch", odd) == "met"
    assert standing("python>=3.8", odd) == "undetermined"
    assert standing("cuda>=12", replace(HERE, driver=kit.driver(cuda=None))) == "undetermined"


def test_this_machine_does_not_stand_in_for_the_one_that_is_assumed() -> None:
    assert [standing(text, ASSUMED) for text in ("ram>=1GB", "shm>=1GB", "free-vram>=1GB")] == ["undetermined"] * 3
    assert [standing(text, ASSUMED) for text in ("vram>=24GB", "driver>=570", "gpus>=1")] == ["met"] * 3


def test_a_version_is_no_more_precise_than_its_bound() -> None:
    short: Inventory = replace(HERE, driver=kit.driver("570"))
    assert isinstance(short.driver and short.driver.version, Version)  # type: ignore[union-attr]
    assert standing("driver>=570.86", short) == "unmet"
    assert standing("driver==570", short) == "met"
