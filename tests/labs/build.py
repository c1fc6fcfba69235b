"""Build a lab environment once per machine: `python -m tests.labs.build NAME…` prints where each one is."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.labs.recipes import RECIPES, Halve, Install, Link, Recipe, Step, Uninstall

STEP_SECONDS = 1800


class LabNotBuilt(Exception):
    """Say in one line which lab could not be built and what uv answered."""


def labs_folder() -> Path:
    """Return the folder of all labs: `$GPU_DOCTOR_LABS`, else one in the user's cache.

    Keep it on uv's file system: uv then links what it has instead of copying gigabytes.
    """
    chosen = os.environ.get("GPU_DOCTOR_LABS")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    usable = os.access(Path(cache).parent, os.W_OK) or os.access(cache, os.W_OK)
    return Path(cache if usable else tempfile.gettempdir()) / "gpu-doctor-labs"


def build(name: str) -> Path:
    """Return the environment of this recipe, building it if this machine has not yet; raise LabNotBuilt."""
    recipe = RECIPES[name]
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    prefix = labs_folder() / f"{recipe.key()}-{version}"
    prefix.parent.mkdir(parents=True, exist_ok=True)
    done = prefix / ".done"
    with _alone(prefix.with_name(prefix.name + ".lock")):
        if not done.exists():
            shutil.rmtree(prefix, ignore_errors=True)
            _build(name, recipe, prefix)
            done.touch()
    return prefix


def site_packages(prefix: Path) -> Path:
    """Return the environment's site-packages."""
    return next((prefix / "lib").glob("python3*/site-packages"))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process at a time build; the others wait and then find the marker."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(name: str, recipe: Recipe, prefix: Path) -> None:
    _uv(name, "venv", "--python", sys.executable, str(prefix))
    for step in recipe.steps:
        _follow(name, step, prefix)


def _follow(name: str, step: Step, prefix: Path) -> None:
    python = str(prefix / "bin/python")
    if isinstance(step, Install):
        place = ["--target", str(prefix / step.into)] if step.into else []
        _uv(name, "pip", "install", "--python", python, *place, *step.requirements)
    elif isinstance(step, Uninstall):
        _uv(name, "pip", "uninstall", "--python", python, *step.names)
    else:
        spoil(site_packages(prefix), step)


def spoil(site: Path, step: Link | Halve) -> None:
    """Put something else in a file's place; never write into the file, because uv links it into other environments."""
    path = site / step.path
    new = path.with_name(path.name + ".new")
    if isinstance(step, Link):
        new.symlink_to(step.points_to)
    else:
        content = path.read_bytes()
        new.write_bytes(content[: len(content) // 2])
        shutil.copymode(path, new)
    new.replace(path)


def _uv(name: str, *arguments: str) -> None:
    command = [_find_uv(), "--quiet", *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=STEP_SECONDS, env=environment)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise LabNotBuilt(f"lab {name} could not be built: {problem}") from problem
    if run.returncode:
        answer = " ".join(run.stderr.split())[-600:]
        raise LabNotBuilt(f"lab {name} could not be built: uv {' '.join(arguments[:2])} says: {answer}")


def _find_uv() -> str:
    """Return the uv beside this interpreter (the dev group installs it), else the one on PATH."""
    beside = Path(sys.prefix) / "bin" / "uv"
    return str(beside) if beside.exists() else "uv"


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        print(build(wanted))
