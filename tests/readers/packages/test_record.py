"""RECORD files tell who owns what; lines that make no sense are observed and ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.readers.packages import record
from gpu_doctor.readers.packages.record import Claim, Records, parse_record, read_records
from tests.readers.patient import distributions, install


def records(*sites: Path) -> Records:
    return read_records(distributions(*sites))


def test_a_file_belongs_to_the_package_that_lists_it(tmp_path: Path) -> None:
    install(tmp_path, "torch", files={"torch/lib/libtorch.so": b"elf", "torch/__init__.py": b""})
    install(tmp_path, "numpy", files={"numpy/__init__.py": b""})
    found = records(tmp_path)
    assert found.owner_of(f"{tmp_path}/torch/lib/libtorch.so") == "torch"
    assert found.owner_of(f"{tmp_path}/numpy/../torch/__init__.py") == "torch"
    assert found.owner_of(f"{tmp_path}/numpy/other.py") is None
    assert found.owners[f"{tmp_path}/numpy/__init__.py"] == "numpy"
    assert found.observations == ()


def test_the_earlier_folder_of_the_search_path_does_not_hide_the_later_ones_files(tmp_path: Path) -> None:
    install(tmp_path / "near", "torch", "2.6.0", files={"torch/a.so": b"a"})
    install(tmp_path / "far", "torch", "2.8.0", files={"torch/a.so": b"b"})
    found = records(tmp_path / "near", tmp_path / "far")
    assert found.owner_of(f"{tmp_path}/far/torch/a.so") == "torch"
    assert found.shared == {}


def test_a_shared_file_belongs_to_whose_size_it_has(tmp_path: Path) -> None:
    install(tmp_path, "cudnn-cu12", files={"nvidia/libcudnn.so.9": b"twelve", "nvidia/only12": b""})
    install(tmp_path, "cudnn-cu13", files={"nvidia/libcudnn.so.9": b"thirteen"})
    found = records(tmp_path)
    assert [list(paths) for paths in found.shared.values()] == [["nvidia/libcudnn.so.9"]]
    assert found.owner_of(f"{tmp_path}/nvidia/libcudnn.so.9") == "cudnn-cu13"
    (tmp_path / "nvidia" / "libcudnn.so.9").write_bytes(b"twelve")
    assert records(tmp_path).owner_of(f"{tmp_path}/nvidia/libcudnn.so.9") == "cudnn-cu12"


def test_a_claim_holds_digest_and_size(tmp_path: Path) -> None:
    install(tmp_path, "package", files={"a.py": b"12345"}, extra_lines="b.pyc,,\nc.py,sha256=x,many\nd.py,sha256=x\n")
    (one,) = records(tmp_path).records
    assert one.claim("a.py").size == 5
    assert one.claim("a.py").digest.startswith("sha256=")
    assert one.claim("b.pyc") == Claim("", None)
    assert one.claim("c.py") == Claim("sha256=x", None)
    assert one.claim("d.py").size is None


def test_quoted_and_dotted_paths_are_understood() -> None:
    text = '"a, ""b"".py",sha256=x,1\r\n./c.py,,2\na//d/./e.py,,3\n.libs/f.so,,4\na/../g.py,,5\n../../../bin/h,,6\n\n'
    assert parse_record(text) == (
        {'a, "b".py': "sha256=x,1", "c.py": ",2", "a/d/e.py": ",3", ".libs/f.so": ",4", "g.py": ",5", "../../../bin/h": ",6"},
        [],
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "/etc/passwd,,1",
        "../../../../etc/passwd,,1",
        "a/../../../../../etc/passwd,,1",
        "no comma",
        '"open,,1',
        ",,1",
        "a/.b",
    ],
)
def test_paths_that_leave_the_environment_are_observed_and_ignored(tmp_path: Path, line: str) -> None:
    info = install(tmp_path, "package", files={"a.py": b""}, extra_lines=f"{line}\n")
    found = records(tmp_path)
    (observation,) = found.observations
    assert observation.where == f"{info}/RECORD"
    assert observation.what.startswith("lists 1 paths that leave the environment or make no sense, such as ")
    assert not any("etc" in path for path in found.owners)


def test_what_was_placed_later_is_listed_without_size_and_digest(tmp_path: Path) -> None:
    install(tmp_path, "package", files={"a.so": b""}, extra_lines="b.so,,\n")
    found = records(tmp_path)
    assert [found.placed(f"{tmp_path}/{name}") for name in ("a.so", "b.so", "c.so")] == [False, True, False]
    assert not found.placed("/elsewhere/b.so")


def test_an_unreadable_record_is_observed(tmp_path: Path) -> None:
    info = install(tmp_path, "package")
    (info / "RECORD").unlink()
    (info / "RECORD").mkdir()
    found = records(tmp_path)
    assert found.records == ()
    assert [o.what for o in found.observations] == ["cannot be read"]


def test_a_record_that_would_fill_the_memory_is_observed_and_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "package", extra_lines="a,,\n" * 100)
    monkeypatch.setattr(record, "_MOST_LINES", 50)
    found = records(tmp_path)
    assert (found.records, [o.what for o in found.observations]) == ((), ["has more than 50 lines; ignored"])


@given(st.text(alphabet=st.sampled_from('ab./,"\n\r\0é=1'), max_size=60))
def test_no_text_can_make_the_parser_raise_or_leave_the_environment(text: str) -> None:
    files, _ = parse_record(text)
    for path in files:
        assert path
        assert not path.startswith(("/", "../../../.."))
        assert "\0" not in path


def test_a_long_line_and_many_scripts_are_taken_as_they_are(tmp_path: Path) -> None:
    lines = "".join(f"../../../bin/{n},,{'9' * 40}\n" for n in range(20_000))
    install(tmp_path, "package", extra_lines=lines + "x" * 1_000_000)
    found = records(tmp_path)
    assert len(found.records[0].files) == 20_002
    assert [len(o.what) < 400 for o in found.observations] == [True]
