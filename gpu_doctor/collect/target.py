"""Choose the environment to look at."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gpu_doctor.model.target import Target
from gpu_doctor.readers.interpreter import choose
from gpu_doctor.readers.text import read_text


def choose_target(
    python: str | None,
    prefix: str | None,
    environ: Mapping[str, str],
    cwd: str,
    gpus: tuple[str, ...],
    driver: str | None,
) -> Target:
    """Choose what the user named, else the environment at hand; raise TargetNotFound where there is none."""
    return choose.choose_target(python, prefix, environ, cwd, gpus, driver)


def project_of(prefix: str) -> str | None:
    """Return the pyproject.toml from which uv syncs this environment, or None where there is none beside it."""
    folder = os.path.dirname(os.path.realpath(prefix))
    path = os.path.join(folder, "pyproject.toml")
    text = read_text(path)
    locked = os.path.exists(os.path.join(folder, "uv.lock"))
    return path if text is not None and (locked or "[tool.uv" in text) else None


def place_of(target: Target, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return an environment's folder, and the folders in it that its interpreter searches for packages."""
    from gpu_doctor.readers.interpreter.interpreter import read_interpreter

    python = read_interpreter(target, environ)
    return python.prefix, tuple(entry.path for entry in python.search_path)
