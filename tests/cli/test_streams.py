"""Standard streams that are closed, full or left by their reader: an exit code and at most one line, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_doctor.model import plain
from tests import kit

ROOT = Path(__file__).resolve().parents[2]
needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")


def shell(arguments: str, redirection: str = "", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line with a shell's redirections; PYTHONUNBUFFERED decides whether write or flush fails."""
    command = f'exec "$0" -m gpu_doctor {arguments} {redirection}'
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=ROOT, env={**buffered, **environ}, capture_output=True, timeout=60
    )


@pytest.mark.parametrize("arguments", ["--version", "--help", "rules", "explain driver-missing"])
def test_a_closed_stdout_is_one_line_and_exit_code_3(arguments: str) -> None:
    ended = shell(arguments, ">&-")
    assert (ended.returncode, ended.stderr) == (3, b"gpu-doctor: cannot write to stdout: Bad file descriptor\n")


@needs_dev_full
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["--version", "--help", "check --help", "rules"])
def test_a_full_stdout_is_one_line_and_exit_code_3(arguments: str, unbuffered: str) -> None:
    ended = shell(arguments, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (ended.returncode, ended.stderr) == (3, b"gpu-doctor: cannot write to stdout: No space left on device\n")


@pytest.mark.parametrize("redirection", ["2>&-", pytest.param("2>/dev/full", marks=needs_dev_full)])
def test_without_stderr_the_exit_code_remains(redirection: str) -> None:
    assert shell("check --prefix /nowhere", redirection).returncode == 2
    ended = shell("rules", redirection)
    assert (ended.returncode, ended.stdout.count(b"driver-missing")) == (0, 1)


def test_nothing_that_is_opened_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    saved, report = tmp_path / "inventory.json", tmp_path / "report.json"
    saved.write_text(plain.dumps(kit.inventory(kit.dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"))))
    ended = shell(f"check --fail-on never --from {saved} --format json --output {report}", "<&- >&- 2>&-")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert report.read_text().startswith("{") and report.read_text().endswith("}\n")


def test_a_closed_stdin_is_no_inventory() -> None:
    ended = shell("check --from -", "<&-")
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"gpu-doctor: not an inventory: not JSON")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_a_help_text_that_nobody_reads_is_no_finding(arguments: list[str], unbuffered: str) -> None:
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "gpu_doctor", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environ, stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")
