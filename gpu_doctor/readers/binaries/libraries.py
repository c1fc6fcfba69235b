"""Find the shared libraries of an environment and read what they need and which GPU code they carry."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gpu_doctor.model.inventory import StrayLink
from gpu_doctor.model.libraries import Elf, GpuCode, Library
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.binaries.device_code import read_gpu_code

_SHARED_LIBRARY = re.compile(r"\.so(\.\d+)*$")

ReadElf = Callable[[str], Elf | Unknown]


@dataclass(frozen=True, slots=True)
class Found:
    """Hold every shared library of an environment with its owner, and the links among them that no package brought."""

    owners: dict[str, str | None] = field(default_factory=dict)
    links: tuple[StrayLink, ...] = ()


def is_library(path: str) -> bool:
    """Tell whether a file name is that of a shared library (`.so`, `.so.9`, `.so.9.1.0`)."""
    return ".so" in path and _SHARED_LIBRARY.search(path) is not None


def find_libraries(owners: Mapping[str, str], placed: Callable[[str], bool] = lambda _path: False) -> Found:
    """Find every shared library with its owner: those that a RECORD lists, and strangers in the same folders.

    `owners` maps absolute paths to distributions. A stranger (owner None) is a link or copy that somebody placed by
    hand; ld.so sees it like any other file. `placed` tells of a listed path that it was added to the RECORD later, as a
    repair's links are.
    """
    found: dict[str, str | None] = {path: owner for path, owner in owners.items() if is_library(path)}
    links: list[StrayLink] = []
    for folder in {os.path.dirname(path) for path in found}:
        for entry in _libraries_in(folder):
            # A folder outside of site-packages, such as conda's lib, is full of links that belong there.
            if entry.is_symlink() and "/../" not in entry.path and (entry.path not in owners or placed(entry.path)):
                links.append(_link(entry.path))
            found.setdefault(entry.path, None)
    return Found(dict(sorted(found.items())), tuple(sorted(links, key=lambda link: link.path)))


def find_unrecorded(folders: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """Return the libraries below (folder, distribution) pairs whose packages keep no RECORD, as conda's do."""
    found: dict[str, str | None] = {}
    for top, owner in folders:
        for folder, _below, names in os.walk(top):
            found.update({os.path.join(folder, name): owner for name in names if is_library(name)})
    return found


def read_libraries(found: Mapping[str, str | None], read_elf: ReadElf) -> tuple[Library, ...]:
    """Read each library that exists; the GPU code of a file reached by several names is read once."""
    codes: dict[str, GpuCode] = {}
    libraries = []
    for path, owner in found.items():
        library = _read(path, owner, read_elf, codes)
        if library is not None:
            libraries.append(library)
    return tuple(libraries)


def read_files(paths: Iterable[str], read_elf: ReadElf) -> tuple[Library, ...]:
    """Read the libraries that a user named, whoever owns them."""
    return read_libraries(dict.fromkeys(paths), read_elf)


def _read(path: str, owner: str | None, read_elf: ReadElf, codes: dict[str, GpuCode]) -> Library | None:
    try:
        size = os.stat(path).st_size
    except OSError:
        return None
    real = os.path.realpath(path) if os.path.islink(path) else path
    if real not in codes:
        codes[real] = read_gpu_code(real)
    return Library(path, real, owner, size, read_elf(path), codes[real])


def _libraries_in(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if is_library(entry.name)]
    except OSError:
        return []


def _link(path: str) -> StrayLink:
    try:
        return StrayLink(path, os.readlink(path), os.path.exists(path))
    except OSError:  # taken away meanwhile
        return StrayLink(path, "", exists=False)
