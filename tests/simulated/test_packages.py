"""The kit's environments are real, to the readers of files and to their own Python."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from packaging.version import Version

from gpu_doctor.readers.packages.damage import find_damages
from gpu_doctor.readers.packages.record import read_records
from tests.readers.patient import distributions
from tests.simulated.packages import POISONS, environ, environment


def test_the_readers_take_its_packages_for_real(tmp_path: Path) -> None:
    env = environment(tmp_path).torch().onnxruntime().ctranslate2()
    env.install("whisperx", "3.4.2", {"whisperx/__init__.py": ""}, requires=("torch>=2.5", "ctranslate2<5"))
    found = {item.name: item for item in distributions(env.site)}
    assert {name: str(item.version) for name, item in found.items()} == {
        "ctranslate2": "4.6.3",
        "onnxruntime-gpu": "1.20.2",
        "torch": "2.8.0+cu128",
        "whisperx": "3.4.2",
    }
    assert found["whisperx"].requires == ("torch>=2.5", "ctranslate2<5")
    built_for = found["torch"].built_for
    assert built_for is not None
    assert built_for.cuda == Version("12.8")
    assert find_damages(read_records(found.values())) == ()


def test_its_python_imports_what_was_installed_and_nothing_else(tmp_path: Path) -> None:
    env = environment(tmp_path).torch().onnxruntime().ctranslate2()
    code = "import sys, torch, onnxruntime, ctranslate2; print(torch.__version__, torch.version.cuda, sys.prefix)"
    run = subprocess.run([env.python, "-c", code], env=environ(), capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["2.8.0+cu128", "12.8", str(env.prefix)]
    missing = subprocess.run([env.python, "-c", "import pytest"], env=environ(), capture_output=True, check=False)
    assert b"ModuleNotFoundError" in missing.stderr


@pytest.mark.parametrize("name", POISONS)
def test_a_poison_is_python_of_every_version(name: str) -> None:
    compile(POISONS[name].code, name, "exec")
    re.compile(POISONS[name].said)
