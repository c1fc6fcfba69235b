"""Headers of safetensors: counted where they are sound, one UsageError where they are not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_doctor.errors import UsageError
from gpu_doctor.model.checkpoint import Tensors
from gpu_doctor.readers.models.safetensors import read_safetensors
from tests.readers.models.files import header, write


def test_parameters_by_format(tmp_path: Path) -> None:
    file = write(tmp_path / "m.safetensors", header(a=("F16", [2, 3]), b=("F32", [4]), c=("F16", [5]), d=("I8", [])))
    assert read_safetensors(str(file)) == (Tensors("F16", 11, 22), Tensors("F32", 4, 16), Tensors("I8", 1, 1))


def test_an_empty_file_of_tensors(tmp_path: Path) -> None:
    assert read_safetensors(str(write(tmp_path / "m", {}))) == ()


def test_a_format_that_is_not_known_is_counted_by_its_offsets(tmp_path: Path) -> None:
    new = {"a": {"dtype": "F2_NEW", "shape": [8], "data_offsets": [0, 2]}}
    assert read_safetensors(str(write(tmp_path / "m", new))) == (Tensors("F2_NEW", 8, 2),)


def tensor(dtype: Any = "F16", shape: Any = (4,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("document", "options", "words"),
    [
        (b"", {"length": 2**63}, "claims 9223372036854775808 bytes"),
        (b"{}", {"length": 3}, "claims 3 bytes"),
        (b"{nonsense", {}, "not JSON"),
        (b"\xff\xfe{}", {}, "not UTF-8"),
        (b"[]", {}, "no object"),
        (b"[" * 200_000, {}, "nested too deeply"),
        (b'{"a": {}, "a": {}}', {}, "names a key twice"),
        (b'{"a": 1}', {}, "'a' is no tensor"),
        ({"a": {"dtype": "F16"}}, {"data": 8}, "no dtype, shape and data_offsets"),
        ({"a": tensor(offsets=(8, 0))}, {"data": 8}, "takes -8 bytes"),
        ({"a": tensor(shape=(5,))}, {"data": 8}, "takes 8 bytes"),
        ({"a": tensor(shape=(2**62, 2**61))}, {"data": 8}, "no dtype, shape"),
        ({"a": tensor(shape=(2**40, 2**40))}, {"data": 8}, "takes 8 bytes"),
        ({"a": tensor(shape=(-1,))}, {"data": 8}, "no dtype, shape"),
        ({"a": tensor(shape=(True,))}, {"data": 8}, "no dtype, shape"),
        ({"a": tensor(), "b": tensor(offsets=(4, 12))}, {"data": 12}, "'b' overlaps the tensor before it"),
        ({"a": tensor()}, {"data": 7}, "it is cut off"),
    ],
)
def test_a_hostile_header_is_one_error(tmp_path: Path, document: Any, options: dict[str, int], words: str) -> None:
    options = {"data": 0, **options}
    with pytest.raises(UsageError, match="safetensors file: ") as caught:
        read_safetensors(str(write(tmp_path / "m.safetensors", document, **options)))
    assert words in caught.value.message
    assert len(caught.value.message) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\x01", b"\x00" * 7])
def test_a_file_that_is_too_short(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UsageError, match="shorter than its own length field"):
        read_safetensors(str(tmp_path / "m"))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        read_safetensors(str(tmp_path / "pipe"))
    with pytest.raises(UsageError, match="cannot read"):
        read_safetensors(str(tmp_path / "absent"))


@given(st.binary(max_size=200))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m").write_bytes(len(data).to_bytes(8, "little") + data)
    try:
        found = read_safetensors(str(tmp_path / "m"))
    except UsageError:
        return
    assert sum(item.bytes for item in found) == 0
