"""What ld.so brings along on a machine: default folders, CPU subfolders, the cache, the preload file.

Source: glibc, elf/dl-load.c (`system_dirs`), elf/dl-hwcaps.c and sysdeps/x86_64/dl-hwcaps_subdirs.c.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from gpu_doctor.readers.loader.cache import LdCache, read_cache

_LOADERS = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}
_USUAL_FOLDERS = ("/lib64/", "/usr/lib64/")
_SYSTEM_DIRS = re.compile(rb"(?:/[\w.+/-]*/\0){2,8}")
_GLIBC = re.compile(rb"stable release version (\d+)\.(\d+)")
_MAX_LOADER_BYTES = 4 * 2**20

# Source: x86-64 psABI, table 3.1; the names are those of /proc/cpuinfo.
_LEVELS = (
    ("x86-64-v2", {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}),
    ("x86-64-v3", {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}),
    ("x86-64-v4", {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}),
)


@dataclass(frozen=True, slots=True)
class LdSystem:
    """Describe one machine's ld.so.

    `default_folders` end without a slash. `hwcaps` are the supported glibc-hwcaps, best first. `subfolders` are tried
    in every folder before the folder itself. `lib` and `platform` replace `$LIB` and `$PLATFORM`.
    """

    loader: str
    default_folders: tuple[str, ...]
    cache: LdCache
    hwcaps: tuple[str, ...] = ()
    subfolders: tuple[str, ...] = ()
    lib: str = "lib64"
    platform: str = "x86_64"
    preload: tuple[str, ...] = ()

    @property
    def heads(self) -> frozenset[str]:
        """Return the first parts of the subfolders."""
        return frozenset(name.partition("/")[0] for name in self.subfolders)


def read_system(
    machine: str = "x86_64",
    *,
    loader: str | None = None,
    cache: str = "/etc/ld.so.cache",
    cpuinfo: str = "/proc/cpuinfo",
    preload: str = "/etc/ld.so.preload",
) -> LdSystem:
    """Read the ld.so of this machine from its files; what cannot be read has its usual value."""
    loader = loader or _LOADERS.get(machine, "")
    content = _read(loader, _MAX_LOADER_BYTES)
    folders = _default_folders(content)
    levels = _levels(_read(cpuinfo, 2**14)) if machine == "x86_64" else ()
    version = _GLIBC.search(content)
    old = version is not None and (int(version[1]), int(version[2])) < (2, 37)
    named = tuple(f"glibc-hwcaps/{level}" for level in levels)
    return LdSystem(
        loader=loader,
        default_folders=folders,
        cache=read_cache(cache, machine),
        hwcaps=levels,
        subfolders=(*named, *_legacy_subfolders(levels)) if old and machine == "x86_64" else named,
        lib=folders[0].strip("/"),
        platform="haswell" if "x86-64-v3" in levels else machine,
        preload=tuple(_read(preload, 2**14).decode(errors="replace").split()),
    )


def _default_folders(loader: bytes) -> tuple[str, ...]:
    match = _SYSTEM_DIRS.search(loader)
    folders = match[0].decode(errors="replace").split("\0")[:-1] if match else _USUAL_FOLDERS
    return tuple(folder.rstrip("/") for folder in folders)


def _levels(cpuinfo: bytes) -> tuple[str, ...]:
    match = re.search(rb"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    flags = set(match[1].decode(errors="replace").split()) if match else set()
    reached = itertools.takewhile(lambda level: level[1] <= flags, _LEVELS)
    return tuple(name for name, _ in reached)[::-1]


def _legacy_subfolders(levels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the subfolders that glibc searched before 2.37, such as `tls/haswell/avx512_1/x86_64`."""
    parts = ["tls"]
    if "x86-64-v3" in levels:
        parts.append("haswell")
    if "x86-64-v4" in levels:
        parts.append("avx512_1")
    parts.append("x86_64")
    choices = itertools.product((True, False), repeat=len(parts))
    chosen = ("/".join(itertools.compress(parts, choice)) for choice in choices)
    return tuple(folder for folder in chosen if folder)


def _read(path: str, limit: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError:
        return b""
