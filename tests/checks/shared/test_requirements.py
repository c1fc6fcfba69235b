from __future__ import annotations

from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.checks.shared.requirements import allows, as_asked, requirements
from gpu_doctor.model.unknown import Unknown
from tests.kit import dist, host, interpreter, inventory


def names(*requires: str, **changes: Any) -> list[str]:
    package = dist("torch", "2.8.0", requires=requires)
    return [name for name, _ in requirements(package, inventory(package, **changes), lambda _name: True)]


def test_names_are_canonical() -> None:
    assert names("Nvidia_CUDNN.cu12==9.10.2.21") == ["nvidia-cudnn-cu12"]


def test_extras_do_not_apply_unless_asked_for() -> None:
    assert names('opt-einsum>=3.3; extra == "opt-einsum"', "filelock") == ["filelock"]


def test_a_requirement_with_extras_of_its_own_is_one_of_the_package() -> None:
    assert names("accelerate[torch]>=1.0") == ["accelerate"]


def test_markers_are_those_of_the_target() -> None:
    need = 'triton==3.4.0; platform_system == "Linux" and platform_machine == "x86_64"'
    assert names(need) == ["triton"]
    assert names(need, host=host(machine="aarch64")) == []
    old = 'importlib-metadata; python_version < "3.9"'
    assert names(old) == []
    assert names(old, interpreter=interpreter(version=Version("3.8.20"))) == ["importlib-metadata"]


def test_an_unknown_python_is_not_guessed() -> None:
    either = ('numpy<2; python_version < "3.12"', 'numpy>=2; python_full_version >= "3.12"', "filelock")
    assert names(*either, interpreter=interpreter(version=Unknown("no pyvenv.cfg"))) == ["filelock"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "torch 2.8",
        "torch >= banana",
        "torch ==",
        "name @@ nowhere",
        'torch; os_name ~= "posix"',
        'torch; platform_release >= "5.4-custom kernel"',
        'torch; python_version > "banana"',
        'torch; no_such_variable == "x"',
        "\x00torch",
        "torch;" * 500,
        "torch; " + "(" * 5000 + 'os_name == "posix"' + ")" * 5000,
    ],
)
def test_malformed_requirements_end_nothing(text: str) -> None:
    assert names(text, "filelock")[-1] == "filelock"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nvidia-cublas-cu12==12.8.4.1", "12.8.4.1"),
        ("nvidia-cublas-cu12==12.8.4.1", "12.8.4.1+build7"),
        ("nvidia-cublas-cu12==12.8.4.1", "12.8.4.1.post2"),
        ("torch>=2.5", "2.5.0a0+872d972e41.nv24.10"),
        ("torch>=2.9", "2.9.0.dev20250901+cu128"),
        ("torch==2.9.0.dev20250901", "2.9.0.dev20250901+cu128"),
        ("torch==2.8.0", "2.8.0+cu128"),
        ("torch", "0.0.1"),
        ("torch @ https://example.com/torch.whl", "1.0"),
    ],
)
def test_builds_of_a_release_meet_what_asks_for_the_release(text: str, version: str) -> None:
    assert allows(Requirement(text), Version(version))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nvidia-nvjitlink-cu12==12.8.93", "12.4.127"),
        ("torch==2.5.1", "2.5.0a0+872d972e41.nv24.10"),
        ("torch<2.9", "2.9.0.dev20250901+cu128"),
        ("torch==2.8.0", "2.9.0.dev20250901+cu128"),
        ("torch==2.8.0+cu126", "2.8.0+cu128"),
        ("torch!=2.8.0", "2.8.0"),
    ],
)
def test_another_release_does_not(text: str, version: str) -> None:
    assert not allows(Requirement(text), Version(version))


def test_what_is_installed_is_what_is_asked_for() -> None:
    """cuDNN asks for any cuBLAS, torch for one: torch's word is the one to follow."""
    anyone = dist("nvidia-cudnn-cu12", "9.10.2.21", requires=("nvidia-cublas-cu12",))
    torch = dist("torch", "2.8.0", requires=("nvidia-cublas-cu12==12.8.4.1; sys_platform == 'linux'",))
    shadowed = dist("torch", "2.6.0", requires=("nvidia-cublas-cu12==12.4.5.8",), active=False)
    asked = as_asked(inventory(shadowed, anyone, torch), ["nvidia-cublas-cu12", "nvidia-nccl-cu12"])
    assert asked == ("nvidia-cublas-cu12==12.8.4.1", "nvidia-nccl-cu12")


def test_only_the_wanted_names_are_parsed() -> None:
    package = dist(
        "torch", "2.8.0", requires=("Nvidia.CuDNN_cu12==9.10.2.21", "sympy>=1.13", "not a requirement at all")
    )
    asked = requirements(package, inventory(package), lambda name: name == "nvidia-cudnn-cu12")
    assert [(name, str(need.specifier)) for name, need in asked] == [("nvidia-cudnn-cu12", "==9.10.2.21")]


@pytest.mark.parametrize("text", ["triton==" + "9" * 5000, "triton; " + " or ".join(['os_name == "posix"'] * 20000)])
def test_a_requirement_that_no_author_wrote_is_left_out(text: str) -> None:
    assert names(text, "filelock") == ["filelock"]
