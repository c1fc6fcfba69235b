"""Read the header of a safetensors file: 8 bytes of length, then JSON; whatever is wrong with it is one UsageError.

Format: github.com/huggingface/safetensors, README, section "Format"; its own reader allows a header of 100 MB.
"""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

from gpu_doctor.errors import UsageError
from gpu_doctor.model.checkpoint import Tensors

LONGEST = 100_000_000
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
_LARGEST = 2**62


def read_safetensors(path: str) -> tuple[Tensors, ...]:
    """Count the parameters of each number format in a file; raise UsageError for anything but a sound header."""
    try:
        header, size = _header(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no safetensors file: {error}") from error
    try:
        return _counted(_tensors(header, size))
    except ValueError as error:
        raise UsageError(f"{path} is no sound safetensors file: {error}") from error


def _header(path: str) -> tuple[dict[str, Any], int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        first = stream.read(8)
        if len(first) < 8:
            raise ValueError("it is shorter than its own length field")
        (length,) = struct.unpack("<Q", first)
        if length > min(LONGEST, status.st_size - 8):
            raise ValueError(f"its header claims {length} bytes of {status.st_size}")
        text = stream.read(length)
    header = _parsed(text)
    return header, status.st_size - 8 - length


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        raise ValueError(f"its header is not JSON ({error.msg} at {error.pos})") from error
    except UnicodeDecodeError as error:
        raise ValueError("its header is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return header


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header names a key twice")
    return found


def _tensors(header: dict[str, Any], size: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield format, parameters, beginning and end of each tensor, in the order of the file; refuse what cannot be."""
    found = [(*_tensor(name, values), name) for name, values in header.items() if name != "__metadata__"]
    at = 0
    for dtype, parameters, begin, end, name in sorted(found, key=lambda item: item[2:4]):
        if begin < at:
            raise ValueError(f"{name[:80]!r} overlaps the tensor before it")
        if end > size:
            raise ValueError(f"{name[:80]!r} ends at {end}, behind the end of the file: it is cut off")
        at = end
        yield dtype, parameters, begin, end


def _tensor(name: str, values: Any) -> tuple[str, int, int, int]:
    if not isinstance(values, dict):
        raise ValueError(f"{name[:80]!r} is no tensor")
    dtype, shape, offsets = (values.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
        raise ValueError(f"{name[:80]!r} has no dtype, shape and data_offsets")
    begin, end = offsets
    parameters = 1
    for edge in shape:
        parameters = min(parameters * edge, _LARGEST)
    bits = _BITS.get(dtype)
    if begin > end or (bits is not None and (parameters * bits + 7) // 8 != end - begin):
        raise ValueError(f"{name[:80]!r} says {dtype} {shape[:8]} and takes {end - begin} bytes")
    return dtype[:20], parameters, begin, end


def _counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < _LARGEST for item in value)


def _counted(tensors: Iterable[tuple[str, int, int, int]]) -> tuple[Tensors, ...]:
    sums: dict[str, tuple[int, int]] = {}
    for dtype, parameters, begin, end in tensors:
        before = sums.get(dtype, (0, 0))
        sums[dtype] = (before[0] + parameters, before[1] + end - begin)
    return tuple(Tensors(dtype, *sums[dtype]) for dtype in sorted(sums))
