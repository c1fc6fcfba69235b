"""What words mean as a side of a comparison."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from gpu_doctor.collect.snapshots import kind_of, named, read_snapshot
from gpu_doctor.errors import DoctorError, TargetNotFound
from gpu_doctor.model import plain
from tests import kit

TAR = b"\0" * 257 + b"ustar\x0000" + b"\0" * 300


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"schema": 1}', "snapshot"),
        (b'\xef\xbb\xbf\n {"schema": 1}', "snapshot"),
        (TAR, "image"),
        (b"\x1f\x8b\x08rest", "image"),
        (b"\x7fELFrest", "environment"),
    ],
)
def test_a_file_is_known_by_its_first_bytes(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "side").write_bytes(content)
    assert kind_of("side", str(tmp_path)) == kind


def test_a_folder_a_command_and_stdin(tmp_path: Path) -> None:
    assert kind_of(".", str(tmp_path)) == "environment"
    assert kind_of("python3", str(tmp_path)) == "environment"
    assert kind_of("-", str(tmp_path)) == "snapshot"


def test_an_environment_is_a_folder_a_file_or_a_command_on_path(tmp_path: Path) -> None:
    python = Path(sys.executable)
    assert named(".", {}, str(tmp_path)) == (None, str(tmp_path))
    assert named(str(python), {}, str(tmp_path)) == (str(python), None)
    found = named(python.name, {"PATH": str(python.parent)}, str(tmp_path))
    assert found == (str(python), None)
    with pytest.raises(TargetNotFound, match="no-such: no such file or folder"):
        named("no-such", {"PATH": str(python.parent)}, str(tmp_path))


def test_a_snapshot_comes_from_a_file_or_from_stdin(tmp_path: Path) -> None:
    text = plain.dumps(kit.inventory())
    (tmp_path / "snap.json").write_text(text)
    assert read_snapshot("snap.json", str(tmp_path)) == kit.inventory()
    assert read_snapshot("-", str(tmp_path), io.BytesIO(text.encode())) == kit.inventory()


def test_a_snapshot_of_a_newer_doctor_is_unreadable_and_says_what_helps(tmp_path: Path) -> None:
    (tmp_path / "snap.json").write_text('{"schema": "gpu-doctor/inventory/9"}')
    with pytest.raises(DoctorError) as refused:
        read_snapshot("snap.json", str(tmp_path))
    assert (refused.value.exit_code, refused.value.hint) == (3, "update gpu-doctor")
