"""What a repair wrote down is read again after any crash: a line that is cut off never was, and swallows no other."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.fix import journal
from gpu_doctor.fix.ground import OutOfBounds, home_of, prepare_home
from gpu_doctor.fix.journal import Journal, begin, deeds, ending, journals, past
from gpu_doctor.model.past import PastTreatment

TREAT = {
    "rule": "cudnn-unreachable",
    "subject": "ctranslate2: loader",
    "message": "It aborts.",
    "summary": "Place links.",
}
KEPT, UNDONE = {"settle": "kept"}, {"settle": "undone", "why": "the finding is still there"}


@pytest.fixture
def book(tmp_path: Path) -> Journal:
    prepare_home(str(tmp_path))
    return begin(str(tmp_path), "fix cudnn", "0.1.0", ("/src/pyproject.toml",))


def test_the_head_says_who_did_what_when_and_where(tmp_path: Path, book: Journal) -> None:
    (head,) = book.lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", head.pop("at"))
    assert head == {
        "schema": "gpu-doctor/journal/1",
        "id": book.id,
        "doctor": "0.1.0",
        "asked": "fix cudnn",
        "prefix": str(tmp_path),
        "outside": ["/src/pyproject.toml"],
    }
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", book.id)
    assert book.path == f"{home_of(str(tmp_path))}/repairs/{book.id}/journal.jsonl"


def test_what_is_written_is_read_in_order(book: Journal) -> None:
    lines: list[dict[str, Any]] = [{"treat": TREAT}, {"begin": 1, "path": "/a\nb\u2028\udcff"}, {"done": 1}]
    for line in lines:
        book.write(line)
    assert book.lines()[1:] == lines


@pytest.mark.parametrize("torn", [b'{"begin": 1, "pa', b"{", b'{"begin": 1}garbage', b"\x00\x00\x00", b"[1, 2]", b"7"])
def test_a_line_that_was_cut_off_is_none_and_the_next_one_is_whole(book: Journal, torn: bytes) -> None:
    with open(book.path, "ab") as file:
        file.write(torn)
    assert len(book.lines()) == 1
    book.write({"treat": TREAT})
    assert book.lines()[1:] == [{"treat": TREAT}]
    book.write({"done": 1})
    assert book.lines()[1:] == [{"treat": TREAT}, {"done": 1}]


def test_a_whole_line_without_its_end_counts_and_is_not_joined_with_the_next(book: Journal) -> None:
    with open(book.path, "ab") as file:
        file.write(b'{"done": 1}')
    book.write({"done": 2})
    assert book.lines()[1:] == [{"done": 1}, {"done": 2}]


def test_a_line_is_on_the_disk_when_the_call_returns(book: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(journal.os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").read_bytes()))
    book.write({"done": 1})
    assert synced[-1].endswith(b'{"done": 1}\n')


# --- Which folders are repairs ---------------------------------------------------------------------------------------------


def test_an_environment_that_was_never_repaired_has_none(tmp_path: Path) -> None:
    assert journals(str(tmp_path)) == ()


def test_the_latest_comes_first(tmp_path: Path, book: Journal) -> None:
    later = Path(book.folder).with_name("99991231-235959-abcd")
    later.mkdir()
    (later / "journal.jsonl").write_bytes(Path(book.path).read_bytes())
    assert [one.id for one in journals(str(tmp_path))] == [later.name, book.id]


@pytest.mark.parametrize("content", [None, b"", b'{"schema": "gpu-doc', b'{"schema": "other/1"}\n', b'{"done": 1}\n'])
def test_what_has_no_head_is_no_journal(tmp_path: Path, book: Journal, content: bytes | None) -> None:
    Path(book.path).unlink()
    if content is not None:
        Path(book.path).write_bytes(content)
    assert journals(str(tmp_path)) == ()


def test_a_file_among_the_repairs_is_none(tmp_path: Path, book: Journal) -> None:
    (Path(book.folder).parent / "notes.txt").write_text("x")
    assert [one.id for one in journals(str(tmp_path))] == [book.id]


@pytest.mark.parametrize("what", ["journal", "repair", "repairs"])
def test_a_link_in_the_place_of_a_journal_or_its_folder_is_none(tmp_path: Path, book: Journal, what: str) -> None:
    """Whoever can place a link may not name files elsewhere as what an undo puts back."""
    place = {"journal": Path(book.path), "repair": Path(book.folder), "repairs": Path(book.folder).parent}[what]
    elsewhere = tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    assert journals(str(tmp_path)) == ()


def test_no_repair_begins_in_a_folder_that_is_a_link(tmp_path: Path) -> None:
    home = Path(prepare_home(str(tmp_path)))
    (tmp_path / "elsewhere").mkdir()
    (home / "repairs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutOfBounds, match="repairs is not a folder"):
        begin(str(tmp_path), "fix", "0", ())
    assert os.listdir(tmp_path / "elsewhere") == []


# --- What the lines mean ----------------------------------------------------------------------------------------------------


def test_deeds_belong_to_the_treatment_before_them() -> None:
    lines = [
        {"schema": "x"},
        {"begin": 0},  # before any treatment: nobody's
        {"treat": TREAT},
        {"begin": 1},
        {"done": 1},
        {"begin": 2},
        KEPT,
        {"treat": {**TREAT, "subject": "other"}},
        {"begin": 3},
    ]
    first, second = deeds(lines)
    assert (first.begun, first.done, first.settled) == ([{"begin": 1}, {"begin": 2}], {1}, KEPT)
    assert (second.treat["subject"], second.begun, second.settled) == ("other", [{"begin": 3}], None)


UNDO, ENDS = {"undo": True}, {how: {"end": how} for how in ("kept", "rolled back", "undone")}


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        ([], None),
        ([{"treat": TREAT}, KEPT], None),
        ([ENDS["kept"]], "kept"),
        ([ENDS["rolled back"]], "rolled back"),
        ([ENDS["kept"], UNDO], None),
        ([ENDS["kept"], UNDO, ENDS["undone"]], "undone"),
        ([ENDS["kept"], UNDO, UNDO, ENDS["undone"]], "undone"),
        ([UNDO], None),
        ([UNDO, ENDS["rolled back"]], "rolled back"),
        ([{"end": "in a way that a later doctor knows"}], None),
    ],
)
def test_how_a_repair_ended(lines: list[dict[str, Any]], how: str | None) -> None:
    assert ending([{"schema": "x"}, *lines]) == how


@pytest.mark.parametrize(
    ("settled", "kept", "why"), [(KEPT, True, ""), (UNDONE, False, "the finding is still there"), (None, None, "")]
)
def test_the_past_is_told_as_a_noun(book: Journal, settled: dict[str, str] | None, kept: bool | None, why: str) -> None:
    book.write({"treat": TREAT})
    if settled:
        book.write(settled)
        book.write({"end": "kept" if kept else "rolled back"})
    told = past(book)
    assert (told.id, told.asked, told.doctor, told.journal) == (book.id, "fix cudnn", "0.1.0", book.path)
    assert told.at == book.lines()[0]["at"]
    assert told.ending == {True: "kept", False: "rolled back", None: None}[kept]
    assert told.treatments == (PastTreatment(*TREAT.values(), kept, why),)
    assert told.can_be_undone is (kept is not False)
    assert not told.undoing


def test_a_repair_that_is_being_taken_back_says_so(book: Journal) -> None:
    book.write(UNDO)
    assert (past(book).undoing, past(book).ending, past(book).can_be_undone) == (True, None, True)


def test_a_journal_of_another_doctor_with_other_values_is_no_crash(book: Journal) -> None:
    book.write({"treat": {"rule": 7}})
    book.write({"settle": "undone", "why": None})
    (treatment,) = past(book).treatments
    assert (treatment.rule, treatment.subject, treatment.kept) == ("7", "", False)
    assert json.loads(Path(book.path).read_text().splitlines()[0])["id"] == book.id
