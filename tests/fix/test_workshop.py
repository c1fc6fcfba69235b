"""One writer at a time, and whoever comes after a crash takes back what was not proven and keeps what was."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_doctor.errors import DoctorError
from gpu_doctor.fix import executor as executor_module
from gpu_doctor.fix import journal, workshop
from gpu_doctor.fix.executor import Executor
from gpu_doctor.fix.ground import OutOfBounds, home_of, prepare_home
from gpu_doctor.fix.manager import BUSY
from gpu_doctor.model.remedy import MakeLink, RemoveFile, Step
from tests.fix.faults import PlugPulled, plug_pulled
from tests.fix.ground import SITE, environment, executor, only_journal, quiet, steps, treatment, tree

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return environment(tmp_path)


# --- One at a time ---------------------------------------------------------------------------------------------------------


def test_the_workshop_is_the_folder_of_the_repairs(prefix: Path) -> None:
    with workshop.workshop(str(prefix), quiet) as home:
        assert home == home_of(str(prefix)) == f"{prefix}/.gpu-doctor"


def test_a_second_writer_waits_says_so_and_is_refused(prefix: Path) -> None:
    said: list[str] = []
    with (
        workshop.workshop(str(prefix), quiet),
        pytest.raises(workshop.Occupied) as refused,
        workshop.workshop(str(prefix), said.append, patience=0.1),
    ):
        pass
    assert said == ["waiting for another repair of this environment"]
    assert (refused.value.message, refused.value.exit_code) == (f"another repair of {prefix} is at work", 1)


def test_it_is_free_again_afterwards_whatever_happened(prefix: Path) -> None:
    with pytest.raises(KeyboardInterrupt), workshop.workshop(str(prefix), quiet):
        raise KeyboardInterrupt
    with workshop.workshop(str(prefix), quiet, patience=0):
        assert os.path.isdir(home_of(str(prefix)))


def test_another_name_of_the_environment_is_no_way_around(prefix: Path) -> None:
    alias = prefix.parent / "alias"
    alias.symlink_to(prefix)
    with (
        workshop.workshop(str(prefix), quiet),
        pytest.raises(workshop.Occupied),
        workshop.workshop(str(alias), quiet, patience=0.1),
    ):
        pass


def test_another_process_is_waited_for_until_it_lets_go(prefix: Path) -> None:
    code = (
        "import sys; from gpu_doctor.fix.workshop import workshop\n"
        "with workshop(sys.argv[1], lambda words: None): print(flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, prefix]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"\n"
        with pytest.raises(workshop.Occupied), workshop.workshop(str(prefix), quiet, patience=0.1):
            pass
        with workshop.workshop(str(prefix), lambda _words: other.stdin.close()):  # type: ignore[union-attr]
            assert other.wait(60) == 0


@pytest.fixture
def orphan(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Hold the lock that a package manager holds as long as it lives."""
    monkeypatch.setattr(workshop, "_ORPHAN_SECONDS", 0.1)
    descriptor = os.open(Path(prepare_home(str(prefix)), BUSY), os.O_CREAT | os.O_WRONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def test_a_package_manager_that_outlived_its_doctor_is_not_disturbed(prefix: Path, orphan: int) -> None:
    with pytest.raises(workshop.Occupied, match="is still at work"), workshop.workshop(str(prefix), quiet):
        pass
    fcntl.flock(orphan, fcntl.LOCK_UN)
    with workshop.workshop(str(prefix), quiet, patience=0):
        assert os.path.isdir(home_of(str(prefix)))


def test_a_link_in_the_place_of_the_repairs_is_refused(prefix: Path) -> None:
    (prefix / ".gpu-doctor").symlink_to(prefix.parent)
    before = tree(prefix.parent)
    with pytest.raises(OutOfBounds), workshop.workshop(str(prefix), quiet):
        pass
    assert tree(prefix.parent) == before


def test_a_place_in_which_no_journal_can_be_kept_is_said(tmp_path: Path) -> None:
    refused = pytest.raises(DoctorError, match=r"cannot keep a journal in .*: No such file or directory")
    with refused, workshop.workshop(str(tmp_path / "nowhere"), quiet):
        pass


# --- After a crash ------------------------------------------------------------------------------------------------------------

FIRST = "lib/python3.11/site-packages/ctranslate2.libs/first.so"
SECOND = "lib/python3.11/site-packages/ctranslate2.libs/second.so"


def link(prefix: Path, path: str) -> tuple[Step, ...]:
    return (MakeLink(f"{prefix}/{path}", "x"),)


def treated(doing: Executor, wanted: tuple[Step, ...], settle: str = "") -> None:
    doing.open(treatment(wanted))
    doing.do(wanted)
    if settle == "kept":
        doing.keep()
    elif settle:
        doing.take_back(settle)


def test_a_repair_that_was_cut_off_is_found(prefix: Path) -> None:
    assert workshop.cut_off(str(prefix)) == ()
    doing = executor(prefix)
    treated(doing, link(prefix, FIRST))
    assert [one.id for one in workshop.cut_off(str(prefix))] == [doing.journal.id]
    workshop.end(doing.journal, "kept")
    assert workshop.cut_off(str(prefix)) == ()


def test_what_was_proven_stays_and_what_was_not_is_taken_back(prefix: Path) -> None:
    doing = executor(prefix)
    treated(doing, link(prefix, FIRST), "kept")
    after_first = tree(prefix, inodes=True)
    treated(doing, (*link(prefix, SECOND), RemoveFile(f"{prefix}/{FIRST}", "it is old")))
    workshop.clean_up(str(prefix), quiet)
    assert tree(prefix, inodes=True) == after_first
    told = journal.past(only_journal(prefix))
    assert (told.ending, [item.kept for item in told.treatments]) == ("kept", [True, False])
    assert told.treatments[1].why == "it was cut off"
    workshop.take_back(str(prefix), only_journal(prefix), quiet)
    assert not (prefix / FIRST).is_symlink()


def test_where_nothing_was_proven_nothing_is_left_and_no_room_is_taken(prefix: Path) -> None:
    before = tree(prefix, inodes=True)
    treated(executor(prefix), steps(prefix))
    workshop.clean_up(str(prefix), quiet)
    assert tree(prefix, inodes=True) == before
    assert journal.past(only_journal(prefix)).ending == "rolled back"
    assert os.listdir(only_journal(prefix).folder) == ["journal.jsonl"]


def test_a_treatment_that_was_undone_already_is_not_undone_again(prefix: Path) -> None:
    doing = executor(prefix)
    treated(doing, link(prefix, FIRST), "the finding is still there")
    (prefix / FIRST).symlink_to("x")  # a person's own, by chance the same
    workshop.clean_up(str(prefix), quiet)
    assert (prefix / FIRST).is_symlink()
    assert journal.past(only_journal(prefix)).ending == "rolled back"


def test_a_crash_before_anything_was_begun_leaves_nothing_to_do(prefix: Path) -> None:
    before = tree(prefix, inodes=True)
    executor(prefix)
    workshop.clean_up(str(prefix), quiet)
    assert tree(prefix, inodes=True) == before
    assert journal.past(only_journal(prefix)).ending == "rolled back"


def test_cleaning_up_twice_changes_nothing(prefix: Path) -> None:
    treated(executor(prefix), steps(prefix))
    workshop.clean_up(str(prefix), quiet)
    lines, before = only_journal(prefix).lines(), tree(prefix, inodes=True)
    workshop.clean_up(str(prefix), quiet)
    assert (only_journal(prefix).lines(), tree(prefix, inodes=True)) == (lines, before)


def test_what_somebody_changed_after_the_crash_is_not_taken_from_him(prefix: Path) -> None:
    treated(executor(prefix), link(prefix, FIRST))
    (prefix / FIRST).unlink()
    (prefix / FIRST).symlink_to("mine")
    with pytest.raises(workshop.UndoFailed, match="changed since"):
        workshop.clean_up(str(prefix), quiet)
    assert os.readlink(prefix / FIRST) == "mine"
    assert len(workshop.cut_off(str(prefix))) == 1


# --- Taking back -----------------------------------------------------------------------------------------------------------------


def kept(prefix: Path) -> None:
    doing = executor(prefix)
    treated(doing, steps(prefix), "kept")
    workshop.end(doing.journal, "kept")


@pytest.mark.parametrize("how", ["take_back", "clean_up"])
@pytest.mark.parametrize("at", [3, 9, 15])
def test_a_repair_that_was_half_taken_back_is_taken_back_to_its_end(prefix: Path, at: int, how: str) -> None:
    before = tree(prefix, inodes=True)
    kept(prefix)
    healed = tree(prefix, inodes=True)
    with pytest.raises(PlugPulled), plug_pulled(at):
        workshop.take_back(str(prefix), only_journal(prefix), quiet)
    assert journal.past(only_journal(prefix)).undoing
    if at > 3:
        assert tree(prefix, inodes=True) not in (before, healed)
    if how == "take_back":
        workshop.take_back(str(prefix), only_journal(prefix), quiet)
    else:
        workshop.clean_up(str(prefix), quiet)
    assert tree(prefix, inodes=True) == before
    assert journal.past(only_journal(prefix)).ending == "undone"
    asked = [line for line in only_journal(prefix).lines() if "undo" in line]
    assert len(asked) == (2 if how == "take_back" else 1)


def test_an_error_on_the_way_names_the_journal_and_the_next_try_goes_on(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(prefix, inodes=True)
    kept(prefix)
    with monkeypatch.context() as patch:
        patch.setattr(executor_module, "put", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left", "/x")))
        with pytest.raises(workshop.UndoFailed) as failed:
            workshop.take_back(str(prefix), only_journal(prefix), quiet)
    assert failed.value.exit_code == 4
    assert failed.value.message.endswith("is not taken back whole: No space left: /x")
    assert only_journal(prefix).path in failed.value.hint
    assert journal.past(only_journal(prefix)).can_be_undone
    workshop.take_back(str(prefix), only_journal(prefix), quiet)
    assert tree(prefix, inodes=True) == before


def test_a_folder_on_the_way_that_leads_out_meanwhile_is_a_repair_that_could_not_be_taken_back(prefix: Path) -> None:
    kept(prefix)
    libs = prefix / SITE / "ctranslate2.libs"
    libs.rename(prefix.parent / "away.libs")
    libs.symlink_to(prefix.parent / "away.libs")
    before = tree(prefix.parent)
    with pytest.raises(DoctorError) as failed:
        workshop.take_back(str(prefix), only_journal(prefix), quiet)
    assert failed.value.exit_code == 4
    assert only_journal(prefix).path in failed.value.hint
    assert tree(prefix.parent) == before


def test_the_files_outside_that_a_repair_named_are_its_own(prefix: Path) -> None:
    prepare_home(str(prefix))
    book = journal.begin(str(prefix), "fix", "0", ("/src/pyproject.toml",))
    assert workshop.outside_of(book) == ("/src/pyproject.toml",)
