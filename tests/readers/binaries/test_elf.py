"""The small ELF reader against pyelftools, and against files that are not what they say."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpu_doctor.model.libraries import Elf
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.binaries.elf import MAX_NAMES, read_elf
from tests.readers.toolchain import build, python_libraries

SOURCE = "#include <math.h>\n#include <stdio.h>\ndouble sample(double x) { puts(__func__); return pow(x, 1.5); }\n"
FLAGS = {
    "plain": (),
    "soname": ("-Wl,-soname,libother.so.7",),
    "rpath": ("-Wl,--disable-new-dtags,-rpath,$ORIGIN/../a:/opt/b:", "-lm"),
    "runpath": ("-Wl,--enable-new-dtags,-rpath,${ORIGIN}:relative", "-lm"),
    "empty-runpath": ("-Wl,--enable-new-dtags,-rpath,",),
    "executable-stack": ("-Wl,-z,execstack",),
    "no-stack-note": ("-Wl,-z,noexecstack",),
    "no-libraries": ("-nostdlib", "-Wl,--unresolved-symbols=ignore-all"),
    "several-libraries": ("-Wl,--no-as-needed", "-lm", "-ldl", "-lpthread", "-lgcc_s"),
    "far-names": ("-Wl,--disable-new-dtags,-rpath," + ":".join(f"/opt/{'x' * 90}{n}" for n in range(60)), "-lm"),
}


def oracle(path: Path) -> Elf:
    """What pyelftools says, in our words."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        dynamic = next((s for s in elf.iter_segments() if isinstance(s, DynamicSegment)), None)
        tags = list(dynamic.iter_tags()) if dynamic else []
        named = {tag.entry.d_tag: tag for tag in tags}
        versions = next((s for s in elf.iter_sections() if isinstance(s, GNUVerNeedSection)), None)
        stack = [s["p_flags"] for s in elf.iter_segments() if s["p_type"] == "PT_GNU_STACK"]
        rpath = named["DT_RPATH"].rpath if "DT_RPATH" in named else ""
        runpath = named["DT_RUNPATH"].runpath if "DT_RUNPATH" in named else ""
        return Elf(
            machine={"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_386": "i386"}[elf["e_machine"]],
            soname=named["DT_SONAME"].soname if "DT_SONAME" in named else None,
            needed=tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"),
            rpath=tuple(rpath.split(":")) if rpath else (),
            runpath=tuple(runpath.split(":")) if runpath else (),
            executable_stack=any(flags & 1 for flags in stack),
            requires=tuple((need.name, tuple(a.name for a in aux)) for need, aux in versions.iter_versions())
            if versions
            else (),
        )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("plain"), SOURCE, "-Wl,-soname,libsample.so.1,-rpath,$ORIGIN", "-lm")


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path for damaged copies, shared by the examples of one property."""
    return tmp_path_factory.mktemp("victim") / "libvictim.so"


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_what_gcc_links_is_read_as_pyelftools_reads_it(tmp_path: Path, flags: tuple[str, ...]) -> None:
    library = build(tmp_path, SOURCE, *flags)
    assert read_elf(str(library)) == oracle(library)


def test_the_libraries_of_the_running_python_are_read_as_pyelftools_reads_them() -> None:
    libraries = python_libraries()
    assert libraries
    assert {p: read_elf(str(p)) for p in libraries} == {p: oracle(p) for p in libraries}


def test_every_field_is_read(plain: Path) -> None:
    elf = read_elf(str(plain))
    assert isinstance(elf, Elf)
    assert elf.soname == "libsample.so.1"
    assert elf.needed == ("libm.so.6", "libc.so.6")
    assert elf.rpath + elf.runpath == ("$ORIGIN",)
    assert not elf.executable_stack
    assert [library for library, _versions in elf.requires] != []
    assert all(version.startswith("GLIBC_") for _library, versions in elf.requires for version in versions)


def test_an_executable_stack_is_seen(tmp_path: Path) -> None:
    elf = read_elf(str(build(tmp_path, SOURCE, "-Wl,-z,execstack")))
    assert isinstance(elf, Elf)
    assert elf.executable_stack


@pytest.mark.parametrize(
    ("tags", "rpath", "runpath"), [("disable", ("/a", "", "$ORIGIN/b"), ()), ("enable", (), ("/a", "", "$ORIGIN/b"))]
)
def test_folders_are_kept_as_written(tmp_path: Path, tags: str, rpath: object, runpath: object) -> None:
    elf = read_elf(str(build(tmp_path, SOURCE, f"-Wl,--{tags}-new-dtags,-rpath,/a::$ORIGIN/b")))
    assert isinstance(elf, Elf)
    assert (elf.rpath, elf.runpath) == (rpath, runpath)


def test_section_headers_are_not_needed(plain: Path, victim: Path) -> None:
    data = bytearray(plain.read_bytes())
    struct.pack_into("<Q", data, 40, 0)
    struct.pack_into("<HHH", data, 58, 0, 0, 0)
    victim.write_bytes(data)
    assert read_elf(str(victim)) == read_elf(str(plain))


def test_a_32_bit_library_is_read(tmp_path: Path) -> None:
    library = build(tmp_path, "", "-m32", "-nostdlib", "-Wl,-soname,libsmall.so.1,-rpath,/a:/b")
    assert read_elf(str(library)) == oracle(library)


def test_an_unknown_machine_is_named_by_its_number(plain: Path, victim: Path) -> None:
    data = bytearray(plain.read_bytes())
    struct.pack_into("<H", data, 18, 4711)
    victim.write_bytes(data)
    elf = read_elf(str(victim))
    assert isinstance(elf, Elf)
    assert elf.machine == "machine-4711"


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _nothing(path: Path) -> None:
    pass


NOT_LIBRARIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "empty file"),
    "text": (lambda p: p.write_bytes(b"hello\n" * 100), "not an ELF file"),
    "linker-script": (lambda p: p.write_bytes(b"/* GNU ld script */ INPUT(-lm)"), "a GNU ld script, not an ELF file"),
    "only-magic": (lambda p: p.write_bytes(b"\x7fELF\x02\x01\x01"), "truncated: it ends inside the ELF header"),
    "big-endian": (lambda p: p.write_bytes(b"\x7fELF\x02\x02\x01" + bytes(60)), "not a little-endian ELF file"),
    "no-class": (lambda p: p.write_bytes(b"\x7fELF\x07\x01\x01" + bytes(60)), "damaged: its ELF class is impossible"),
    "folder": (_folder, "not a regular file"),
    "pipe": (os.mkfifo, "not a regular file"),
    "symlink-loop": (_loop, "cannot be read: Too many levels of symbolic links"),
    "missing": (_nothing, "cannot be read: No such file or directory"),
}


@pytest.mark.parametrize(("make", "reason"), NOT_LIBRARIES.values(), ids=NOT_LIBRARIES)
def test_what_is_no_library_is_unknown_and_says_why(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / "libx.so"
    make(path)
    assert read_elf(str(path)) == Unknown(reason)


def test_devices_are_not_opened() -> None:
    assert read_elf("/dev/zero") == Unknown("not a regular file")


def test_an_impossible_name_is_unknown() -> None:
    assert read_elf("lib\0x.so") == Unknown("cannot be read: its name or an offset in it is impossible")


def test_a_file_that_may_not_be_read_is_unknown(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert read_elf(str(plain)) == Unknown("cannot be read: Permission denied")


def test_a_library_without_its_tail_is_truncated(plain: Path, victim: Path) -> None:
    with plain.open("rb") as file:
        whole = max(s["p_offset"] + s["p_filesz"] for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD")
    victim.write_bytes(plain.read_bytes()[: whole - 1])
    assert read_elf(str(victim)) == Unknown(f"truncated: it should have at least {whole} bytes and has {whole - 1}")


def test_no_length_of_a_library_raises(plain: Path, victim: Path) -> None:
    data = plain.read_bytes()
    whole = read_elf(str(plain))
    for length in [*range(0, 1200, 7), *range(1200, len(data), 501)]:
        victim.write_bytes(data[:length])
        assert read_elf(str(victim)) == whole or isinstance(read_elf(str(victim)), Unknown)


def hand_made(entries: list[tuple[int, int]], strings: bytes = b"\0liba.so\0") -> bytes:
    """A 64-bit library of one loaded segment: header, two program headers, string table, dynamic table."""
    table = 64 + 2 * 56
    place = table + len(strings)
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in [*entries, (5, table), (0, 0)])
    size = place + len(dynamic)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, size, size, 4096)
    return header + load + struct.pack("<IIQQQQQQ", 2, 4, place, place, 0, len(dynamic), 0, 8) + strings + dynamic


NEEDED, SONAME, STRTAB, RPATH, VERNEED, VERNEEDNUM = 1, 14, 5, 15, 0x6FFFFFFE, 0x6FFFFFFF


def read_bytes(victim: Path, data: bytes) -> Elf | Unknown:
    victim.write_bytes(data)
    return read_elf(str(victim))


def test_the_hand_made_library_is_a_library(victim: Path) -> None:
    assert read_bytes(victim, hand_made([(NEEDED, 1)])) == Elf("x86_64", None, ("liba.so",), (), (), False)


def test_impossible_numbers_of_names_are_refused(victim: Path) -> None:
    answer = read_bytes(victim, hand_made([(NEEDED, 1)] * (MAX_NAMES + 1)))
    assert answer == Unknown(f"damaged: it names {MAX_NAMES + 1} needed libraries")


def test_a_name_without_end_is_refused(victim: Path) -> None:
    strings = b"x" * 100_000
    assert read_bytes(victim, hand_made([(SONAME, 5)], strings)) == Unknown("damaged: a name in it has no end")


def test_names_beyond_the_file_are_refused(victim: Path) -> None:
    assert read_bytes(victim, hand_made([(SONAME, 1 << 60)])) == Unknown("damaged: a name in it has no end")
    assert isinstance(read_bytes(victim, hand_made([(SONAME, (1 << 64) - 1)])), Unknown)


def test_long_names_that_overlap_are_refused(victim: Path) -> None:
    """8000 names of up to 60 kB that share their ends: 60 kB on disk, half a gigabyte to keep."""
    strings = b"x" * 60_000 + b"\0"
    answer = read_bytes(victim, hand_made([(NEEDED, offset) for offset in range(8000)], strings))
    assert answer == Unknown("damaged: its names are impossibly long")


def test_foreign_bytes_in_names_are_replaced(victim: Path) -> None:
    elf = read_bytes(victim, hand_made([(NEEDED, 0)], b"lib\xff\xfe.so\0"))
    assert isinstance(elf, Elf)
    assert elf.needed == ("lib\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.so",)


def test_an_address_in_no_segment_is_refused(victim: Path) -> None:
    answer = read_bytes(victim, hand_made([(VERNEED, 1 << 40), (VERNEEDNUM, 1)]))
    assert answer == Unknown("damaged: an address in it belongs to no segment")


def test_symbol_versions_that_share_their_names_a_thousandfold_are_refused(victim: Path) -> None:
    """Each of 5000 entries claims the names of all that follow: small on disk, 12 million names to read."""
    need = struct.pack("<HHIII", 1, 0xFFFF, 1, 16, 32) + struct.pack("<IHHII", 0, 0, 0, 1, 32)
    strings = b"\0liba.so\0"
    dynamic = [(VERNEED, 64 + 2 * 56 + len(strings)), (VERNEEDNUM, 5000)]
    answer = read_bytes(victim, hand_made(dynamic, strings + need * 4999 + need[:28] + bytes(4)))
    assert answer == Unknown("damaged: it requires an impossible number of symbol versions")


@settings(deadline=None, max_examples=150)
@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6),
    length=st.integers(0, 1 << 16),
)
@example(changes=[(54, 0)], length=1 << 16)
@example(changes=[(56, 255), (57, 255)], length=1 << 16)
def test_no_damage_raises(plain: Path, victim: Path, changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(plain.read_bytes())
    for offset, value in changes:
        data[offset % len(data)] = value
    assert isinstance(read_bytes(victim, bytes(data[:length])), Elf | Unknown)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from([1, 5, 14, 15, 29, VERNEED, VERNEEDNUM]), st.integers(0, 1 << 12))))
def test_no_dynamic_table_raises(victim: Path, entries: list[tuple[int, int]]) -> None:
    assert isinstance(read_bytes(victim, hand_made(entries, bytes(range(256)))), Elf | Unknown)
