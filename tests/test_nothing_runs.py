"""Files alone are read where that was asked, and nothing is ever written: shown by code that would leave a mark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readers import patient
from tests.simulated import packages

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    ("check", "--static"),
    ("check", "--static", "--format", "json"),
    ("check", "--static", "--gpu", "RTX 5090", "--driver", "570.86"),
    ("check", "--select", "package-files-damaged"),
    ("inventory", "--static"),
    ("inventory", "--static", "--format", "json"),
    ("archs",),
    ("where", "libcudnn", "--after", "torch"),
)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that any code of the target would leave."""
    return tmp_path / "the-target-was-run"


@pytest.fixture
def trapped(tmp_path: Path, mark: Path) -> Path:
    """An environment in which everything that could be run or imported leaves the mark."""
    python = f"import pathlib; pathlib.Path({str(mark)!r}).write_text(__name__)\n"
    prefix = patient.venv(tmp_path / "venv", patient.installation(tmp_path / "base"))
    site = patient.site_of(prefix)
    library = b"\x7fELF" + b"\0" * 60
    torch = {
        "torch/__init__.py": python.encode(),
        "torch/version.py": f"{python}__version__ = '2.8.0+cu128'\ncuda = '12.8'\n".encode(),
        "torch/lib/libtorch_cuda.so": library,
    }
    patient.install(site, "torch", "2.8.0", torch, headers="Requires-Dist: nvidia-cudnn-cu12==9.10.2.21\n")
    cudnn = {"nvidia/cudnn/lib/libcudnn.so.9": library, "nvidia/cudnn/__init__.py": python.encode()}
    patient.install(site, "nvidia-cudnn-cu12", "9.10.2.21", cudnn)
    for name in ("sitecustomize.py", "usercustomize.py", "gpu_doctor.py", "packaging.py", "typer.py", "pynvml.py"):
        (site / name).write_text(python)
    (site / "trap.pth").write_text(python.replace("\n", "; 1\n"))
    (site / "torch-2.8.0.dist-info" / "entry_points.txt").write_text("[gpu_doctor.checks]\ntrap = torch\n")
    for name in ("python", "python3", "nvidia-smi", "ldconfig", "pip"):
        script = prefix / "bin" / name
        script.unlink(missing_ok=True)
        script.write_text(f"#!/bin/sh\necho {name} > '{mark}'\n")
        script.chmod(0o755)
    return prefix


def look(prefix: Path, how: tuple[str, ...], *command: str) -> subprocess.CompletedProcess[bytes]:
    """Run the doctor at a folder inside the target, with the target first on PATH."""
    environ = {**os.environ, "PATH": f"{prefix}/bin:{os.environ['PATH']}", "VIRTUAL_ENV": str(prefix)}
    environ = {name: value for name, value in environ.items() if name not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    doctor = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from gpu_doctor.__main__ import main; main()"
    arguments = [sys.executable, "-I", "-c", doctor, *command, *how]
    return subprocess.run(arguments, cwd=patient.site_of(prefix), env=environ, capture_output=True, timeout=60)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_reads_files_alone_runs_nothing_of_the_target(trapped: Path, mark: Path, command: tuple[str, ...]) -> None:
    for how in (("--prefix", str(trapped)), ("--python", f"{trapped}/bin/python"), ()):
        ended = look(trapped, how, *command)
        assert b"Traceback" not in ended.stderr
        assert ended.returncode in (0, 1, 3), ended.stderr
        assert b"torch" in ended.stdout or b"venv" in ended.stdout, ended.stdout
        assert not mark.exists(), f"{mark.read_text()} was run by {command}"


def test_the_trap_works(trapped: Path, mark: Path) -> None:
    """Without this a trap that never closes would prove anything."""
    subprocess.run([f"{trapped}/bin/python"], check=True, timeout=60)
    assert mark.read_text() == "python\n"
    mark.unlink()
    code = f"import site; site.addsitedir({str(patient.site_of(trapped))!r})"
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=60)
    assert mark.exists()


def test_what_reads_files_alone_writes_nothing(trapped: Path, tmp_path: Path) -> None:
    before = _state(tmp_path)
    for command in COMMANDS:
        look(trapped, ("--prefix", str(trapped)), *command)
    assert _state(tmp_path) == before


@pytest.mark.parametrize("command", [("check",), ("inventory",), ("check", "--thorough", "--probe-timeout", "30")])
def test_a_live_look_starts_the_targets_interpreter_and_writes_nothing(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    env = packages.environment(tmp_path).torch("from torch import part\n").onnxruntime().ctranslate2()
    (env.site / "torch" / "part.py").write_text("print('imported', __file__)\nraise ImportError('as asked')\n")
    before = _state(tmp_path)
    ended = look(env.prefix, ("--prefix", str(env.prefix)), *command)
    assert b"ImportError: as asked" in b" ".join(ended.stdout.split()), ended.stderr
    assert _state(tmp_path) == before


def test_a_target_that_runs_programs_at_its_start_does_so_only_where_it_is_asked(trapped: Path, mark: Path) -> None:
    ended = look(trapped, ("--prefix", str(trapped)), "check")
    assert b"Traceback" not in ended.stderr
    assert mark.read_text() == "python\n"


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    paths = sorted(folder.rglob("*"))
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in paths}
