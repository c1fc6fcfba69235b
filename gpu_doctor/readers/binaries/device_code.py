"""Read which GPU architectures a shared library carries, from the headers of its fat binaries.

nvcc and clang put device code into the ELF section `.nv_fatbin` (`__nv_relfatbin` where it still awaits the device
linker) as containers of entries; only their headers are read, never a payload, so a library of a gigabyte costs
milliseconds and no memory. NVIDIA does not document the format: the layout and the flags of the suffixes were found
by comparison with `cuobjdump --list-elf --list-ptx` (tests/labs/test_device_code_oracle.py repeats it). The headers
are read with `pread`: on libtorch_cuda (1 GB) a memory map took longer and 138 MB, as each header touched maps its
neighbourhood, and a file that shrinks meanwhile would end the process.

What counts as complete. Code that runs by itself is registered with the CUDA runtime through a table in
`.nvFatBinSegment`. A library with containers and no such table (libcufft: 400 bytes of code for sm_52 in `.nv_fatbin`,
23 000 containers in `.ldata`) brings its kernels to the GPU in a way of its own, so its list is *unknown*, as is one
with a container or an entry that this reader does not understand. Some libraries keep more code beside the registered
one (`.cask_resource` of cuBLASLt and cuDNN: variants for `a` and `f` of architectures that they register too; data
passed to the driver by CUPTI and ONNX Runtime's attention kernels); neither cuobjdump nor this reader lists it.
"""

from __future__ import annotations

import os
import struct

from gpu_doctor.model.architecture import sort_key
from gpu_doctor.model.libraries import NO_GPU_CODE, GpuCode
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.binaries.elf import ElfFile, Unreadable, with_elf_file

# Of containers and entries together; the largest number seen is 8 786 (cuBLASLt 12.8).
MAX_HEADERS = 1 << 18
MAX_SECTION_NAMES = 1 << 20
MAX_PADDING = 1 << 16
MAX_SEARCH = 1 << 26

CONTAINER_MAGIC = 0xBA55ED50
PTX, SASS, LTO_IR = 1, 2, 8
ARCHITECTURE_SPECIFIC, FAMILY_SPECIFIC = 1 << 20, 1 << 21

_CONTAINER = struct.Struct("<IHHQ")  # magic, version, header size, payload size
_ENTRY = struct.Struct("<HHIQ12xI8xQ")  # kind, version, header size, padded payload size, architecture, flags
_LINKED, _RELOCATABLE, _AMD, _REGISTRY = b".nv_fatbin\0", b"__nv_relfatbin\0", b".hip_fatbin\0", b".nvFatBinSegment\0"
_SECTIONS = (_LINKED, _RELOCATABLE, _AMD, _REGISTRY)
_SHT_NOBITS = 8
_SEARCH_CHUNK = 1 << 20

_Place = tuple[int, int]
_Code = set[tuple[int, int, int]]


def read_gpu_code(path: str) -> GpuCode:
    """List the architectures of the GPU code that a shared library registers; `unknown` where that is not all."""
    code = with_elf_file(path, _read)
    return GpuCode("unknown", note=code.reason) if isinstance(code, Unknown) else code


def _read(file: ElfFile) -> GpuCode:
    sections = _gpu_sections(file)
    if sections is None:
        return _search(file)
    # Relocatable code is what the device linker made `.nv_fatbin` of; alone, it is all there is.
    place = sections.get(_LINKED) or sections.get(_RELOCATABLE)
    if place is None:
        if _AMD in sections:
            return GpuCode("unknown", note="its GPU code is for AMD GPUs and is not read")
        return NO_GPU_CODE
    code: _Code = set()
    problem = ""
    try:
        _walk(file, place, code)
    except Unreadable as damage:
        problem = str(damage)
    except struct.error:
        problem = "truncated: it ends inside its GPU code"
    return _result(code, problem, registered=_REGISTRY in sections)


def _result(code: _Code, problem: str, registered: bool) -> GpuCode:
    sass = {f"sm_{number}{_suffix(flags)}" for kind, number, flags in code if kind == SASS}
    ptx = {f"compute_{number}{_suffix(flags)}" for kind, number, flags in code if kind == PTX}
    strange = sorted({kind for kind, _number, _flags in code} - {SASS, PTX, LTO_IR})
    if strange:
        problem = problem or f"it holds GPU code of an unknown kind ({strange[0]})"
    if not registered:
        problem = problem or "it does not register its GPU code with the CUDA runtime and may keep more elsewhere"
    if not (sass or ptx) and any(kind == LTO_IR for kind, _number, _flags in code):
        problem = problem or "it holds only code that is linked for the GPU at run time (LTO-IR)"
    if not problem and not code:
        return NO_GPU_CODE
    lists = tuple(sorted(sass, key=sort_key)), tuple(sorted(ptx, key=sort_key))
    return GpuCode("unknown", *lists, problem) if problem else GpuCode("read", *lists)


def _suffix(flags: int) -> str:
    if flags & ARCHITECTURE_SPECIFIC:
        return "a"
    return "f" if flags & FAMILY_SPECIFIC else ""


def _walk(file: ElfFile, place: _Place, code: _Code) -> None:
    """Add kind, architecture and flags of every entry of every container to `code`."""
    at, size = place
    end = at + size
    if end > file.size:
        raise Unreadable("truncated: its GPU code should reach further than the file")
    left = MAX_HEADERS
    while at + _CONTAINER.size <= end:
        magic, _version, header, payload = _CONTAINER.unpack(file.read(at, _CONTAINER.size))
        if magic == 0:
            at = _after_padding(file, at, end)
            continue
        stop = at + header + payload
        if magic != CONTAINER_MAGIC or header < _CONTAINER.size or stop > end or left <= 0:
            raise Unreadable("damaged: its GPU code is not stored in whole fat-binary containers")
        left = _walk_entries(file.fd, at + header, stop, left - 1, code)
        at = stop


def _walk_entries(fd: int, at: int, stop: int, left: int, code: _Code) -> int:
    """Read the entry headers of one container and return how many more headers may be read."""
    pread, unpack, length, add = os.pread, _ENTRY.unpack, _ENTRY.size, code.add
    while at < stop:
        left -= 1
        kind, _version, header, payload, number, flags = unpack(pread(fd, length, at))
        at += header + payload
        if header < length or at > stop or not 10 <= number < 1000 or left <= 0:
            raise Unreadable("damaged: an entry of its GPU code contradicts its container")
        add((kind, number, flags & (ARCHITECTURE_SPECIFIC | FAMILY_SPECIFIC)))
    return left


def _after_padding(file: ElfFile, at: int, end: int) -> int:
    """Return where the next container begins after zero bytes; linkers pad sections of object files to 8 or more."""
    window = file.read(at, min(end - at, MAX_PADDING))
    zeros = len(window) - len(window.lstrip(b"\0"))
    if at + zeros == end:
        return end
    if zeros == len(window) or zeros < 8:
        raise Unreadable("damaged: its GPU code is not stored in whole fat-binary containers")
    return at + zeros // 8 * 8


def _gpu_sections(file: ElfFile) -> dict[bytes, _Place] | None:
    """Return the places of the sections that concern GPU code by name; None where there is no section table."""
    table, entry_size, count, names_index = file.header[5], *file.header[10:13]
    entry = file.layout.section_header
    data = file.read(table, count * entry.size) if table and entry_size == entry.size else b""
    if not data or len(data) != count * entry.size or names_index >= count:
        return None
    offset, size = entry.unpack_from(data, names_index * entry.size)[4:6]
    names = file.read(offset, min(size, MAX_SECTION_NAMES))
    # Nearly every library ends here: none of its section names speaks of GPU code.
    if b"fatbin" not in names:
        return {} if names else None
    places = {}
    for fields in entry.iter_unpack(data):
        for name in _SECTIONS:
            if names.startswith(name, fields[0]) and fields[1] != _SHT_NOBITS:
                places[name] = (fields[4], fields[5])
    return places


def _search(file: ElfFile) -> GpuCode:
    """Judge a library without section table: `none` only if no container begins anywhere in it."""
    magic = CONTAINER_MAGIC.to_bytes(4, "little")
    if file.size > MAX_SEARCH:
        return GpuCode("unknown", note="it has no section table and is too large to search for GPU code")
    for at in range(0, file.size, _SEARCH_CHUNK):
        if magic in file.read(at, _SEARCH_CHUNK + len(magic) - 1):
            return GpuCode("unknown", note="it has no section table that says where its GPU code ends")
    return NO_GPU_CODE
