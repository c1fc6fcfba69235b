"""Take the wish for an executable stack out of a library's bytes: PF_X of its PT_GNU_STACK header."""

from __future__ import annotations

import struct

_PT_GNU_STACK = 0x6474E551
_PF_X = 1
_ELF64_LITTLE = b"\x7fELF\x02\x01"


def cleared(content: bytes) -> bytes:
    """Return the content with the flag cleared; the same content where it is not set.

    Raise ValueError for what is no 64-bit little-endian ELF file.
    """
    if content[:6] != _ELF64_LITTLE or len(content) < 64:
        raise ValueError("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    changed = bytearray(content)
    for number in range(count):
        at = table + number * size
        if at + 8 > len(content):
            raise ValueError("its program headers end before they should")
        kind, flags = struct.unpack_from("<II", content, at)
        if kind == _PT_GNU_STACK and flags & _PF_X:
            struct.pack_into("<I", changed, at + 4, flags & ~_PF_X)
    return bytes(changed)
