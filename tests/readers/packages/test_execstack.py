"""The word about the executable stack is found, or nothing is said."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_doctor.readers.packages.execstack import as_it_was
from tests.readers.packages.test_damage import elf


def test_a_library_without_the_wish_could_have_had_it(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(elf(6))
    assert as_it_was(f"{tmp_path}/a.so") == (68, struct.pack("<I", 7))


@pytest.mark.parametrize(
    "content", [elf(7), elf(6)[:63], b"", b"no ELF file" * 9], ids=["has it", "cut", "empty", "text"]
)
def test_what_has_it_or_is_none_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.so").write_bytes(content)
    assert as_it_was(f"{tmp_path}/a.so") is None
    assert as_it_was(f"{tmp_path}/none.so") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.integers(0, 2**64 - 1), size=st.integers(0, 2**16 - 1), count=st.integers(0, 2**16 - 1))
def test_no_header_makes_it_raise(tmp_path: Path, table: int, size: int, count: int) -> None:
    content = bytearray(elf(6))
    struct.pack_into("<Q", content, 32, table)
    struct.pack_into("<HH", content, 54, size, count)
    (tmp_path / "a.so").write_bytes(bytes(content))
    as_it_was(f"{tmp_path}/a.so")
