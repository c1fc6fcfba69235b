"""The wish for an executable stack is one bit; nothing else of a library's bytes may move."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from gpu_doctor.fix.execstack import cleared

GNU_STACK, LOAD = 0x6474E551, 1
READ_WRITE, READ_WRITE_EXECUTE = 6, 7


def elf(*headers: tuple[int, int], start: bytes = b"\x7fELF\x02\x01") -> bytes:
    """Make a file with these program headers, (type, flags) each, and a tail that looks like one of them."""
    head = start + bytes(26) + struct.pack("<QQIHHHHHH", 64, 0, 0, 64, 56, len(headers), 0, 0, 0)
    rows = b"".join(struct.pack("<II", *row) + bytes(range(48)) for row in headers)
    return head + rows + struct.pack("<II", GNU_STACK, READ_WRITE_EXECUTE)


def changed(old: bytes, new: bytes) -> list[int]:
    assert len(old) == len(new)
    return [at for at, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]


def test_the_flag_goes_and_nothing_else_changes() -> None:
    old = elf((LOAD, READ_WRITE_EXECUTE), (GNU_STACK, READ_WRITE_EXECUTE), (LOAD, 5))
    new = cleared(old)
    assert changed(old, new) == [64 + 56 + 4]
    assert new == elf((LOAD, READ_WRITE_EXECUTE), (GNU_STACK, READ_WRITE), (LOAD, 5))


def test_other_flags_of_the_stack_stay() -> None:
    assert cleared(elf((GNU_STACK, 0x80000001))) == elf((GNU_STACK, 0x80000000))


def test_a_library_that_does_not_wish_it_keeps_its_bytes() -> None:
    for content in (elf((GNU_STACK, READ_WRITE)), elf((LOAD, READ_WRITE_EXECUTE)), elf()):
        assert cleared(content) == content


def test_clearing_twice_is_clearing_once() -> None:
    once = cleared(elf((GNU_STACK, READ_WRITE_EXECUTE)))
    assert cleared(once) == once


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh\n" * 20,
        elf((GNU_STACK, 7))[:63],
        elf((GNU_STACK, 7), start=b"\x7fELF\x01\x01"),
        elf((GNU_STACK, 7), start=b"\x7fELF\x02\x02"),
    ],
    ids=["empty", "script", "cut in its head", "32 bit", "big endian"],
)
def test_what_is_no_library_of_these_machines_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a 64-bit little-endian ELF file"):
        cleared(content)


@pytest.mark.parametrize("left", [64, 70, 64 + 56])
def test_program_headers_that_are_cut_off_are_refused(left: int) -> None:
    with pytest.raises(ValueError, match="program headers end before"):
        cleared(elf((LOAD, 5), (GNU_STACK, 7))[:left])


def test_a_table_far_behind_the_end_is_refused() -> None:
    content = bytearray(elf((GNU_STACK, 7)))
    struct.pack_into("<Q", content, 32, 2**63)
    with pytest.raises(ValueError, match="program headers end before"):
        cleared(bytes(content))


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_real_library_loads_afterwards_and_asks_for_no_executable_stack(tmp_path: Path) -> None:
    source, library = tmp_path / "answer.c", tmp_path / "libanswer.so"
    source.write_text("int answer(void) { return 42; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-z", "execstack", "-o", library, source], check=True)
    assert stack_flags(library) == READ_WRITE_EXECUTE
    old = library.read_bytes()
    new = tmp_path / "libcleared.so"
    new.write_bytes(cleared(old))
    assert stack_flags(new) == READ_WRITE
    assert len(changed(old, new.read_bytes())) == 1
    assert ctypes.CDLL(str(new)).answer() == 42


def stack_flags(library: Path) -> int:
    with library.open("rb") as file:
        flags = [row["p_flags"] for row in ELFFile(file).iter_segments() if row["p_type"] == "PT_GNU_STACK"]
    assert len(flags) == 1
    return int(flags[0])
