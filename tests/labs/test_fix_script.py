"""The shell script heals real wheels, proved by calling cuDNN, and leaves the lab that shares their bytes as it is."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.labs.build import site_packages
from tests.labs.recipes import CUDNN, LOADER, PARTS

pytestmark = pytest.mark.lab

Lab = Callable[[str], Path]
Shape = dict[str, tuple[object, ...]]

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fix_ctranslate2_cudnn.sh"
NAMES = ("whisperx-cudnn", "folk-fixed")
ORDERS = (("ctranslate2",), ("torch", "ctranslate2"), ("ctranslate2", "torch"))

# Open the bundled loader by its path, as libctranslate2 does, and call what needs no GPU; a sick one aborts.
CALL = """
import ctypes, importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
loader = ctypes.CDLL(sys.argv[1])
loader.cudnnGetVersion.restype = ctypes.c_size_t
descriptor = ctypes.c_void_p()
assert loader.cudnnCreateTensorDescriptor(ctypes.byref(descriptor)) == 0
print(loader.cudnnGetVersion())
"""


def cudnn_says(prefix: Path, after: tuple[str, ...]) -> str:
    """Return the version that cuDNN gives in a fresh process, or how that process ended."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH")}
    command = [str(prefix / "bin/python"), "-B", "-c", CALL, str(site_packages(prefix) / LOADER), *after]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=inherited, timeout=300)
    return run.stdout.strip() if run.returncode == 0 else f"exit {run.returncode}: {run.stderr[-200:]}"


def shape(prefix: Path) -> Shape:
    """Describe everything there; a big file by its inode, because nothing may write into one."""
    found: Shape = {}
    for folder, folders, files in os.walk(prefix):
        for name in (*folders, *files):
            path = Path(folder, name)
            about = path.lstat()
            where = str(path.relative_to(prefix))
            if path.is_symlink():
                found[where] = ("link", os.readlink(path))
            elif path.is_dir():
                found[where] = ("folder", about.st_mode)
            elif about.st_size > 2**20:
                found[where] = ("file", about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino)
            else:
                found[where] = ("file", about.st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
    return {where: what for where, what in found.items() if "__pycache__" not in where}


def run(prefix: Path, *arguments: str, code: int = 0) -> str:
    command = ["bash", str(SCRIPT), "--prefix", str(prefix), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def working_copy(lab: Lab) -> Iterator[Callable[[str], Path]]:
    """Copy a lab by hard links, as uv would fill another environment; what is written there must not reach the lab."""
    made: list[Path] = []

    def copied(name: str) -> Path:
        original = lab(name)
        copy = original.with_name(f"{original.name}.fix-script-{os.getpid()}")
        shutil.rmtree(copy, ignore_errors=True)
        made.append(copy)
        subprocess.run(["cp", "-al", str(original), str(copy)], check=True)
        configuration = (original / "pyvenv.cfg").read_text()
        (copy / "pyvenv.cfg").unlink()
        (copy / "pyvenv.cfg").write_text(configuration)
        return copy

    yield copied
    for copy in made:
        shutil.rmtree(copy, ignore_errors=True)


@pytest.mark.parametrize("name", NAMES)
def test_cudnn_answers_in_every_import_order(lab: Lab, working_copy: Callable[[str], Path], name: str) -> None:
    original, copy = lab(name), working_copy(name)
    untouched, before = shape(original), shape(copy)
    assert cudnn_says(copy, ("ctranslate2",)).startswith("exit -6: ")
    run(copy, "--check", code=1)
    run(copy, "--dry-run")
    assert shape(copy) == before

    assert "healed" in run(copy)
    assert {after: cudnn_says(copy, after) for after in ORDERS} == dict.fromkeys(ORDERS, "91002")
    healed = shape(copy)
    assert "nothing to do" in run(copy)
    run(copy, "--check")
    assert shape(copy) == healed

    run(copy, "--undo")
    assert shape(copy) == before
    assert cudnn_says(copy, ("ctranslate2",)).startswith("exit -6: ")
    assert shape(original) == untouched
    assert cudnn_says(original, ("ctranslate2",)).startswith("exit -6: ")


@pytest.mark.parametrize("name", NAMES)
def test_the_links_are_those_of_the_healthy_twin(lab: Lab, working_copy: Callable[[str], Path], name: str) -> None:
    copy = working_copy(name)
    run(copy)
    libs, twin = (site_packages(prefix) / "ctranslate2.libs" for prefix in (copy, lab("ct2-links")))
    expected = {path.name: os.readlink(path) for path in twin.iterdir() if path.is_symlink()}
    assert len(expected) == len(PARTS)
    found = {path.name: os.readlink(path) for path in libs.iterdir() if path.is_symlink()}
    assert found.pop(Path(LOADER).name, f"../{CUDNN}/libcudnn.so.9") == f"../{CUDNN}/libcudnn.so.9"
    assert found == expected


def test_the_folk_remedy_with_a_backup_gets_its_loader_back(lab: Lab, working_copy: Callable[[str], Path]) -> None:
    copy = working_copy("whisperx-cudnn")
    loader = site_packages(copy) / LOADER
    loader.rename(f"{loader}.bak")
    loader.symlink_to(f"../{CUDNN}/libcudnn.so.9")
    (site_packages(copy) / CUDNN / "libcudnn_ops.so.9.1.0").symlink_to("libcudnn_ops.so.9")
    before = shape(copy)
    run(copy)
    assert loader.samefile(site_packages(lab("whisperx-cudnn")) / LOADER) and not loader.is_symlink()
    assert not (site_packages(copy) / CUDNN / "libcudnn_ops.so.9.1.0").is_symlink()
    assert {after: cudnn_says(copy, after) for after in ORDERS} == dict.fromkeys(ORDERS, "91002")
    run(copy, "--undo")
    assert shape(copy) == before


@pytest.mark.parametrize("name", ["ct2-links", "healthy-whisper"])
def test_the_healthy_twins_are_left_alone(working_copy: Callable[[str], Path], name: str) -> None:
    prefix = working_copy(name)
    before = shape(prefix)
    run(prefix, "--check")
    assert "nothing to do" in run(prefix)
    assert shape(prefix) == before


def test_an_uninstallation_takes_the_links_along(working_copy: Callable[[str], Path]) -> None:
    copy = working_copy("whisperx-cudnn")
    run(copy)
    beside = Path(sys.prefix) / "bin" / "uv"
    uv = str(beside) if beside.exists() else "uv"
    command = [uv, "--quiet", "pip", "uninstall", "--python", str(copy / "bin/python"), "ctranslate2"]
    subprocess.run(command, check=True, capture_output=True)
    libs = site_packages(copy) / "ctranslate2.libs"
    assert not libs.exists() or list(libs.iterdir()) == []
    assert "nothing to do" in run(copy)
    run(copy, "--undo")
    assert not (copy / ".gpu-doctor").exists()
