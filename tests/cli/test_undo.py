"""`gpu-doctor undo`: byte for byte, with consent, and never over somebody's own work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.fix import executor as executor_module
from gpu_doctor.fix import journal
from tests.cli.test_fix import Person, Run, cli, cut_off, healthy, link_of, sick
from tests.fix.ground import only_journal, tree

__all__ = ["cli", "healthy", "sick"]


@pytest.fixture
def healed(cli: Run, sick: Path) -> tuple[Path, dict[str, Any]]:
    """An environment that was healed, and how it was before."""
    before = tree(sick, inodes=True)
    assert cli("fix", "--prefix", str(sick), "--yes")[0] == 0
    assert tree(sick, inodes=True) != before
    return sick, before


Healed = tuple[Path, dict[str, Any]]


def test_it_is_taken_back_byte_for_byte(cli: Run, healed: Healed) -> None:
    prefix, before = healed
    code, out, err = cli("undo", "--prefix", str(prefix), "--yes")
    assert (code, out, err) == (0, f"{only_journal(prefix).id}: undone.\n", "")
    assert tree(prefix, inodes=True) == before
    code, out, err = cli("undo", "--prefix", str(prefix), "--yes")
    assert (code, out, err) == (0, "Nothing to take back.\n", "")
    assert tree(prefix, inodes=True) == before


def test_it_can_be_named(cli: Run, healed: Healed) -> None:
    prefix, before = healed
    assert cli("undo", only_journal(prefix).id, "--prefix", str(prefix), "--yes")[0] == 0
    assert tree(prefix, inodes=True) == before


def test_where_nothing_was_repaired_there_is_nothing_to_take_back(cli: Run, healthy: Path) -> None:
    assert cli("undo", "--prefix", str(healthy)) == (0, "Nothing to take back.\n", "")
    assert not (healthy / ".gpu-doctor").exists()


def test_an_id_that_no_repair_has_is_refused(cli: Run, healed: Healed) -> None:
    prefix, before = healed
    code, out, err = cli("undo", "20200101-000000-0000", "--prefix", str(prefix), "--yes")
    assert (code, out) == (2, "")
    assert err == (
        "gpu-doctor: there is no repair '20200101-000000-0000' of this environment\n  `gpu-doctor history` lists them\n"
    )
    assert tree(prefix, inodes=True) != before


@pytest.mark.parametrize("name", ["../../../etc", "", "."])
def test_an_id_is_no_path(cli: Run, healed: Healed, name: str) -> None:
    assert cli("undo", name, "--prefix", str(healed[0]), "--yes")[0] == 2


def test_without_consent_and_without_a_terminal_it_is_shown_and_nothing_touched(cli: Run, healed: Healed) -> None:
    prefix, _ = healed
    now = tree(prefix, inodes=True)
    code, out, err = cli("undo", "--prefix", str(prefix))
    assert code == 1
    assert err == "gpu-doctor: nobody is here to consent: nothing was changed\n  give --yes to take this back\n"
    assert out.startswith(only_journal(prefix).id)
    assert "library-links-stale · ctranslate2.libs: Take these links away." in out
    assert tree(prefix, inodes=True) == now


def test_what_somebody_changed_since_is_exit_code_4_with_the_journals_path(cli: Run, healed: Healed) -> None:
    prefix, _ = healed
    link_of(prefix).symlink_to("mine")
    now = tree(prefix, inodes=True)
    code, out, err = cli("undo", "--prefix", str(prefix), "--yes")
    assert (code, out) == (4, "")
    lines = err.splitlines()
    assert len(lines) == 2
    assert f"{link_of(prefix)} changed since, and that would be lost" in lines[0]
    assert only_journal(prefix).path in lines[1]
    assert tree(prefix, inodes=True) == now
    link_of(prefix).unlink()
    assert cli("undo", "--prefix", str(prefix), "--yes")[0] == 0


def test_what_stops_half_way_is_exit_code_4_and_the_next_try_goes_on(
    cli: Run, healed: Healed, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, before = healed

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "/x")

    with monkeypatch.context() as patch:
        patch.setattr(executor_module, "put", full)
        code, _, err = cli("undo", "--prefix", str(prefix), "--yes")
    assert code == 4
    assert "is not taken back whole: No space left on device: /x" in err
    assert only_journal(prefix).path in err
    assert cli("undo", "--prefix", str(prefix), "--yes")[0] == 0
    assert tree(prefix, inodes=True) == before


def test_what_was_cut_off_is_taken_back(cli: Run, sick: Path) -> None:
    before = tree(sick, inodes=True)
    id_ = cut_off(sick)
    assert tree(sick, inodes=True) != before
    assert cli("undo", "--prefix", str(sick), "--yes") == (0, f"{id_}: rolled back.\n", "")
    assert tree(sick, inodes=True) == before


def test_neither_the_environments_python_nor_a_package_manager_is_needed(
    cli: Run, healed: Healed, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, before = healed
    assert not os.path.exists(prefix / "bin/python")  # a link to nowhere
    monkeypatch.setenv("PATH", "")
    assert cli("undo", "--prefix", str(prefix), "--yes")[0] == 0
    assert tree(prefix, inodes=True) == before


def test_a_person_who_agrees_gets_it_back(healed: Healed) -> None:
    prefix, before = healed
    code, out, seen = Person("undo", "--prefix", str(prefix)).answer("Take this back? [y/N] ", "y\n")
    assert (code, out.splitlines()[-1]) == (0, f"{only_journal(prefix).id}: undone."), seen
    assert tree(prefix, inodes=True) == before


def test_a_person_who_does_not_agree_keeps_it(healed: Healed) -> None:
    prefix, _ = healed
    now = tree(prefix, inodes=True)
    code, _, _ = Person("undo", "--prefix", str(prefix)).answer("Take this back? [y/N] ", "n\n")
    assert code == 1
    assert tree(prefix, inodes=True) == now
    assert journal.past(only_journal(prefix)).ending == "kept"
