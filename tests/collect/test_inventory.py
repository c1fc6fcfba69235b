"""Target → Inventory: every room of the readers is entered, and without a live question nothing of the target runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from gpu_doctor.collect.inventory import take_inventory
from gpu_doctor.collect.wish import Wish
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import UNASKED, Inventory, StrayLink
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.collect.environment import Environment

TORCH = "__version__ = '2.8.0+cu128'\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n"
FILES_ALONE = Wish(frozenset())


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = Environment(tmp_path / "venv")
    made.install("torch", "2.8.0", {"torch/version.py": TORCH}, "nvidia-cudnn-cu12==9.10.2.21")
    return made


def take(
    environment: Environment, *gpus: str, driver: str | None = "580.65.06", said: list[str] | None = None
) -> Inventory:
    target = Target(None, str(environment.prefix), "--prefix", gpus or ("RTX 4090",), driver)
    words = said if said is not None else []
    return take_inventory(target, {"LD_LIBRARY_PATH": "/opt/mine"}, Facts.load(), words.append, FILES_ALONE)


def test_packages_are_read_with_what_they_were_built_for(environment: Environment) -> None:
    seen = take(environment)
    torch = seen.distribution("torch")
    assert torch is not None
    assert (torch.version, torch.label, torch.requires) == (
        Version("2.8.0"),
        "torch 2.8.0+cu128",
        ("nvidia-cudnn-cu12==9.10.2.21",),
    )
    assert torch.built_for is not None
    assert torch.built_for.cuda == Version("12.8")
    assert (seen.interpreter.version, seen.interpreter.manager) == (Version("3.11.7"), "uv")
    assert seen.host.variable("LD_LIBRARY_PATH") == "/opt/mine"


def test_the_hardware_is_what_the_user_named(environment: Environment) -> None:
    seen = take(environment, "T4", "sm_120")
    assert isinstance(seen.gpus, tuple)
    assert [(gpu.sm, gpu.assumed, gpu.where) for gpu in seen.gpus] == [
        ("sm_75", True, "--gpu"),
        ("sm_120", True, "--gpu"),
    ]
    assert seen.driver is not None
    assert not isinstance(seen.driver, Unknown)
    assert (seen.driver.label, seen.driver.assumed) == ("580.65.06", True)


def test_damage_of_the_gpu_stack_alone_is_searched(environment: Environment) -> None:
    environment.install("flask", "3.0", {"flask/app.py": "x = 1\n"})
    (environment.site / "flask/app.py").unlink()
    (environment.site / "torch/version.py").unlink()
    assert [(d.owner, d.problem) for d in take(environment).damages] == [("torch", "missing")]


def test_two_owners_of_one_path_are_told(environment: Environment) -> None:
    environment.install("nvidia-cudnn-cu12", "9.10.2.21", {"nvidia/cudnn/lib/libcudnn.so.9": "twelve"})
    environment.install("nvidia-cudnn-cu13", "9.12.0.46", {"nvidia/cudnn/lib/libcudnn.so.9": "thirteen"})
    (overlap,) = take(environment).overlaps
    assert (overlap.owners, overlap.winner) == (("nvidia-cudnn-cu12", "nvidia-cudnn-cu13"), "nvidia-cudnn-cu13")


def test_a_library_that_is_none_is_an_observation_not_an_exception(environment: Environment) -> None:
    environment.install("nvidia-cudnn-cu12", "9.10.2.21", {"nvidia/cudnn/lib/libcudnn.so.9": "no ELF file"})
    (library,) = take(environment).libraries
    assert (library.name, library.package) == ("libcudnn.so.9", "nvidia-cudnn-cu12")
    assert isinstance(library.elf, Unknown)


def test_links_that_somebody_placed_beside_libraries_are_told_also_where_they_lead_nowhere(
    environment: Environment,
) -> None:
    environment.install("nvidia-cudnn-cu12", "9.10.2.21", {"nvidia/cudnn/lib/libcudnn.so.9": "no ELF file"})
    folder = environment.site / "nvidia/cudnn/lib"
    (folder / "libcudnn.so.8").symlink_to("libcudnn.so.9")
    (folder / "libcudnn_ops.so.9.1.0").symlink_to("libcudnn_ops.so.9")
    seen = take(environment)
    assert seen.links == (
        StrayLink(f"{folder}/libcudnn.so.8", "libcudnn.so.9", exists=True),
        StrayLink(f"{folder}/libcudnn_ops.so.9.1.0", "libcudnn_ops.so.9", exists=False),
    )
    assert [(library.name, library.package) for library in seen.libraries] == [
        ("libcudnn.so.8", None),
        ("libcudnn.so.9", "nvidia-cudnn-cu12"),
    ]


def test_progress_is_told_in_the_order_of_the_path(environment: Environment) -> None:
    said: list[str] = []
    take(environment, said=said)
    assert said == [
        "reading packages",
        "comparing files with their records",
        "reading libraries and their GPU code",
        "following the loader",
    ]


def test_an_empty_environment_is_an_inventory_too(tmp_path: Path) -> None:
    seen = take(Environment(tmp_path / "venv"))
    assert (seen.distributions, seen.libraries, seen.resolutions, seen.symbols) == ((), (), (), ())
    assert seen.probes == UNASKED
