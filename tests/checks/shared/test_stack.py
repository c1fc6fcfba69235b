from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.checks.shared.stack import (
    gpu_known,
    gpu_stack,
    has_cuda_packages,
    install,
    installed,
    reinstall,
    release,
    remove,
    wants_cuda,
    weight,
)
from gpu_doctor.model.inventory import Distribution, Manager
from gpu_doctor.model.remedy import RunByHand, command
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown
from tests.kit import dist, interpreter, inventory

TORCH = dist("torch", "2.8.0", cuda="12.8")
CPU = dist("torch", "2.8.0+cpu", built="2.8.0+cpu")
PYTHON = "/opt/app/venv/bin/python"


def managed(manager: Manager, **changes: Any) -> Any:
    return inventory(interpreter=interpreter(manager=manager, **changes))


def test_the_stack_is_what_is_active_and_of_it() -> None:
    shadowed, flask = dist("torch", "2.6.0", active=False), dist("flask", "3.0")
    assert gpu_stack(inventory(shadowed, TORCH, flask)) == (TORCH,)
    with pytest.raises(DoesNotApply):
        gpu_stack(inventory(flask, dist("nvidia-ml-py", "13.0")))


def test_what_is_not_installed_is_not_judged() -> None:
    assert installed(inventory(TORCH), "torch") is TORCH
    with pytest.raises(DoesNotApply, match="torch is not installed"):
        installed(inventory(dist("torch", "2.8.0", active=False)), "torch")


def test_a_release_is_a_version_without_its_tag() -> None:
    assert release(dist("torch", "2.8.0+cu128")) == Version("2.8.0")
    with pytest.raises(CannotKnow, match="torch: no METADATA"):
        release(dist("torch", Unknown("no METADATA")))


@pytest.mark.parametrize(
    ("package", "wanted"),
    [
        (TORCH, True),
        (dist("onnxruntime-gpu", "1.20.2"), True),
        (dist("nvidia-cudnn-cu12", "9.10"), True),
        (dist("cupy-cuda12x", "13.0"), True),
        (CPU, False),
        (dist("ctranslate2", "4.8.5"), False),
        (dist("nvidia-ml-py", "13.0"), False),
        (dist("onnxruntime", "1.20.1"), False),
        (dist("torch", "2.8.0", cuda="12.8", active=False), False),
    ],
    ids=lambda value: value.label if isinstance(value, Distribution) else "",
)
def test_what_is_of_no_use_without_a_gpu(package: Distribution, wanted: bool) -> None:
    assert has_cuda_packages(inventory(package)) is wanted
    assert wants_cuda(inventory(package, gpus=())) is wanted
    assert wants_cuda(inventory(package))


def test_how_much_it_weighs_depends_on_what_is_meant() -> None:
    ct2 = dist("ctranslate2", "4.8.5")
    assert weight(inventory(ct2)) == "error"
    assert weight(inventory(ct2, TORCH, gpus=())) == "error"
    assert weight(inventory(ct2, gpus=Unknown("no answer"))) == "warning"
    assert weight(inventory(ct2, gpus=())) == "note"


def test_a_gpu_is_known_where_one_answered_or_was_named() -> None:
    assert gpu_known(inventory())
    assert not gpu_known(inventory(gpus=()))
    assert not gpu_known(inventory(gpus=Unknown("no answer")))


@pytest.mark.parametrize(
    ("manager", "line"),
    [
        ("uv", f"uv pip install --python {PYTHON} 'ctranslate2>=4.6.3,<5'"),
        ("pip", f"{PYTHON} -m pip install 'ctranslate2>=4.6.3,<5'"),
        ("conda", f"{PYTHON} -m pip install 'ctranslate2>=4.6.3,<5'"),
        ("poetry", "poetry add 'ctranslate2>=4.6.3,<5'"),
        ("pipenv", "pipenv install 'ctranslate2>=4.6.3,<5'"),
    ],
)
def test_the_tool_that_owns_the_environment_installs(manager: Manager, line: str) -> None:
    assert command(install(managed(manager), "ctranslate2>=4.6.3,<5")) == line


@pytest.mark.parametrize(
    ("manager", "line"),
    [
        ("uv", f"uv pip uninstall --python {PYTHON} onnxruntime"),
        ("pip", f"{PYTHON} -m pip uninstall -y onnxruntime"),
        ("poetry", "poetry remove onnxruntime"),
        ("pipenv", "pipenv uninstall onnxruntime"),
    ],
)
def test_and_removes(manager: Manager, line: str) -> None:
    assert command(remove(managed(manager), "onnxruntime")) == line


def test_what_conda_installed_conda_changes() -> None:
    here = inventory(
        dist("torch", "2.8.0", installer="conda"),
        dist("faster-whisper", "1.2.1"),
        interpreter=interpreter(manager="conda"),
    )
    assert command(install(here, "torch==2.8.0+cu128", torch_backend="cu128")) == (
        "conda install --yes --prefix /opt/app/venv pytorch-gpu==2.8.0"
    )
    assert command(install(here, "torch==2.8.0")) == "conda install --yes --prefix /opt/app/venv pytorch==2.8.0"
    assert command(remove(here, "torch")) == "conda remove --yes --prefix /opt/app/venv pytorch"
    assert command(install(here, "faster-whisper>=1.2")) == f"{PYTHON} -m pip install 'faster-whisper>=1.2'"


@pytest.mark.parametrize(
    ("manager", "files"), [("poetry", "pyproject.toml and poetry.lock"), ("pipenv", "Pipfile and Pipfile.lock")]
)
def test_a_manager_with_a_lock_is_told_itself_and_what_changes_there(manager: Manager, files: str) -> None:
    here = inventory(dist("ctranslate2", "4.6.1"), interpreter=interpreter(manager=manager))
    owns = f"{manager.capitalize()} owns this environment; changes {files}: "
    added, removed = install(here, "ctranslate2>=4.6.3,<4.8.2", "whisperx"), remove(here, "ctranslate2")
    assert isinstance(added, RunByHand) and isinstance(removed, RunByHand)
    assert added.why == f"{owns}ctranslate2 4.6.1 -> >=4.6.3,<4.8.2, whisperx none -> any"
    assert removed.why == f"{owns}ctranslate2 4.6.1 -> none"


def test_a_prefix_without_a_named_python_still_has_a_command() -> None:
    nameless = managed("pip", executable=None)
    assert command(install(nameless, "torch")) == f"{PYTHON} -m pip install torch"


def test_files_are_written_again_from_where_they_came() -> None:
    again = reinstall(inventory(), dist("torch", "2.8.0+cu126"))
    assert again is not None
    assert command(again).endswith("--reinstall --no-deps --torch-backend=cu126 torch==2.8.0+cu126")
    plain = reinstall(inventory(), dist("ctranslate2", "4.6.1"))
    assert plain is not None
    assert command(plain).endswith("--reinstall --no-deps ctranslate2==4.6.1")
    own = reinstall(inventory(), dist("vllm", "0.10.0+mybuild"))
    assert own is not None
    assert "--torch-backend" not in command(own)
    assert reinstall(inventory(), dist("torch", Unknown("no METADATA"))) is None
