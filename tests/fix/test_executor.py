from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_doctor.fix import journal, workshop
from gpu_doctor.fix.executor import Executor
from gpu_doctor.fix.journal import deeds
from gpu_doctor.fix.steps import NotDone
from gpu_doctor.model.remedy import ListInRecord, MakeLink, RemoveFile
from tests.fix.faults import PlugPulled, counting, full_disk, plug_pulled
from tests.fix.ground import LOADER, RECORD, SITE, environment, executor, only_journal, quiet, steps, treatment, tree


def apply(prefix: Path) -> Executor:
    """Do what `repair` does with one treatment that is then proven."""
    doing = executor(prefix)
    doing.open(treatment(steps(prefix)))
    try:
        doing.do(steps(prefix))
    except NotDone as error:
        doing.take_back(str(error))
        workshop.end(doing.journal, "rolled back")
        return doing
    doing.keep()
    workshop.end(doing.journal, "kept")
    return doing


def test_the_steps_do_what_they_say(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    apply(prefix)
    libs = prefix / SITE / "ctranslate2.libs"
    assert {path.name: os.readlink(path) for path in libs.iterdir() if path.is_symlink()} == {
        "libcudnn_cnn.so.9": "../nvidia/cudnn/lib/libcudnn_cnn.so.9",
        "libcudnn_ops.so.9": "../nvidia/cudnn/lib/libcudnn_ops.so.9",
    }
    assert (libs / LOADER).read_bytes() == b"the bundled loader"
    assert oct((libs / LOADER).stat().st_mode) == "0o100755"
    assert not (libs / f"{LOADER}.bak").exists()
    assert not (prefix / SITE / "nvidia/cudnn/lib/libcudnn_ops.so.9.1.0").is_symlink()
    assert (prefix / RECORD).read_text().splitlines()[2:] == [
        "ctranslate2.libs/libcudnn_cnn.so.9,,",
        "ctranslate2.libs/libcudnn_ops.so.9,,",
    ]


def test_a_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    apply(prefix)
    wanted = tuple(step for step in steps(prefix) if isinstance(step, MakeLink | RemoveFile | ListInRecord))
    doing = executor(prefix)
    doing.open(treatment(wanted))
    assert doing.do(wanted) == 0


def test_undo_brings_back_the_very_files(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    before = tree(tmp_path, inodes=True)
    apply(prefix)
    assert tree(tmp_path, inodes=True) != before
    workshop.take_back(str(prefix), only_journal(prefix), quiet)
    # The saved loader comes back by its own name, so even the number of its file is the old one.
    assert tree(tmp_path, inodes=True) == before
    assert journal.past(only_journal(prefix)).ending == "undone"


def test_the_cache_that_shares_the_files_is_never_written_into(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    before = tree(tmp_path / "cache", inodes=True)
    apply(prefix)
    assert tree(tmp_path / "cache", inodes=True) == before


def test_record_keeps_its_time_so_that_what_was_changed_later_stays_suspect(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    apply(prefix)
    assert (prefix / RECORD).stat().st_mtime_ns == 10**18 + 5


def number_of_calls(tmp_path: Path) -> int:
    prefix = environment(tmp_path / "counted")
    with counting() as made:
        apply(prefix)
        return made()


def test_a_disk_that_is_full_at_any_moment_leaves_the_environment_as_it_was_or_healed(tmp_path: Path) -> None:
    healthy = environment(tmp_path / "healed")
    apply(healthy)
    healed = tree(healthy)
    calls = number_of_calls(tmp_path)
    seen = set()
    for at in range(1, calls + 1):
        prefix = environment(tmp_path / str(at))
        before = tree(prefix)
        try:
            with full_disk(at):
                apply(prefix)
        except OSError:
            # Not even the journal can be written: the next command takes back what was not proven.
            workshop.clean_up(str(prefix), quiet)
        after = tree(prefix)
        assert after in (before, healed), f"call {at} of {calls}"
        seen.add(after == healed)
        assert workshop.cut_off(str(prefix)) == ()
    assert calls > 40
    assert seen == {True, False}


def test_the_plug_pulled_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    calls = number_of_calls(tmp_path)
    for at in range(1, calls + 1):
        prefix = environment(tmp_path / str(at))
        before = tree(prefix, inodes=True)
        with pytest.raises(PlugPulled), plug_pulled(at):
            apply(prefix)
        for one in journal.journals(str(prefix)):
            workshop.take_back(str(prefix), one, quiet)
        assert tree(prefix, inodes=True) == before, f"call {at} of {calls}"
        assert workshop.cut_off(str(prefix)) == ()


def test_the_plug_pulled_while_a_repair_is_taken_back_loses_nothing(tmp_path: Path) -> None:
    prefix = environment(tmp_path / "counted")
    apply(prefix)
    with counting() as made:
        workshop.take_back(str(prefix), only_journal(prefix), quiet)
        calls = made()
    assert calls > 20
    for at in range(1, calls + 1):
        prefix = environment(tmp_path / str(at))
        before = tree(prefix, inodes=True)
        apply(prefix)
        with pytest.raises(PlugPulled), plug_pulled(at):
            workshop.take_back(str(prefix), only_journal(prefix), quiet)
        # Before it was written down that it is to be taken back, the repair stands; afterwards anybody goes on with it.
        workshop.clean_up(str(prefix), quiet)
        one = only_journal(prefix)
        if journal.past(one).can_be_undone:
            workshop.take_back(str(prefix), one, quiet)
        assert tree(prefix, inodes=True) == before, f"call {at} of {calls}"


def test_what_somebody_changed_since_is_not_taken_from_him(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    apply(prefix)
    link = prefix / SITE / "ctranslate2.libs/libcudnn_ops.so.9"
    link.unlink()
    link.symlink_to("/opt/app/libcudnn_ops.so.9")
    before = tree(prefix)
    with pytest.raises(workshop.UndoFailed) as refused:
        workshop.take_back(str(prefix), only_journal(prefix), quiet)
    assert refused.value.exit_code == 4
    assert str(link) in refused.value.message
    assert only_journal(prefix).path in refused.value.hint
    assert tree(prefix) == before


def test_links_that_a_later_sync_took_away_are_no_obstacle_to_undo(tmp_path: Path) -> None:
    """A reinstall removes what RECORD lists; where the state before was absence, nothing is left to do there."""
    prefix = environment(tmp_path)
    before = tree(prefix)
    apply(prefix)
    (prefix / SITE / "ctranslate2.libs/libcudnn_cnn.so.9").unlink()
    workshop.take_back(str(prefix), only_journal(prefix), quiet)
    assert tree(prefix) == before


def test_a_treatment_that_is_not_proven_is_undone_and_said(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    before = tree(prefix, inodes=True)
    doing = executor(prefix)
    doing.open(treatment(steps(prefix)))
    doing.do(steps(prefix))
    doing.take_back("the finding is still there")
    workshop.end(doing.journal, "rolled back")
    assert tree(prefix, inodes=True) == before
    past = journal.past(only_journal(prefix))
    assert (past.ending, past.treatments[0].kept, past.treatments[0].why) == (
        "rolled back",
        False,
        "the finding is still there",
    )
    assert not past.can_be_undone


def test_a_folder_in_the_way_stops_the_treatment(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    folder = prefix / SITE / "ctranslate2.libs/libcudnn_adv.so.9"
    folder.mkdir()
    doing = executor(prefix)
    wanted = (MakeLink(str(folder), "x"),)
    doing.open(treatment(wanted))
    with pytest.raises(NotDone, match="is a folder"):
        doing.do(wanted)


def test_the_journal_says_what_was_done_in_order(tmp_path: Path) -> None:
    prefix = environment(tmp_path)
    apply(prefix)
    lines = only_journal(prefix).lines()
    (one,) = deeds(lines)
    assert [line["begin"] for line in one.begun] == list(range(1, len(one.begun) + 1))
    assert one.done == {line["begin"] for line in one.begun}
    assert lines[-1]["end"] == "kept"
    record = next(line for line in one.begun if line["path"].endswith("RECORD"))
    assert record["before"].startswith("file 644 ")
    assert record["saved"] is True
