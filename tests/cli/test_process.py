"""The command line as a process: what a shell, a pipe and a script see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_doctor import __version__
from gpu_doctor.model import plain
from tests import kit
from tests.readers import patient

ROOT = Path(__file__).resolve().parents[2]


def start(*arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LC_ALL", "LANG")}
    command = [sys.executable, "-m", "gpu_doctor", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**clean, **environ}, capture_output=True, timeout=60)


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """A healthy inventory, in a file."""
    file = tmp_path / "inventory.json"
    file.write_text(plain.dumps(kit.inventory(kit.dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"))))
    return str(file)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_one_line(option: str) -> None:
    ended = start(option)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"gpu-doctor {__version__}\n".encode(), b"")


def test_the_version_needs_nothing_but_the_package_itself() -> None:
    code = "import sys; sys.argv[1:] = ['--version']; from gpu_doctor.__main__ import main; main(); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"typer", "rich", "cattrs", "packaging", "json"}.isdisjoint(ended.stdout.split())


def test_a_check_imports_neither_rich_nor_cattrs() -> None:
    code = (
        "import sys; from gpu_doctor.cli import app; import gpu_doctor.doctor, gpu_doctor.report.as_json\n"
        "print('rich' in sys.modules, 'cattrs' in sys.modules); import gpu_doctor.report.as_text\n"
        "print('rich.console' in sys.modules, 'cattrs' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "False False\nFalse False\n"


def test_a_stream_without_unicode_gets_ascii(saved: str) -> None:
    ended = start("check", "--from", saved, PYTHONIOENCODING="ascii")
    assert ended.returncode in (0, 1)
    assert ended.stdout.isascii()
    assert b" - chosen by --python\n" in ended.stdout


def test_a_locale_without_unicode_finds_files_all_the_same(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    torch = {"torch/größe.so": b"\x7fELF", "torch/version.py": b"cuda = '12.8'\n"}
    patient.install(site, "torch", "2.8.0", torch)
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = start("check", "--prefix", str(tmp_path), "--select", "package-files-damaged", **locale)
    assert (ended.returncode, ended.stderr) == (0, b"")
    ended = start("archs", "--prefix", str(tmp_path), **locale)
    assert (ended.returncode, b"gr\\xf6\\xdfe.so" in ended.stdout) == (0, True), ended.stdout


def test_progress_and_colour_stay_out_of_pipes(saved: str) -> None:
    ended = start("check", "--from", saved, TERM="xterm-256color")
    assert ended.stderr == b""
    assert b"\x1b" not in ended.stdout


def test_a_reader_that_goes_away_is_no_failure() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "gpu_doctor", "rules"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    errors = child.stderr.read()
    assert (child.wait(timeout=60), errors) == (0, b"")
    child.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_exit_code_3() -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "gpu_doctor", "rules"]
        ended = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert ended.returncode == 3
    assert ended.stderr == b"gpu-doctor: cannot write to stdout: No space left on device\n"


def test_control_c_ends_with_130_and_one_line(tmp_path: Path) -> None:
    fifo = tmp_path / "never-written"
    os.mkfifo(fifo)
    child = subprocess.Popen(
        [sys.executable, "-m", "gpu_doctor", "check", "--from", str(fifo)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        # A suite started in the background inherits a SIGINT that is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # The child blocks in open() until someone opens the other end: then it waits for text, and is interrupted.
    with fifo.open("wb"):
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (130, b"gpu-doctor: interrupted\n")
