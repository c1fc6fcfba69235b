"""Environments on disk that the comparing commands are tried on, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.cli.app import run
from tests.collect.environment import Environment

Run = Callable[..., tuple[int, str, str]]

CUDA = {"torch/version.py": "__version__ = '2.6.0+cu124'\ncuda = '12.4'\n", "torch/__init__.py": "x"}
CPU = {"torch/version.py": "__version__ = '2.6.0+cpu'\ncuda = None\n", "torch/__init__.py": "x"}


def healthy(folder: Path) -> Environment:
    """An environment with torch for CUDA, in which files alone find nothing."""
    made = Environment(folder)
    made.install("torch", "2.6.0+cu124", CUDA)
    made.install("tidy", "1.0", {})
    return made


def remove(made: Environment, name: str) -> None:
    """Remove a distribution's metadata, as an uninstallation does."""
    (info,) = made.site.glob(f"{name}-*.dist-info")
    for file in info.iterdir():
        file.unlink()
    info.rmdir()


def started(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Put the process where nothing but the home folder is known."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.chdir(home)
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "LD_LIBRARY_PATH", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def caller(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs one command line and gives its exit code and both streams."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        return (code, *capsys.readouterr())

    return call
