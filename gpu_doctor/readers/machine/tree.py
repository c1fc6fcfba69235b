"""Look at a file system as if some folder were its root; what cannot be read is absent, never an exception."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gpu_doctor.readers.text import read_text

_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Tree:
    """Hold the root below which absolute paths are looked up (`/` for the machine itself)."""

    root: str = "/"

    def path(self, name: str) -> str:
        """Return the real place of an absolute path."""
        return self.root.rstrip("/") + name

    def text(self, name: str) -> str | None:
        """Return the first 64 KiB of a file as text, or None where it cannot be read."""
        return read_text(self.path(name), _LIMIT)

    def names(self, name: str) -> list[str]:
        """Return the sorted names in a folder; empty where it cannot be read."""
        try:
            return sorted(os.listdir(self.path(name)))
        except OSError:
            return []

    def exists(self, name: str) -> bool:
        """Tell whether a path exists."""
        return os.path.exists(self.path(name))
