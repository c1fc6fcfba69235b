"""Read ld.so.cache, glibc's index of the folders named in ld.so.conf.

Format: glibc, sysdeps/generic/dl-cache.h (`struct cache_file_new` and its extension section).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("=20sIIB3xI12x")
_ENTRY = struct.Struct("=iIIIQ")
_EXTENSION_MAGIC = 0xEAA42174
_GLIBC_HWCAPS = 1
_NAMED_HWCAP = 1 << 62
_ISA_LEVEL_BITS = 0x3FF << 32
_MAX_BYTES = 64 * 2**20
_MAX_ENTRIES = 1_000_000

# _DL_CACHE_DEFAULT_ID of each machine that NVIDIA ships libraries for.
FLAGS = {"x86_64": 0x0303, "aarch64": 0x0A03}


@dataclass(frozen=True, slots=True)
class LdCache:
    """Index the paths of a cache by library name, best glibc-hwcaps variant first.

    `variants` holds, for each name, pairs of the hwcaps subfolder ("" for the plain build) and the path.
    """

    path: str
    variants: Mapping[str, tuple[tuple[str, str], ...]]

    def lookup(self, name: str, supported: Sequence[str]) -> str | None:
        """Return the path that ld.so takes for this name on a CPU with these hwcaps (best first), or None."""
        ranks = {hwcap: rank for rank, hwcap in enumerate((*supported, ""))}
        usable = [(ranks[hwcap], path) for hwcap, path in self.variants.get(name, ()) if hwcap in ranks]
        return min(usable, key=lambda item: item[0])[1] if usable else None


def read_cache(path: str, machine: str) -> LdCache:
    """Read a cache for one machine ("x86_64", "aarch64"); a missing or corrupt one is empty, as it is for ld.so."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError:
        return LdCache(path, {})
    start = data.find(_MAGIC, 0, 32 + 12 * _MAX_ENTRIES)
    if start < 0:
        return LdCache(path, {})
    try:
        return LdCache(path, _entries(data[start:], FLAGS.get(machine)))
    except (struct.error, ValueError):
        return LdCache(path, {})


def _entries(data: bytes, flags: int | None) -> dict[str, tuple[tuple[str, str], ...]]:
    _, count, _, _, extension = _HEADER.unpack_from(data)
    hwcaps = _hwcap_names(data, extension)
    table = data[_HEADER.size : _HEADER.size + min(count, _MAX_ENTRIES) * _ENTRY.size]
    found: dict[str, list[tuple[str, str]]] = {}
    for entry_flags, key, value, _, hwcap in _ENTRY.iter_unpack(table[: len(table) // _ENTRY.size * _ENTRY.size]):
        if flags is not None and entry_flags != flags:
            continue
        subfolder = _subfolder(hwcap, hwcaps)
        if subfolder is not None:
            found.setdefault(_text(data, key), []).append((subfolder, _text(data, value)))
    return {name: tuple(paths) for name, paths in found.items()}


def _subfolder(hwcap: int, names: Sequence[str]) -> str | None:
    if hwcap == 0:
        return ""
    if hwcap & 0xFFFFFFFF_00000000 & ~_ISA_LEVEL_BITS == _NAMED_HWCAP:
        index = hwcap & 0xFFFFFFFF
        return names[index] if index < len(names) else None
    return None


def _hwcap_names(data: bytes, extension: int) -> tuple[str, ...]:
    if not extension:
        return ()
    magic, sections = struct.unpack_from("=II", data, extension)
    if magic != _EXTENSION_MAGIC:
        return ()
    for index in range(min(sections, 16)):
        tag, _, offset, size = struct.unpack_from("=IIII", data, extension + 8 + 16 * index)
        if tag == _GLIBC_HWCAPS:
            offsets = struct.unpack_from(f"={min(size // 4, 64)}I", data, offset)
            return tuple(_text(data, item) for item in offsets)
    return ()


def _text(data: bytes, offset: int) -> str:
    end = data.index(b"\0", offset, offset + 4096) if offset < len(data) else offset
    return data[offset:end].decode(errors="replace")
