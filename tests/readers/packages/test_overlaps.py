"""Overlaps are told where it matters whose content lies at a path, and the winner is proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.model.inventory import Overlap
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.packages.overlaps import find_overlaps
from gpu_doctor.readers.packages.record import read_records
from tests.readers.patient import distributions, install


def overlaps(*sites: Path, limit: int = 1 << 20) -> tuple[Overlap, ...]:
    return find_overlaps(read_records(distributions(*sites)), limit)


def two(site: Path, first: dict[str, bytes], second: dict[str, bytes]) -> None:
    """Install `cpu`, then `gpu` over it."""
    install(site, "cpu", files=first)
    install(site, "gpu", files=second)


def test_sizes_prove_the_winner(tmp_path: Path) -> None:
    same = {"ort/common.py": b"same"}
    two(tmp_path, {"ort/a.so": b"small", "ort/b.py": b"1", **same}, {"ort/a.so": b"larger", "ort/b.py": b"22", **same})
    (found,) = overlaps(tmp_path, limit=0)
    assert found == Overlap(
        owners=("cpu", "gpu"),
        files=3,
        sample=(f"{tmp_path}/ort/a.so", f"{tmp_path}/ort/b.py"),
        altered=(("cpu", 2),),
        winner="gpu",
    )


def test_hashes_prove_it_where_sizes_are_equal(tmp_path: Path) -> None:
    two(tmp_path, {"ort/a.so": b"cpu code"}, {"ort/a.so": b"gpu code"})
    (found,) = overlaps(tmp_path)
    assert (found.winner, found.altered) == ("gpu", (("cpu", 1),))
    (tmp_path / "ort" / "a.so").write_bytes(b"cpu code")
    (found,) = overlaps(tmp_path)
    assert (found.winner, found.altered) == ("cpu", (("gpu", 1),))


def test_what_is_too_large_to_hash_is_unknown(tmp_path: Path) -> None:
    two(tmp_path, {"ort/a.so": b"cpu code"}, {"ort/a.so": b"gpu code"})
    (found,) = overlaps(tmp_path, limit=7)
    assert isinstance(found.winner, Unknown)
    assert found.altered == ()


def test_a_mixture_has_no_winner(tmp_path: Path) -> None:
    two(tmp_path, {"ort/a.so": b"1", "ort/b.so": b"1"}, {"ort/a.so": b"22", "ort/b.so": b"22"})
    (tmp_path / "ort" / "a.so").write_bytes(b"1")
    (found,) = overlaps(tmp_path)
    assert (found.winner, found.altered) == (None, (("cpu", 1), ("gpu", 1)))


def test_files_that_are_gone_prove_nothing(tmp_path: Path) -> None:
    two(tmp_path, {"ort/a.so": b"1", "ort/b.so": b"1"}, {"ort/a.so": b"22", "ort/b.so": b"22"})
    (tmp_path / "ort" / "b.so").unlink()
    assert overlaps(tmp_path)[0].winner == "gpu"
    (tmp_path / "ort" / "a.so").unlink()
    assert isinstance(overlaps(tmp_path)[0].winner, Unknown)


def test_each_set_of_owners_is_told_once(tmp_path: Path) -> None:
    install(tmp_path, "a", files={"x/1.py": b"a", "y/1.py": b"a"})
    install(tmp_path, "b", files={"x/1.py": b"bb"})
    install(tmp_path, "c", files={"y/1.py": b"cc"})
    assert [(o.owners, o.winner) for o in overlaps(tmp_path)] == [(("a", "b"), "b"), (("a", "c"), "c")]


@pytest.mark.parametrize(
    ("path", "first", "second"),
    [
        ("nvidia/shared.py", b"same", b"same"),
        ("nvidia/__init__.py", b"", b"# a comment"),
        ("tests/test_it.py", b"one", b"two two"),
        ("LICENSE", b"one", b"two two"),
        ("pkg/__pycache__/a.cpython-311.pyc", b"one", b"two two"),
    ],
)
def test_harmless_overlaps_are_not_told(tmp_path: Path, path: str, first: bytes, second: bytes) -> None:
    two(tmp_path, {path: first}, {path: second})
    assert overlaps(tmp_path) == ()


@pytest.mark.parametrize("path", ["six.py", "_C.so", "pkg/__init__.py"])
def test_modules_that_differ_are_told(tmp_path: Path, path: str) -> None:
    two(tmp_path, {path: b"one"}, {path: b"two two"})
    assert [o.files for o in overlaps(tmp_path)] == [1]


def test_folders_of_the_search_path_do_not_overlap(tmp_path: Path) -> None:
    install(tmp_path / "near", "cpu", files={"ort/a.so": b"1"})
    install(tmp_path / "far", "gpu", files={"ort/a.so": b"22"})
    assert overlaps(tmp_path / "near", tmp_path / "far") == ()


def test_an_older_record_of_the_same_package_is_no_second_owner(tmp_path: Path) -> None:
    install(tmp_path, "torch", "2.6.0", files={"torch/a.so": b"1"})
    install(tmp_path, "torch", "2.8.0", files={"torch/a.so": b"22"})
    assert overlaps(tmp_path) == ()
