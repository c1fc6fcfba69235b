"""cuDNN of a real sick environment works with the variables that the doctor names, and aborts without them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.labs.build import site_packages
from tests.labs.copies import ask, clean, gpu_doctor
from tests.labs.recipes import LOADER

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]

CALL = """
import ctypes
loader = ctypes.CDLL({loader!r})
loader.cudnnGetVersion.restype = ctypes.c_size_t
print(loader.cudnnGetVersion())
"""


def call(prefix: Path) -> str:
    """Return code that opens the bundled loader by its path, as libctranslate2 does, and asks for its version."""
    return CALL.format(loader=str(site_packages(prefix) / LOADER))


@pytest.mark.parametrize("name", ["whisperx-cudnn", "folk-fixed"])
def test_cudnn_works_under_run(lab: Lab, name: str) -> None:
    prefix = lab(name)
    python = str(prefix / "bin/python")
    assert ask(prefix, call(prefix)).returncode < 0
    ended = gpu_doctor("run", "--python", python, "--", python, "-B", "-c", call(prefix))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert int(ended.stdout) >= 90000


def test_cudnn_works_after_eval(lab: Lab) -> None:
    prefix = lab("whisperx-cudnn")
    script = 'eval "$("$0" -m gpu_doctor env --shell bash --python "$1")" && exec "$1" -B -c "$2"'
    command = ["bash", "-euc", script, sys.executable, str(prefix / "bin/python"), call(prefix)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, env=clean())
    assert (ended.returncode, ended.stderr) == (0, "")
    assert int(ended.stdout) >= 90000
