"""What ld.so's search asks of the file system, each answer remembered."""

from __future__ import annotations

import os
from collections.abc import Callable

from gpu_doctor.model.libraries import Elf
from gpu_doctor.model.unknown import Unknown

# A folder with more entries than this is asked for single names instead of being listed.
_MAX_LISTED = 50_000


class Files:
    """Answer from one memory for all processes; a file that changes meanwhile keeps its first answer."""

    def __init__(self, read_elf: Callable[[str], Elf | Unknown]) -> None:
        self._read_elf = read_elf
        self._elves: dict[tuple[int, int] | None, Elf | Unknown] = {}
        self._identities: dict[str, tuple[int, int] | None] = {}
        self._listings: dict[str, frozenset[str] | None] = {}
        self._tidied: dict[str, str] = {}
        self._real: dict[str, str] = {}

    def identity(self, path: str) -> tuple[int, int] | None:
        """Return device and inode of the file behind a path, or None where there is none."""
        if path not in self._identities:
            try:
                status = os.stat(path)
                self._identities[path] = (status.st_dev, status.st_ino)
            except (OSError, ValueError):
                self._identities[path] = None
        return self._identities[path]

    def elf(self, path: str) -> Elf | Unknown:
        """Return what the file behind a path holds for ld.so, read once however many paths lead to it."""
        identity = self.identity(path)
        if identity is None:
            return Unknown("no such file")
        if identity not in self._elves:
            self._elves[identity] = self._read_elf(self.tidy(path))
        return self._elves[identity]

    def has(self, folder: str, name: str) -> bool:
        """Tell whether a folder has an entry of this name."""
        listing = self._listing(folder)
        return name in listing if listing is not None else os.path.lexists(f"{folder}/{name}")

    def is_folder(self, folder: str) -> bool:
        """Tell whether this is a folder that may have entries."""
        listing = self._listing(folder)
        return listing is None or bool(listing) or os.path.isdir(folder)

    def tidy(self, path: str) -> str:
        """Return the path without `..` and doubled slashes where that is the same file, else unchanged."""
        if "/.." not in path and "//" not in path and "/./" not in path:
            return path
        if path not in self._tidied:
            short = os.path.normpath(path)
            same = self.identity(short) is not None and self.identity(short) == self.identity(path)
            self._tidied[path] = short if same else path
        return self._tidied[path]

    def real(self, path: str) -> str:
        """Return the path with all links followed."""
        if path not in self._real:
            self._real[path] = os.path.realpath(path)
        return self._real[path]

    def _listing(self, folder: str) -> frozenset[str] | None:
        """Return the names in a folder; empty where there is no folder, None where it cannot or need not be listed."""
        if folder not in self._listings:
            try:
                with os.scandir(folder or ".") as entries:
                    names = frozenset(entry.name for entry, _ in zip(entries, range(_MAX_LISTED), strict=False))
                self._listings[folder] = names if len(names) < _MAX_LISTED else None
            except PermissionError:
                self._listings[folder] = None
            except (OSError, ValueError):
                self._listings[folder] = frozenset()
        return self._listings[folder]
