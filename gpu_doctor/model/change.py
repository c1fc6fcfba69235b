"""One change of one path, and how it can be told from others: the vocabulary of doing and undoing.

The inverse of a change is a change: what was there before, saved, is put back.
"""

from __future__ import annotations

from dataclasses import dataclass

ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class NewLink:
    """Have a symbolic link there that points to `points_to`."""

    points_to: str


@dataclass(frozen=True, slots=True)
class NewFile:
    """Have a regular file of this content there.

    `mode` None keeps that of the file in its place (else 0644), and so does `mtime_ns` None with its times (else now).
    """

    content: bytes
    mode: int | None = None
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class NewFolder:
    """Have a folder there; nothing is done where it is there already."""


@dataclass(frozen=True, slots=True)
class Saved:
    """Have what was saved under this name in the repair's folder there again."""

    name: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Have nothing there; a folder goes only when it is empty."""


New = NewLink | NewFile | NewFolder | Saved | Gone


@dataclass(frozen=True, slots=True)
class Change:
    """Name a path (absolute) and what is to be there."""

    path: str
    new: New


@dataclass(frozen=True, slots=True)
class Command:
    """Run a package manager: `arguments` begin with the program."""

    arguments: tuple[str, ...]


Deed = Change | Command
