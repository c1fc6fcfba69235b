"""RECORDs are edited line by line: what a repair adds is listed, what it takes away is not, the rest keeps its bytes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpu_doctor.fix.records import edited, record_steps
from gpu_doctor.model.remedy import InstallPackages, ListInRecord, MakeLink, RemoveFile, Step
from tests.kit import PREFIX, SITE, dist, inventory, lib

LF = "a/__init__.py,sha256=abc,3\na.libs/x.so,sha256=def,4\na-1.dist-info/RECORD,,\n"


def test_a_new_path_is_listed_without_hash_and_size_after_the_others() -> None:
    assert edited(LF, ["a.libs/y.so"], ()) == f"{LF}a.libs/y.so,,\n"


def test_line_endings_stay_what_they_are() -> None:
    crlf = LF.replace("\n", "\r\n")
    assert edited(crlf, ["a.libs/y.so"], ()) == f"{crlf}a.libs/y.so,,\r\n"
    assert edited(crlf, (), {"a.libs/x.so"}) == crlf.replace("a.libs/x.so,sha256=def,4\r\n", "")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_last_line_without_its_end_is_not_joined_with_the_new_one(ending: str) -> None:
    text = LF.replace("\n", ending).removesuffix(ending)
    assert edited(text, ["b"], ()) == f"{text}{ending}b,,{ending}"


def test_a_record_in_which_nothing_changes_keeps_its_bytes() -> None:
    text = LF.removesuffix("\n")
    assert edited(text, ["a.libs/x.so"], {"nowhere"}) == text
    assert edited("", (), ()) == ""


def test_what_is_listed_already_keeps_its_hash() -> None:
    assert edited(LF, ["a.libs/x.so"], ()) == LF


def test_a_path_that_is_wanted_twice_is_listed_once() -> None:
    assert edited("", ["b", "b"], ()) == "b,,\n"


def test_what_is_dropped_goes_with_its_whole_line() -> None:
    assert edited(LF, (), {"a.libs/x.so"}) == "a/__init__.py,sha256=abc,3\na-1.dist-info/RECORD,,\n"


def test_what_only_begins_like_a_dropped_path_stays() -> None:
    assert edited("a.so.9,,\na.so,,\n", (), {"a.so"}) == "a.so.9,,\n"


@pytest.mark.parametrize("path", ["a, b.so", 'say "a".so', "two\nlines.so", "a\u2028b.so", "naïve.so", "a\rb.so"])
def test_paths_that_need_quotes_are_found_added_and_dropped(path: str) -> None:
    text = edited(LF, [path], ())
    assert list(csv.reader(io.StringIO(text, newline="")))[-1] == [path, "", ""]
    assert edited(text, [path], ()) == text
    assert edited(text, (), {path}) == LF


def test_bytes_that_are_no_text_survive() -> None:
    text = b"\xff\xfe,,\n".decode("utf-8", "surrogateescape")
    assert edited(text, ["b"], ()).encode("utf-8", "surrogateescape") == b"\xff\xfe,,\nb,,\n"


def test_lines_that_no_reader_understands_stay_where_they_are() -> None:
    broken = f"{'x' * 200_000},,\nno\rline,,\n"
    assert edited(broken + LF, ["b"], {"a/__init__.py"}) == (broken + LF).replace(
        "a/__init__.py,sha256=abc,3\n", ""
    ) + ("b,,\n")


NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8) | st.sampled_from(
    ["a", "b", "a.libs/x.so", 'q"uote', "com,ma", "new\nline", " space "]
)
ROWS = st.lists(st.tuples(NAMES, st.sampled_from(["", "sha256=abc"]), st.sampled_from(["", "12"])), max_size=8)


def written(rows: list[tuple[str, str, str]], ending: str) -> list[str]:
    lines = []
    for row in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow(row)
        lines.append(text.getvalue().removesuffix("\r\n") + ending)
    return lines


@given(
    ROWS, st.lists(NAMES, max_size=4), st.frozensets(NAMES, max_size=4), st.sampled_from(["\n", "\r\n"]), st.booleans()
)
@example([("a", "", ""), ("b", "", "")], ["a"], frozenset({"a"}), "\n", True)
def test_editing_twice_is_editing_once_and_no_other_line_changes(
    rows: list[tuple[str, str, str]], add: list[str], drop: frozenset[str], ending: str, cut: bool
) -> None:
    lines = written(rows, ending)
    text = "".join(lines).removesuffix(ending) if cut else "".join(lines)
    once = edited(text, add, drop)
    assert edited(once, add, drop) == once
    others = "".join(line for row, line in zip(rows, lines, strict=True) if row[0] in add or row[0] not in drop)
    assert once.startswith(others.removesuffix(ending))
    listed = [row[0] for row in csv.reader(io.StringIO(once, newline="")) if row]
    assert set(listed) == ({row[0] for row in rows} - drop) | set(add)


# --- Which RECORDs a repair touches ----------------------------------------------------------------------------------

CT2 = dist("ctranslate2", "4.6.1")
RECORD = f"{CT2.metadata}/RECORD"
LIBS = f"{SITE}/ctranslate2.libs"
LOADER = lib("ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", "ctranslate2")


def test_links_beside_a_packages_libraries_are_listed_in_its_record_and_what_goes_is_taken_out() -> None:
    steps: tuple[Step, ...] = (
        MakeLink(f"{LIBS}/libcudnn_ops.so.9", "../nvidia/cudnn/lib/libcudnn_ops.so.9"),
        RemoveFile(f"{LIBS}/old.so", "it is old"),
        MakeLink(f"{LIBS}/libcudnn_cnn.so.9", "../nvidia/cudnn/lib/libcudnn_cnn.so.9"),
    )
    assert record_steps(inventory(CT2, libraries=(LOADER,)), steps) == (
        ListInRecord(
            RECORD,
            ("ctranslate2.libs/libcudnn_cnn.so.9", "ctranslate2.libs/libcudnn_ops.so.9"),
            ("ctranslate2.libs/old.so",),
        ),
    )


def test_each_package_keeps_its_own_record() -> None:
    cudnn = dist("nvidia-cudnn-cu12", "9.10.2")
    seen = inventory(CT2, cudnn, libraries=(LOADER, lib("nvidia/cudnn/lib/libcudnn.so.9", cudnn.name)))
    steps = (MakeLink(f"{SITE}/nvidia/cudnn/lib/a.so", "b.so"), MakeLink(f"{LIBS}/a.so", "b.so"))
    assert record_steps(seen, steps) == (
        ListInRecord(RECORD, ("ctranslate2.libs/a.so",)),
        ListInRecord(f"{cudnn.metadata}/RECORD", ("nvidia/cudnn/lib/a.so",)),
    )


@pytest.mark.parametrize("installer", ["conda", "debian", "dpkg", "rpm"])
def test_other_package_managers_lists_are_none_of_ours(installer: str) -> None:
    seen = inventory(dist("ctranslate2", "4.6.1", installer=installer), libraries=(LOADER,))
    assert record_steps(seen, (MakeLink(f"{LIBS}/a.so", "b.so"),)) == ()


def test_a_package_without_a_record_gets_none() -> None:
    seen = inventory(dist("ctranslate2", "4.6.1", record=False), libraries=(LOADER,))
    assert record_steps(seen, (MakeLink(f"{LIBS}/a.so", "b.so"),)) == ()


def test_links_in_folders_that_nobody_owns_are_listed_nowhere() -> None:
    seen = inventory(CT2, libraries=(LOADER, lib("stray/libx.so", None)))
    steps = (MakeLink(f"{SITE}/stray/a.so", "b.so"), MakeLink(f"{SITE}/elsewhere/a.so", "b.so"))
    assert record_steps(seen, steps) == ()


def test_a_library_outside_of_site_packages_cannot_be_listed_relative_to_it() -> None:
    seen = inventory(CT2, libraries=(lib(f"{PREFIX}/lib/libct2.so", "ctranslate2"),))
    assert record_steps(seen, (MakeLink(f"{PREFIX}/lib/a.so", "b.so"),)) == ()


def test_other_steps_need_no_record() -> None:
    step = InstallPackages(("uv", "pip"), f"{PREFIX}/bin/python", ("ctranslate2",))
    assert record_steps(inventory(CT2, libraries=(LOADER,)), (step,)) == ()
