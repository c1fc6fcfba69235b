"""Encode the fields of a protocol buffer, of which ONNX models are made; Python 3.8, standard library only.

No question of its own: what writes a model runs this file and takes `field` from it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def field(number: int, value: Any) -> bytes:
    """Encode one field: an integer, or text and messages with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode("ascii") if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
