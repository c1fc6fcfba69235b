"""Read what ld.so reads of an ELF file: segments, the dynamic table, the symbol versions it requires.

Section headers are not needed, as ld.so does not need them. Files are read with `pread`, not mapped: a file that
shrinks or fails while it is read gives a short answer, not SIGBUS. Everything a file claims is bounded before it is
believed. Structures: System V gABI, "Program Loading and Dynamic Linking"; LSB Core, "Symbol Versioning".
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from gpu_doctor.model.libraries import Elf
from gpu_doctor.model.unknown import Unknown

T = TypeVar("T")

MAX_PROGRAM_HEADERS = 4096
MAX_DYNAMIC_BYTES = 1 << 20
MAX_NAMES = 8192
MAX_STRING = 1 << 16
MAX_TEXT = 1 << 22
MAX_VERSION_BYTES = 1 << 20

DT_NEEDED, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_SONAME, DT_RPATH, DT_RUNPATH = 1, 4, 5, 6, 14, 15, 29
DT_GNU_HASH, DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFEF5, 0x6FFFFFFE, 0x6FFFFFFF

_PT_LOAD, _PT_DYNAMIC, _PT_GNU_STACK = 1, 2, 0x6474E551
_PF_X = 1
_FIRST_READ = 1024
_PAGE = 4096
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_MACHINES = {
    3: "i386",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390",
    40: "arm",
    62: "x86_64",
    183: "aarch64",
    190: "cuda",
    243: "riscv",
    258: "loongarch",
}
_NEED = struct.Struct("<HHIII")
_NEED_AUX = struct.Struct("<IHHII")


class Unreadable(Exception):
    """Give up on one file, with the reason; it never leaves the readers."""


class Layout(NamedTuple):
    """Hold the field layouts of one ELF class; `segment` orders type, flags, offset, address, file size."""

    header: struct.Struct
    program_header: struct.Struct
    segment: tuple[int, int, int, int, int]
    section_header: struct.Struct
    dynamic: struct.Struct
    symbol: struct.Struct
    word: struct.Struct


ELF64 = Layout(
    struct.Struct("<HHIQQQIHHHHHH"),
    struct.Struct("<IIQQQQQQ"),
    (0, 1, 2, 3, 5),
    struct.Struct("<IIQQQQIIQQ"),
    struct.Struct("<qQ"),
    struct.Struct("<IBBHQQ"),
    struct.Struct("<Q"),
)
ELF32 = Layout(
    struct.Struct("<HHIIIIIHHHHHH"),
    struct.Struct("<IIIIIIII"),
    (0, 6, 1, 2, 4),
    struct.Struct("<IIIIIIIIII"),
    struct.Struct("<iI"),
    struct.Struct("<IIIBBH"),
    struct.Struct("<I"),
)


class ElfFile:
    """Hold an open ELF file and its header; every method raises Unreadable where the file contradicts itself."""

    __slots__ = ("executable_stack", "fd", "header", "layout", "loads", "machine", "size", "tables")

    def __init__(self, fd: int, size: int) -> None:
        head = os.pread(fd, _FIRST_READ, 0)
        self.fd = fd
        self.size = size
        self.layout = _layout(head)
        try:
            self.header: tuple[int, ...] = self.layout.header.unpack_from(head, 16)
        except struct.error:
            raise Unreadable("truncated: it ends inside the ELF header") from None
        self.machine = _MACHINES.get(self.header[1], f"machine-{self.header[1]}")
        self.loads: list[tuple[int, int, int]] = []
        self.executable_stack = False
        self.tables: tuple[int, int] | None = None
        self._read_segments(head)

    def read(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes at a file offset; fewer at the end of the file."""
        if offset >= self.size:
            return b""
        return os.pread(self.fd, size, offset)

    def offset(self, address: int) -> int:
        """Translate an address of the loaded library into a file offset."""
        for start, end, offset in self.loads:
            if start <= address < end:
                return address - start + offset
        raise Unreadable("damaged: an address in it belongs to no segment")

    def dynamic(self) -> tuple[dict[int, int], list[int]]:
        """Return the dynamic table (the last value of each tag, as ld.so takes it) and the DT_NEEDED values."""
        values: dict[int, int] = {}
        needed: list[int] = []
        if self.tables is None:
            return values, needed
        offset, size = self.tables
        entry = self.layout.dynamic
        data = self.read(offset, min(size, MAX_DYNAMIC_BYTES))
        for tag, value in entry.iter_unpack(data[: len(data) // entry.size * entry.size]):
            if tag == 0:
                break
            if tag == DT_NEEDED:
                needed.append(value)
            else:
                values[tag] = value
        if len(needed) > MAX_NAMES:
            raise Unreadable(f"damaged: it names {len(needed)} needed libraries")
        return values, needed

    def strings(self, table: int, offsets: Iterable[int]) -> dict[int, str]:
        """Return the strings at these offsets of the string table that starts at file offset `table`."""
        found: dict[int, str] = {}
        window, start, left = b"", 0, MAX_TEXT
        for offset in sorted(set(offsets)):
            end = window.find(b"\0", offset - start) if offset - start < len(window) else -1
            if end < 0:
                window, start = self.read(table + offset, _PAGE), offset
                end = window.find(b"\0")
                if end < 0:
                    window = self.read(table + offset, MAX_STRING)
                    end = window.find(b"\0")
            if end < 0:
                raise Unreadable("damaged: a name in it has no end")
            found[offset] = window[offset - start : end].decode("utf-8", "replace")
            left -= len(found[offset])
            if left < 0:
                raise Unreadable("damaged: its names are impossibly long")
        return found

    def _read_segments(self, head: bytes) -> None:
        start, entry_size, count = self.header[4], self.header[8], self.header[9]
        entry = self.layout.program_header
        if (count and entry_size != entry.size) or count > MAX_PROGRAM_HEADERS:
            raise Unreadable("damaged: its program headers have an impossible size or number")
        end = start + count * entry.size
        table = head[start:end] if end <= len(head) else self.read(start, end - start)
        if len(table) != count * entry.size:
            raise Unreadable("truncated: its program headers lie beyond its end")
        kind_at, flags_at, offset_at, address_at, size_at = self.layout.segment
        for fields in entry.iter_unpack(table):
            kind, offset, size = fields[kind_at], fields[offset_at], fields[size_at]
            if kind == _PT_LOAD:
                if offset + size > self.size:
                    raise Unreadable(f"truncated: it should have at least {offset + size} bytes and has {self.size}")
                self.loads.append((fields[address_at], fields[address_at] + size, offset))
            elif kind == _PT_DYNAMIC:
                self.tables = (offset, size)
            elif kind == _PT_GNU_STACK:
                self.executable_stack = bool(fields[flags_at] & _PF_X)


def with_elf_file(path: str, read: Callable[[ElfFile], T]) -> T | Unknown:
    """Open the file, hand it to `read` and close it; answer Unknown where it is no readable ELF file."""
    try:
        # Not opened before it is known to be a file: opening some devices changes the machine.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Unknown("not a regular file")
        fd = os.open(path, _OPEN_FLAGS)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return Unknown("not a regular file")
            # Headers lie scattered over gigabytes; reading ahead of each fetched 17 times what is looked at.
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            return read(ElfFile(fd, status.st_size))
        finally:
            os.close(fd)
    except Unreadable as problem:
        return Unknown(str(problem))
    except OSError as problem:
        return Unknown(f"cannot be read: {problem.strerror or problem}")
    except (ValueError, OverflowError):
        return Unknown("cannot be read: its name or an offset in it is impossible")


def read_elf(path: str) -> Elf | Unknown:
    """Read what ld.so needs to know of a shared library; answer Unknown where it is no whole ELF file."""
    return with_elf_file(path, _read)


def _read(file: ElfFile) -> Elf:
    values, needed = file.dynamic()
    named = [values[tag] for tag in (DT_SONAME, DT_RPATH, DT_RUNPATH) if tag in values]
    required = _version_needs(file, values) if DT_VERNEED in values else []
    text: dict[int, str] = {}
    if DT_STRTAB in values:
        offsets = [*needed, *named]
        for library, versions in required:
            offsets.append(library)
            offsets += versions
        text = file.strings(file.offset(values[DT_STRTAB]), offsets)
    elif needed or named or required:
        raise Unreadable("damaged: it has names and no string table")
    return Elf(
        machine=file.machine,
        soname=text.get(values.get(DT_SONAME, -1)),
        needed=tuple([text[offset] for offset in needed]),
        rpath=_folders(text.get(values.get(DT_RPATH, -1))),
        runpath=_folders(text.get(values.get(DT_RUNPATH, -1))),
        executable_stack=file.executable_stack,
        requires=tuple([(text[library], tuple([text[v] for v in versions])) for library, versions in required]),
    )


def _version_needs(file: ElfFile, values: dict[int, int]) -> list[tuple[int, list[int]]]:
    """Return string offsets of each library and of the versions required of it."""
    start, count = file.offset(values[DT_VERNEED]), values.get(DT_VERNEEDNUM, 0)
    # The table does not say how long it is: most are short, and a hostile one is bounded.
    try:
        return _walk_versions(file.read(start, _PAGE), count)
    except struct.error:
        pass
    try:
        return _walk_versions(file.read(start, MAX_VERSION_BYTES), count)
    except struct.error:
        raise Unreadable("damaged: its table of symbol versions runs past its end") from None


def _walk_versions(data: bytes, count: int) -> list[tuple[int, list[int]]]:
    found: list[tuple[int, list[int]]] = []
    names = 0
    at = 0
    for _ in range(min(count, MAX_NAMES)):
        _version, aux_count, library, aux, following = _NEED.unpack_from(data, at)
        versions: list[int] = []
        aux += at
        for _ in range(aux_count):
            _hash, _flags, _other, name, aux_following = _NEED_AUX.unpack_from(data, aux)
            versions.append(name)
            if aux_following == 0:
                break
            aux += aux_following
        names += 1 + len(versions)
        if names > MAX_NAMES:
            raise Unreadable("damaged: it requires an impossible number of symbol versions")
        found.append((library, versions))
        if following == 0:
            break
        at += following
    return found


def _folders(path: str | None) -> tuple[str, ...]:
    # An empty path is no path; an empty folder within one means the working directory (glibc, decompose_rpath).
    return tuple(path.split(":")) if path else ()


def _layout(head: bytes) -> Layout:
    if not head:
        raise Unreadable("empty file")
    if head[:4] != b"\x7fELF":
        script = head.lstrip().startswith((b"/* GNU ld script", b"INPUT", b"GROUP"))
        raise Unreadable("a GNU ld script, not an ELF file" if script else "not an ELF file")
    if head[5:6] != b"\x01":
        raise Unreadable("not a little-endian ELF file")
    if head[4:5] == b"\x02":
        return ELF64
    if head[4:5] == b"\x01":
        return ELF32
    raise Unreadable("damaged: its ELF class is impossible")
