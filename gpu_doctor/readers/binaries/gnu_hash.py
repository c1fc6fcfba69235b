"""Ask a shared library for single symbols, the way ld.so does, without reading its whole symbol table.

Sources: U. Drepper, "How To Write Shared Libraries", section 1.5.3; glibc, elf/dl-lookup.c (`do_lookup_x`,
`check_match`); System V gABI, "Hash Table".
"""

from __future__ import annotations

import struct

from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.binaries.elf import (
    DT_GNU_HASH,
    DT_HASH,
    DT_STRTAB,
    DT_SYMTAB,
    ELF64,
    ElfFile,
    Unreadable,
    with_elf_file,
)

MAX_CHAIN = 1 << 16
MAX_SYMBOLS = 1 << 20
MAX_NAME = 1 << 16
MAX_NAME_BYTES = 1 << 26

_GNU_HEADER = struct.Struct("<IIII")
_HASH_HEADER = struct.Struct("<II")
_U32 = struct.Struct("<I")
_CHAIN_READ = 256
_UNDEFINED = 0
_LOCAL, _WEAK = 0, 2


def defines_symbol(path: str, symbol: str) -> bool | Unknown:
    """Tell whether the library defines this dynamic symbol, in any version; read only its hash table's way there."""
    return with_elf_file(path, lambda file: _defines(file, symbol.encode()))


def undefined_symbols(path: str, prefix: str = "") -> tuple[str, ...] | Unknown:
    """Return the sorted dynamic symbols with this prefix that the library needs from others.

    Weak ones are left out: they may stay undefined.
    """
    return with_elf_file(path, lambda file: _undefined(file, prefix.encode()))


class _Symbols:
    """Hold where a library's dynamic symbols, their names and their hash tables lie in the file."""

    def __init__(self, file: ElfFile) -> None:
        values, _needed = file.dynamic()
        if DT_SYMTAB not in values or DT_STRTAB not in values:
            raise Unreadable("it has no dynamic symbol table")
        self.file = file
        self.values = values
        self.symbols = file.offset(values[DT_SYMTAB])
        self.names = file.offset(values[DT_STRTAB])

    def is_definition(self, index: int, name: bytes) -> bool:
        """Tell whether this entry defines this name for other libraries."""
        entry = self.file.layout.symbol
        fields = _unpack(entry, self.file.read(self.symbols + index * entry.size, entry.size))
        at, info, section = _symbol_fields(self.file, fields)
        if section == _UNDEFINED or info >> 4 == _LOCAL:
            return False
        return self.file.read(self.names + at, len(name) + 1) == name + b"\0"

    def gnu_header(self) -> tuple[int, tuple[int, ...]]:
        """Return the file offset after the header of DT_GNU_HASH, and buckets, first symbol, bloom words, shift."""
        start = self.file.offset(self.values[DT_GNU_HASH])
        return start + _GNU_HEADER.size, _unpack(_GNU_HEADER, self.file.read(start, _GNU_HEADER.size))


def _defines(file: ElfFile, name: bytes) -> bool:
    symbols = _Symbols(file)
    if DT_GNU_HASH in symbols.values:
        return _in_gnu_hash(symbols, name)
    if DT_HASH in symbols.values:
        return _in_hash(symbols, name)
    raise Unreadable("it has no symbol hash table")


def _in_gnu_hash(symbols: _Symbols, name: bytes) -> bool:
    file = symbols.file
    bloom, (bucket_count, first, bloom_count, shift) = symbols.gnu_header()
    if not bucket_count or not bloom_count:
        return False
    wanted = gnu_hash(name)
    word = file.layout.word
    bits = word.size * 8
    filled = _unpack(word, file.read(bloom + wanted // bits % bloom_count * word.size, word.size))[0]
    if not filled >> (wanted % bits) & filled >> ((wanted >> shift % 32) % bits) & 1:
        return False
    buckets = bloom + bloom_count * word.size
    index = _unpack(_U32, file.read(buckets + wanted % bucket_count * 4, 4))[0]
    if index < first:
        return False
    chain = buckets + bucket_count * 4 - first * 4
    for _ in range(0, MAX_CHAIN, _CHAIN_READ // 4):
        for value, at in zip(_chain(file, chain + index * 4), range(index, index + _CHAIN_READ // 4), strict=False):
            if value | 1 == wanted | 1 and symbols.is_definition(at, name):
                return True
            if value & 1:
                return False
        index += _CHAIN_READ // 4
    raise Unreadable("damaged: a chain of its symbol hash table has no end")


def _chain(file: ElfFile, offset: int) -> list[int]:
    data = file.read(offset, _CHAIN_READ)
    if len(data) < 4:
        raise Unreadable("damaged: a chain of its symbol hash table runs past its end")
    return [value for (value,) in _U32.iter_unpack(data[: len(data) // 4 * 4])]


def _in_hash(symbols: _Symbols, name: bytes) -> bool:
    file = symbols.file
    start = file.offset(symbols.values[DT_HASH])
    bucket_count, chain_count = _unpack(_HASH_HEADER, file.read(start, _HASH_HEADER.size))
    if not bucket_count:
        return False
    buckets = start + _HASH_HEADER.size
    index = _unpack(_U32, file.read(buckets + sysv_hash(name) % bucket_count * 4, 4))[0]
    chains = buckets + bucket_count * 4
    for _ in range(MAX_CHAIN):
        if index == 0 or index >= chain_count:
            return False
        if symbols.is_definition(index, name):
            return True
        index = _unpack(_U32, file.read(chains + index * 4, 4))[0]
    raise Unreadable("damaged: a chain of its symbol hash table has no end")


def _undefined(file: ElfFile, prefix: bytes) -> tuple[str, ...]:
    symbols = _Symbols(file)
    entry = file.layout.symbol
    count = _unhashed_count(symbols)
    if count > MAX_SYMBOLS:
        raise Unreadable(f"it claims {count} undefined symbols")
    data = file.read(symbols.symbols, count * entry.size)
    offsets = []
    for fields in entry.iter_unpack(data[: len(data) // entry.size * entry.size]):
        at, info, section = _symbol_fields(file, fields)
        if section == _UNDEFINED and at and info >> 4 not in (_LOCAL, _WEAK):
            offsets.append(at)
    return _names(symbols, offsets, prefix)


def _names(symbols: _Symbols, offsets: list[int], prefix: bytes) -> tuple[str, ...]:
    if not offsets:
        return ()
    first, last = min(offsets), max(offsets)
    if last - first > MAX_NAME_BYTES:
        raise Unreadable("damaged: its symbol names lie impossibly far apart")
    text = symbols.file.read(symbols.names + first, last - first + MAX_NAME)
    found = set()
    left = MAX_NAME_BYTES
    for at in set(offsets):
        start = at - first
        if text.startswith(prefix, start):
            end = text.find(b"\0", start, start + MAX_NAME)
            left -= end - start
            if end < 0 or left < 0:
                raise Unreadable("damaged: a symbol name in it has no end")
            found.add(text[start:end].decode("utf-8", "replace"))
    return tuple(sorted(found))


def _unhashed_count(symbols: _Symbols) -> int:
    """Return how many entries at the front of the symbol table may be undefined."""
    file = symbols.file
    if DT_HASH in symbols.values:
        return int(_unpack(_HASH_HEADER, file.read(file.offset(symbols.values[DT_HASH]), _HASH_HEADER.size))[1])
    if DT_GNU_HASH not in symbols.values:
        raise Unreadable("it has no symbol hash table")
    buckets, (bucket_count, first, bloom_count, _shift) = symbols.gnu_header()
    buckets += bloom_count * file.layout.word.size
    if bucket_count > 1 or _unpack(_U32, file.read(buckets, 4))[0]:
        return first
    # An empty table's first hashed symbol means nothing (binutils writes 1); every linker places names after symbols.
    if symbols.names <= symbols.symbols:
        raise Unreadable("the number of its undefined symbols is not written anywhere")
    return (symbols.names - symbols.symbols) // file.layout.symbol.size


def _symbol_fields(file: ElfFile, fields: tuple[int, ...]) -> tuple[int, int, int]:
    """Return a symbol's name offset, its binding and type, and its section."""
    if file.layout is ELF64:
        return fields[0], fields[1], fields[3]
    return fields[0], fields[3], fields[5]


def _unpack(layout: struct.Struct, data: bytes) -> tuple[int, ...]:
    try:
        return layout.unpack(data)
    except struct.error:
        raise Unreadable("damaged: its symbol tables run past its end") from None


def gnu_hash(name: bytes) -> int:
    """Return the 32-bit hash that DT_GNU_HASH tables use."""
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def sysv_hash(name: bytes) -> int:
    """Return the 28-bit hash that DT_HASH tables use."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & 0x0FFFFFFF
    return value
