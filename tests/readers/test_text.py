"""Small files are read bounded, and nothing that cannot be read raises or waits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_doctor.readers.text import read_bytes, read_text


def test_undecodable_bytes_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"caf\xe9 ol\xc3\xa9")
    assert read_text(str(tmp_path / "file")) == "caf\ufffd ol\u00e9"


def test_no_more_than_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert read_bytes(str(tmp_path / "file"), limit=7) == b"x" * 7


def test_files_that_claim_no_size_are_read() -> None:
    assert "MemTotal" in (read_text("/proc/meminfo") or "")


@pytest.mark.parametrize("path", ["absent", "folder", "pipe", "nul\0in/it"])
def test_what_is_no_readable_file_is_none(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert read_text(f"{tmp_path}/{path}") is None
