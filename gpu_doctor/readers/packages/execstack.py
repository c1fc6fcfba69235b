"""Find the one word of a library that tells whether it wants an executable stack."""

from __future__ import annotations

import struct

_PT_GNU_STACK = 0x6474E551
_PF_X = 1
_ELF64_LITTLE = b"\x7fELF\x02\x01"
_MOST_HEADERS = 256


def as_it_was(path: str) -> tuple[int, bytes] | None:
    """Return where a library says that it wants no executable stack, and the bytes that would say it does; else None.

    Clearing that flag is a known repair, and changes nothing else of the file.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if len(head) < 64 or head[:6] != _ELF64_LITTLE:
                return None
            (table,) = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            file.seek(table)
            headers = file.read(size * min(count, _MOST_HEADERS))
    except (OSError, OverflowError, ValueError):
        return None
    for at in range(0, len(headers) - 7, size or 8):
        kind, flags = struct.unpack_from("<II", headers, at)
        if kind == _PT_GNU_STACK and not flags & _PF_X:
            return table + at + 4, struct.pack("<I", flags | _PF_X)
    return None
