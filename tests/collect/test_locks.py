"""What metadata folders tell of an installation."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_doctor.collect.locks import read_origins
from gpu_doctor.model.inventory import Distribution
from gpu_doctor.model.lock import Origin
from gpu_doctor.model.target import Target
from gpu_doctor.readers.interpreter.interpreter import read_interpreter
from gpu_doctor.readers.packages.wheels import read_distributions
from tests.collect.environment import Environment


@pytest.fixture
def venv(tmp_path: Path) -> Environment:
    made = Environment(tmp_path / "venv")
    made.install("torch", "2.6.0", {"torch/__init__.py": "x"})
    made.install("tidy", "1.0", {"tidy.py": "x"})
    return made


def distributions(made: Environment) -> tuple[Distribution, ...]:
    return read_distributions(read_interpreter(Target(None, str(made.prefix), ""), {}))[0]


def origin(made: Environment, name: str = "torch") -> Origin:
    return read_origins(distributions(made))[name]


def test_time_installer_request_and_digest(venv: Environment) -> None:
    info = venv.site / "torch-2.6.0.dist-info"
    os.utime(info / "RECORD", (1000.0, 1000.0))
    found = origin(venv)
    assert (found.version, found.at, found.installer, found.requested) == ("2.6.0", 1000.0, "uv", False)
    assert found.digest.startswith("sha256:")
    (info / "REQUESTED").touch()
    assert origin(venv).requested


def test_what_it_asks_for_without_extras(venv: Environment) -> None:
    texts = (
        "Sympy>=1.13",
        "nvidia_cudnn.cu12==9.1; platform_system == 'Linux'",
        "optree; extra == 'optree'",
        "sympy",
        ">=1",
    )
    changed = tuple(replace(d, requires=texts) for d in distributions(venv) if d.name == "torch")
    assert read_origins(changed)["torch"].requires == ("sympy", "nvidia-cudnn-cu12")


def test_only_the_gpu_stack_is_digested(venv: Environment) -> None:
    assert origin(venv, "tidy").digest == ""


def test_the_digest_is_that_of_the_files_in_any_order(venv: Environment) -> None:
    first, record = origin(venv).digest, venv.site / "torch-2.6.0.dist-info" / "RECORD"
    lines = record.read_text().splitlines()
    record.write_text("\n".join([*reversed(lines), "../../../bin/torchrun,sha256=abc,7", "torch/x.pyc,sha256=q,1"]))
    assert origin(venv).digest == first
    record.write_text("\n".join([*lines, "torch/more.py,sha256=abc,7"]))
    assert origin(venv).digest != first


def test_without_a_record_the_time_is_that_of_what_is_left_and_nothing_is_digested(venv: Environment) -> None:
    info = venv.site / "torch-2.6.0.dist-info"
    (info / "RECORD").unlink()
    os.utime(info / "INSTALLER", (2000.0, 2000.0))
    assert (origin(venv).at, origin(venv).digest) == (2000.0, "")


def test_what_is_gone_meanwhile_has_no_time(venv: Environment) -> None:
    seen = distributions(venv)
    shutil.rmtree(venv.site / "torch-2.6.0.dist-info")
    assert (read_origins(seen)["torch"].at, read_origins(seen)["torch"].digest) == (None, "")
