"""A working copy of a lab, which may be repaired, and what tells that the lab itself stayed as it was."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from gpu_doctor.fix.ground import HOME

SECONDS = 600
_SMALL = 1 << 20

Tree = dict[str, tuple[object, ...]]


def copy(lab: Path, place: Path) -> Path:
    """Make an environment of its own whose files are the lab's by hard links, as package managers make them."""
    prefix = place / "venv"
    subprocess.run(["cp", "-al", str(lab), str(prefix)], check=True)
    config = (prefix / "pyvenv.cfg").read_text()
    (prefix / "pyvenv.cfg").unlink()
    (prefix / "pyvenv.cfg").write_text(config)
    (prefix / ".done").unlink(missing_ok=True)
    return prefix


def python(prefix: Path) -> str:
    return str(prefix / "bin/python")


def clean(**more: str) -> dict[str, str]:
    """Return this process's variables without what would choose or change an environment."""
    left_out = ("VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "CONDA_PREFIX")
    return {**{key: value for key, value in os.environ.items() if key not in left_out}, **more}


def gpu_doctor(*arguments: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    command = [sys.executable, "-m", "gpu_doctor", *arguments]
    environment = {**clean(), **(variables or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)


def ask(prefix: Path, code: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in the environment's interpreter, writing no bytecode."""
    command = [python(prefix), "-B", "-c", code]
    environment = {**clean(), **(variables or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the uv of the test environment."""
    beside = Path(sys.prefix) / "bin" / "uv"
    program = str(beside) if beside.exists() else shutil.which("uv") or "uv"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=SECONDS, env=clean())


def tree(prefix: Path) -> Tree:
    """Return everything in an environment: kind, mode, target of links; of files size, time, number, small ones' content.

    The number and time of a file tell an exchanged or rewritten one without reading gigabytes. Bytecode is left out,
    because whoever imports writes it, and so is the journal.
    """
    found: Tree = {}
    for place, folders, names in os.walk(prefix):
        folders[:] = [name for name in folders if name not in ("__pycache__", HOME)]
        for name in (*folders, *names):
            path = Path(place, name)
            status = path.lstat()
            if path.is_symlink():
                what: tuple[object, ...] = ("link", os.readlink(path))
            elif path.is_dir():
                what = ("folder", oct(status.st_mode))
            else:
                digest = hashlib.sha256(path.read_bytes()).hexdigest() if status.st_size < _SMALL else ""
                what = (oct(status.st_mode), status.st_size, status.st_mtime_ns, status.st_ino, digest)
            found[str(path.relative_to(prefix))] = what
    return found
