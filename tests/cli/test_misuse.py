"""Options that make no sense, and documents and folders that are not what they should be: one clear line, exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_doctor.checks.engine.registry import load_rules
from gpu_doctor.cli.app import run
from gpu_doctor.model import plain
from tests import kit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A healthy inventory, in a file."""
    file = tmp_path / "inventory.json"
    file.write_text(plain.dumps(kit.inventory(kit.dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"))))
    return file


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command line that must be refused and return what it says, without the doctor's name and the hint."""
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()[0].removeprefix("gpu-doctor: ")


@pytest.mark.parametrize("option", ["--python", "--prefix", "--driver"])
@pytest.mark.parametrize("command", ["check", "inventory"])
def test_an_empty_option_is_no_wish(capsys: pytest.CaptureFixture[str], command: str, option: str) -> None:
    assert refused(capsys, command, option, "") == f"{option} is empty"


@pytest.mark.parametrize("library", ["", " "])
def test_an_empty_library_is_no_question(capsys: pytest.CaptureFixture[str], library: str) -> None:
    assert refused(capsys, "where", library, "--prefix", "/usr").startswith("LIBRARY is empty")


def test_an_empty_driver_is_no_wish_for_a_saved_inventory(capsys: pytest.CaptureFixture[str], saved: Path) -> None:
    assert refused(capsys, "check", "--from", str(saved), "--driver", "") == "--driver is empty"


@pytest.mark.parametrize("names", ["", ",", " , "])
def test_an_empty_selection_is_not_all_rules(capsys: pytest.CaptureFixture[str], saved: Path, names: str) -> None:
    assert refused(capsys, "check", "--from", str(saved), "--select", names) == "--select names no rule"


def test_nothing_is_ignored_by_an_empty_list(saved: Path) -> None:
    assert run(["check", "--from", str(saved), "--ignore", ""]) == run(["check", "--from", str(saved)])


@pytest.mark.parametrize(
    "options",
    [
        ("--select", "driver-missing", "--ignore", "driver-missing"),
        ("--ignore", ",".join(item.rule.id for item in load_rules())),
    ],
    ids=["both", "all"],
)
def test_no_rule_left_is_no_check(capsys: pytest.CaptureFixture[str], saved: Path, options: tuple[str, ...]) -> None:
    said = refused(capsys, "check", "--from", str(saved), *options)
    assert said == "--select and --ignore leave no rule to run"


def test_an_output_that_cannot_be_a_file(capsys: pytest.CaptureFixture[str], saved: Path, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    loop = str(tmp_path / "loop")
    assert refused(capsys, "check", "--from", str(saved), "--output", "") == "--output is empty: name a file"
    assert refused(capsys, "check", "--from", str(saved), "--output", str(tmp_path)).endswith("Is a directory")
    assert refused(capsys, "check", "--from", str(saved), "--output", loop).startswith(f"cannot write {loop}: ")


def test_an_inventory_with_a_byte_order_mark_is_one(saved: Path) -> None:
    saved.write_bytes(b"\xef\xbb\xbf" + saved.read_bytes())
    assert run(["check", "--from", str(saved), "--fail-on", "never"]) == 0


def test_an_inventory_on_stdin_is_bytes_whatever_the_terminal_speaks(saved: Path) -> None:
    command = [sys.executable, "-m", "gpu_doctor", "check", "--from", "-"]
    strict = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    for text, expected in ((b"\xff\x90", 2), (saved.read_bytes(), 0)):
        ended = subprocess.run(command, cwd=ROOT, env=strict, input=text, capture_output=True, timeout=60)
        assert ended.returncode == expected, ended.stderr
        assert b"internal error" not in ended.stderr


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f'rmdir "{gone}"; PYTHONPATH="{ROOT}" exec "{sys.executable}" -m gpu_doctor check --prefix /usr'
    ended = subprocess.run(["sh", "-c", command], cwd=gone, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith("gpu-doctor: the current folder does not exist any more\n")
