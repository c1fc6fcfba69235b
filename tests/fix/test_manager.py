"""A package manager runs as a child that dies with the doctor, holds a lock as long as it lives, and is listened to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.fix.manager import BUSY, find_program, last_beat_ns, run, wait_until_idle
from tests.fix.ground import quiet

ROOT = Path(__file__).resolve().parents[2]
PATH = {"PATH": os.defpath}


def script(folder: Path, name: str, text: str = "") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}")
    file.chmod(0o755)
    return str(file)


def sh(home: Path, text: str, tell: Callable[[str], None] = quiet, **environ: str) -> tuple[int, list[str]]:
    return run(("sh", "-c", text), {**PATH, **environ}, str(home), tell)


def until(true: Callable[[], bool]) -> bool:
    """Wait for something that comes true soon; a minute is for machines that do much else."""
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# --- Running -------------------------------------------------------------------------------------------------------------


def test_the_exit_code_and_the_last_lines_come_back(tmp_path: Path) -> None:
    assert sh(tmp_path, "echo one; echo two >&2; exit 7") == (7, ["one", "two"])
    assert sh(tmp_path, "kill -9 $$") == (-9, [])


def test_lines_are_listened_to_as_they_come(tmp_path: Path) -> None:
    heard: list[str] = []
    sh(tmp_path, r"printf '10%%\r20%%\r\n'; sleep 0.1; printf 'no end of line'; printf '\n\n  \n'", heard.append)
    assert heard[0] == "20%"
    assert heard[-1] == "no end of line"


def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    _, lines = sh(tmp_path, "seq 1000; printf last")
    assert lines == [*map(str, range(962, 1001)), "last"]


def test_what_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    assert sh(tmp_path, r"printf '\377 x\n'") == (0, ["\ufffd x"])


def test_nobody_answers_its_questions(tmp_path: Path) -> None:
    assert sh(tmp_path, "read answer || echo nobody") == (0, ["nobody"])


def test_a_program_that_cannot_be_started_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run((str(tmp_path / "nothing"),), PATH, str(tmp_path), quiet)
    assert wait_until_idle(str(tmp_path), 0)


@pytest.mark.parametrize(
    "name",
    ["VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "UV_PROJECT_ENVIRONMENT"],
)
def test_variables_that_name_another_environment_are_not_passed_on(tmp_path: Path, name: str) -> None:
    assert sh(tmp_path, f'echo "[${{{name}-unset}}]"', **{name: "/elsewhere"}) == (0, ["[unset]"])


def test_other_variables_are_and_nobody_is_asked_or_shown_a_bar(tmp_path: Path) -> None:
    said = 'echo "$UV_INDEX_URL $PIP_NO_INPUT $UV_NO_PROGRESS $NO_COLOR"'
    assert sh(tmp_path, said, UV_INDEX_URL="mirror") == (0, ["mirror 1 1 1"])


def test_an_exception_ends_the_child_and_what_it_started(tmp_path: Path) -> None:
    def interrupt(_words: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sh(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; echo started; wait", interrupt)
    pid = (tmp_path / "pid").read_text().strip()
    assert until(lambda: not alive(pid))
    assert wait_until_idle(str(tmp_path), 60)


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- The lock and the sign of life ----------------------------------------------------------------------------------------


def test_a_folder_in_which_nothing_ever_ran_is_idle(tmp_path: Path) -> None:
    assert last_beat_ns(str(tmp_path)) is None
    assert wait_until_idle(str(tmp_path), 0)


def test_a_run_gives_signs_of_life(tmp_path: Path) -> None:
    sh(tmp_path, "true")
    os.utime(tmp_path / BUSY, ns=(0, 0))
    sh(tmp_path, "true")
    beat = last_beat_ns(str(tmp_path))
    assert beat is not None
    assert beat > 0


def test_a_run_that_says_nothing_gives_signs_of_life_too(tmp_path: Path) -> None:
    seen: set[int | None] = set()
    command = f"while [ ! -e {tmp_path}/enough ]; do sleep 0.1; done"
    child = parent_of(tmp_path, command)
    assert until(lambda: bool(seen.add(last_beat_ns(str(tmp_path))) or len(seen - {None}) > 2))
    (tmp_path / "enough").touch()
    assert child.wait() == 0


def parent_of(home: Path, command: str) -> subprocess.Popen[bytes]:
    """Start a doctor that runs this command as its package manager."""
    code = (
        "import os, sys; from gpu_doctor.fix.manager import run\n"
        "run(('sh', '-c', sys.argv[1]), {'PATH': os.defpath}, sys.argv[2], lambda words: None)\n"
    )
    return subprocess.Popen([sys.executable, "-c", code, command, home], cwd=ROOT)


def started(home: Path) -> str:
    """Wait until the manager wrote its number."""
    assert until(lambda: (home / "pid").exists() and (home / "pid").read_text().endswith("\n"))
    return (home / "pid").read_text().strip()


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    parent = parent_of(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    pid = started(tmp_path)
    assert alive(pid)
    assert not wait_until_idle(str(tmp_path), 0.2)
    parent.kill()
    parent.wait()
    assert until(lambda: not alive(pid))
    assert wait_until_idle(str(tmp_path), 60)


def test_what_the_child_left_behind_is_at_work_still(tmp_path: Path) -> None:
    parent = parent_of(tmp_path, f"sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600' & wait")
    pid = started(tmp_path)
    parent.kill()
    parent.wait()
    assert not wait_until_idle(str(tmp_path), 0.2)
    os.kill(int(pid), 9)
    assert wait_until_idle(str(tmp_path), 60)


# --- Where it lies ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Every folder in which a program is looked for, in order."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "doctor"))
    return {
        "PATH": tmp_path / "path",
        "environment": tmp_path / "venv/bin",
        "doctor": tmp_path / "doctor/bin",
        "local": home / ".local/bin",
        "cargo": home / ".cargo/bin",
    }


def found(tmp_path: Path, **environ: str) -> str | None:
    return find_program("uv", str(tmp_path / "venv"), {"PATH": str(tmp_path / "path"), **environ})


def test_it_is_looked_for_in_this_order(tmp_path: Path, places: dict[str, Path]) -> None:
    assert found(tmp_path) is None
    for name, folder in reversed(places.items()):
        assert found(tmp_path) != script(folder, "uv"), name
        assert found(tmp_path) == str(folder / "uv"), name


def test_what_cannot_be_executed_is_no_program(tmp_path: Path, places: dict[str, Path]) -> None:
    script(places["doctor"], "uv")
    Path(script(places["PATH"], "uv")).chmod(0o644)
    assert found(tmp_path) == str(places["doctor"] / "uv")


@pytest.mark.parametrize("path", ["", None])
def test_the_folder_we_stand_in_is_no_place_for_programs(
    tmp_path: Path, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    """A project may hold a file of any name."""
    script(tmp_path / "project", "uv")
    monkeypatch.chdir(tmp_path / "project")
    assert find_program("uv", str(tmp_path / "venv"), {} if path is None else {"PATH": path}) is None


def test_a_path_is_taken_as_it_is(tmp_path: Path, places: dict[str, Path]) -> None:
    python = script(tmp_path / "venv/bin", "python")
    assert find_program(python, str(tmp_path / "venv"), {}) == python
    Path(python).chmod(0o644)
    assert find_program(python, str(tmp_path / "venv"), {}) is None
