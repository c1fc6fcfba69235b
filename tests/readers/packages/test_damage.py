"""Files that are not what was installed are told; whole environments are silent."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.model.inventory import Damage
from gpu_doctor.model.target import Target
from gpu_doctor.readers.interpreter.interpreter import read_interpreter
from gpu_doctor.readers.packages import digests
from gpu_doctor.readers.packages.damage import find_damages
from gpu_doctor.readers.packages.overlaps import find_overlaps
from gpu_doctor.readers.packages.record import read_records
from gpu_doctor.readers.packages.wheels import read_distributions
from tests.readers.patient import age, distributions, install

LIBRARY = "pkg/lib/a.so"
CONTENT = b"0123456789"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    install(tmp_path, "pkg", files={LIBRARY: CONTENT, "pkg/__init__.py": b""})
    return tmp_path


def damages(site: Path, *names: str, limit: int = 1 << 20) -> tuple[Damage, ...]:
    return find_damages(read_records(distributions(site)), names or None, limit)


def only(site: Path) -> tuple[str, str, str]:
    (found,) = damages(site)
    assert (found.path, found.owner) == (f"{site}/{LIBRARY}", "pkg")
    return found.problem, found.expected, found.found


def test_a_whole_package_has_no_damage_and_is_not_hashed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests.hashlib, "new", lambda _: pytest.fail("hashed a file that nothing speaks against"))
    assert damages(site) == ()


def test_missing(site: Path) -> None:
    (site / LIBRARY).unlink()
    assert only(site) == ("missing", "10 bytes", "no such file")


def test_of_an_empty_file_nothing_is_lost(site: Path) -> None:
    """nvidia/__init__.py belongs to a dozen wheels; an upgrade of one to a release without it takes it from all."""
    (site / "pkg/__init__.py").unlink()
    assert damages(site) == ()


def test_a_missing_folder_means_its_files(site: Path) -> None:
    (site / LIBRARY).unlink()
    (site / "pkg" / "lib").rmdir()
    assert only(site)[0] == "missing"


def test_truncated_also_where_the_times_look_right(site: Path) -> None:
    (site / LIBRARY).write_bytes(CONTENT[:4])
    age(site / LIBRARY)
    assert only(site) == ("truncated", "10 bytes", "4 bytes")


def test_grown(site: Path) -> None:
    (site / LIBRARY).write_bytes(CONTENT * 2)
    assert only(site) == ("altered", "10 bytes", "20 bytes")


def test_other_content_of_the_same_size_later_than_record(site: Path) -> None:
    (site / LIBRARY).write_bytes(CONTENT[::-1])
    assert only(site) == ("altered", "10 bytes", "other content of the same size")


def test_a_file_written_again_with_its_own_content_is_whole(site: Path) -> None:
    (site / LIBRARY).write_bytes(CONTENT)
    assert damages(site) == ()


def test_what_exceeds_the_limit_is_not_hashed_and_not_accused(site: Path) -> None:
    (site / LIBRARY).write_bytes(CONTENT[::-1])
    assert damages(site, limit=9) == ()


def test_a_symlink_in_place_of_a_file(site: Path) -> None:
    (site / LIBRARY).unlink()
    (site / "other.so").write_bytes(b"other")
    (site / LIBRARY).symlink_to("../../other.so")
    assert only(site) == ("altered", "10 bytes", "symlink to ../../other.so (5 bytes)")
    (site / "other.so").write_bytes(CONTENT[::-1])
    (site / LIBRARY).unlink()
    (site / LIBRARY).symlink_to("../../other.so")
    assert only(site) == ("altered", "10 bytes", "symlink to ../../other.so of the same size")


def test_a_dangling_symlink_is_a_missing_file(site: Path) -> None:
    (site / LIBRARY).unlink()
    (site / LIBRARY).symlink_to("gone.so")
    assert only(site) == ("missing", "10 bytes", "symlink to gone.so, which does not exist")


def test_an_installer_that_links_into_its_cache_does_no_damage(site: Path) -> None:
    (site / LIBRARY).rename(site / "cached")
    (site / LIBRARY).symlink_to(site / "cached")
    assert damages(site) == ()


def test_a_folder_or_pipe_in_place_of_a_file(site: Path) -> None:
    (site / LIBRARY).unlink()
    os.mkfifo(site / LIBRARY)
    assert only(site) == ("altered", "10 bytes", "not a regular file")


def test_what_installers_change_or_write_is_not_compared(site: Path) -> None:
    info = install(
        site,
        "other",
        files={"other/__pycache__/a.cpython-311.pyc": b"code"},
        extra_lines="../../../bin/tool,sha256=x,99\nother-1.0.dist-info/licenses/LICENSE,sha256=x,99\nother/b.pyc,,\n",
    )
    (site / "other" / "__pycache__" / "a.cpython-311.pyc").unlink()
    (info / "INSTALLER").write_text("uv")
    assert damages(site) == ()


@pytest.mark.parametrize("installer", ["conda", "rpm", "debian"])
def test_installers_that_rewrite_files_are_not_judged_by_their_record(tmp_path: Path, installer: str) -> None:
    install(tmp_path, "pkg", files={LIBRARY: CONTENT}, installer=installer)
    (tmp_path / LIBRARY).write_bytes(b"rewritten rpath")
    assert damages(tmp_path) == ()


def test_debians_own_packages_are_not_judged_by_their_record(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3" / "dist-packages"
    install(site, "pkg", files={LIBRARY: CONTENT})
    (site / LIBRARY).write_bytes(b"strip")
    assert damages(site) == ()


def test_a_package_without_record_has_no_known_damage(tmp_path: Path) -> None:
    info = install(tmp_path, "pkg", files={LIBRARY: CONTENT})
    (info / "RECORD").unlink()
    (tmp_path / LIBRARY).unlink()
    assert damages(tmp_path) == ()


def test_only_the_named_packages_are_looked_at(site: Path) -> None:
    install(site, "other", files={"other/a.so": b"a"})
    (site / "other" / "a.so").unlink()
    (site / LIBRARY).unlink()
    assert [d.owner for d in damages(site, "other")] == ["other"]
    assert {d.owner for d in damages(site)} == {"other", "pkg"}


def test_a_shared_file_that_fits_one_owner_is_not_damaged(tmp_path: Path) -> None:
    install(tmp_path, "cpu", files={LIBRARY: CONTENT})
    install(tmp_path, "gpu", files={LIBRARY: CONTENT * 2})
    assert damages(tmp_path) == ()
    (tmp_path / LIBRARY).write_bytes(b"neither")
    assert [(d.owner, d.problem, d.found) for d in damages(tmp_path)] == [("cpu", "truncated", "7 bytes")]
    (tmp_path / LIBRARY).unlink()
    assert [(d.owner, d.problem) for d in damages(tmp_path)] == [("cpu", "missing")]


def test_many_damages_are_counted_and_libraries_told_first(tmp_path: Path) -> None:
    files = {f"pkg/{n:03}.h": b"header" for n in range(300)} | {"pkg/zz.so": b"elf"}
    info = install(tmp_path, "pkg", files=files)
    for path in files:
        (tmp_path / path).unlink()
    found = damages(tmp_path)
    assert len(found) == 200
    assert f"{tmp_path}/pkg/zz.so" in {d.path for d in found}
    assert found[-1] == Damage(f"{info}/RECORD", "pkg", "missing", "its other files", "102 more not as recorded", 102)
    assert list(found[:-1]) == sorted(found[:-1], key=lambda d: d.path)


@pytest.mark.parametrize("suffix", [".bak", ".ORIG", "~"])
def test_the_file_that_was_moved_out_of_the_way_is_named(site: Path, suffix: str) -> None:
    (site / LIBRARY).rename(site / f"{LIBRARY}{suffix}")
    (found,) = damages(site)
    assert (found.problem, found.original) == ("missing", f"{site}/{LIBRARY}{suffix}")
    (site / "other.so").write_bytes(b"other")
    (site / LIBRARY).symlink_to("../../other.so")
    (found,) = damages(site)
    assert (found.problem, found.original) == ("altered", f"{site}/{LIBRARY}{suffix}")


def test_a_copy_of_other_content_is_no_original(site: Path) -> None:
    (site / LIBRARY).write_bytes(CONTENT * 2)
    (site / f"{LIBRARY}.bak").write_bytes(CONTENT[::-1])
    (site / f"{LIBRARY}.old").symlink_to("nowhere")
    (site / f"{LIBRARY}.dir").mkdir()
    assert [d.original for d in damages(site)] == [None]


def test_an_original_is_looked_for_where_a_library_was_altered_or_lost(tmp_path: Path) -> None:
    install(tmp_path, "pkg", files={"pkg/a.py": b"abc", LIBRARY: CONTENT})
    for path in ("pkg/a.py", LIBRARY):
        (tmp_path / path).rename(tmp_path / f"{path}.bak")
    (tmp_path / LIBRARY).write_bytes(b"cut")
    assert [(d.problem, d.original) for d in damages(tmp_path)] == [("missing", None), ("truncated", None)]


def test_a_link_that_a_repair_listed_is_no_file_of_the_package(tmp_path: Path) -> None:
    """Where it leads nowhere, or is gone, the rules about libraries have a say, not those about files."""
    install(tmp_path, "pkg", files={LIBRARY: CONTENT}, extra_lines="pkg/lib/b.so.9,,\npkg/lib/c.so.9,,\npkg/d.py,,\n")
    (tmp_path / "pkg/lib/b.so.9").symlink_to("nowhere")
    assert [d.path for d in damages(tmp_path)] == [f"{tmp_path}/pkg/d.py"]


def elf(flags: int, rest: bytes = b"code") -> bytes:
    """A library with one program header: that of the stack."""
    head = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<Q", 64) + bytes(14) + struct.pack("<HH", 56, 1)
    return head.ljust(64, b"\0") + struct.pack("<II", 0x6474E551, flags).ljust(56, b"\0") + rest


def test_a_library_that_was_rid_of_its_executable_stack_is_whole(tmp_path: Path) -> None:
    """A known repair, which changes one bit."""
    install(tmp_path, "pkg", files={LIBRARY: elf(7)})
    (tmp_path / LIBRARY).write_bytes(elf(6))
    assert damages(tmp_path) == ()
    (tmp_path / LIBRARY).write_bytes(elf(6, b"edoc"))
    assert [(d.problem, d.found) for d in damages(tmp_path)] == [("altered", "other content of the same size")]
    (tmp_path / LIBRARY).write_bytes(elf(5))
    assert [d.problem for d in damages(tmp_path)] == ["altered"]


def examined(prefix: Path) -> tuple[object, ...]:
    read, _ = read_distributions(read_interpreter(Target(None, str(prefix), "test"), {}))
    records = read_records(read)
    return (*find_overlaps(records), *find_damages(records), *records.observations)


@pytest.mark.lab
@pytest.mark.parametrize("name", ["ok-4090", "ok-h100", "torch26-5090", "torch212-t4", "cuda13-ct2", "nvjitlink"])
def test_whole_files_are_found_whole(lab: Callable[[str], Path], name: str) -> None:
    assert examined(lab(name)) == ()


@pytest.mark.lab
def test_real_illnesses(lab: Callable[[str], Path]) -> None:
    (link,) = examined(lab("folk-fixed"))
    assert isinstance(link, Damage)
    assert link.found == "symlink to ../nvidia/cudnn/lib/libcudnn.so.9 (125136 bytes)"
    (cut,) = examined(lab("truncated"))
    assert isinstance(cut, Damage)
    assert (cut.problem, cut.owner) == ("truncated", "nvidia-cudnn-cu12")


@pytest.mark.lab
@pytest.mark.parametrize(("name", "winner"), [("ort-clash", "onnxruntime"), ("cudnn-overwritten", "nvidia-cudnn-cu13")])
def test_real_overlaps_have_the_winner_that_was_written_last(
    lab: Callable[[str], Path], name: str, winner: str
) -> None:
    (overlap,) = examined(lab(name))
    assert getattr(overlap, "winner", None) == winner
