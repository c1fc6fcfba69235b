"""The ground of a repair: the environment's folder, and nothing outside of it.

Every path is reached through folders that were opened one by one without following links, below a folder that was
resolved once, so that neither a link in the environment nor one that is exchanged meanwhile leads a change elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gpu_doctor.errors import DoctorError
from gpu_doctor.model.past import HOME

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class OutOfBounds(DoctorError):
    """Refuse a path that leads out of the environment."""

    exit_code = 1


class Ground:
    """Hold the environment's folder, and the few files outside of it that a repair may change (a project's pins)."""

    def __init__(self, prefix: str, outside: tuple[str, ...] = ()) -> None:
        self.prefix = prefix
        self.real = os.path.realpath(prefix)
        self.outside = outside

    @contextmanager
    def folder_of(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield the descriptor of the folder that holds a path, and the path's name in it.

        Raise OutOfBounds where it lies outside of the environment, OSError where the folder cannot be opened.
        """
        folder, name = os.path.split(path)
        real = os.path.realpath(folder)
        if name in ("", ".", "..") or not (self._inside(real) or os.path.join(real, name) in self.outside):
            raise OutOfBounds(f"{path} leads out of {self.prefix}")
        descriptor = self._open(real)
        try:
            yield descriptor, name
        finally:
            os.close(descriptor)

    def _inside(self, real: str) -> bool:
        return real == self.real or real.startswith(self.real.rstrip("/") + "/")

    def _open(self, real: str) -> int:
        """Open a resolved folder; below the environment step by step, so that no new link on the way is followed."""
        start = self.real if self._inside(real) else real
        descriptor = os.open(start, _FOLDER)
        try:
            for part in os.path.relpath(real, start).split("/"):
                if part != ".":
                    below = os.open(part, _FOLDER, dir_fd=descriptor)
                    os.close(descriptor)
                    descriptor = below
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def home_of(prefix: str) -> str:
    """Return the folder in which an environment's repairs are remembered."""
    return os.path.join(os.path.realpath(prefix), HOME)


def prepare_home(prefix: str) -> str:
    """Make that folder, owned like the environment; raise OutOfBounds where a link stands in its place."""
    home = home_of(prefix)
    with suppress(FileExistsError):
        os.mkdir(home, 0o755)
        own_like(home, os.path.dirname(home))
    if not stat.S_ISDIR(os.lstat(home).st_mode):
        raise OutOfBounds(f"{home} is not a folder")
    return home


def own_like(path: str, model: str) -> None:
    """Give a path the owner that another one has, where this process may: root repairs what belongs to a user."""
    if os.geteuid() == 0:
        other = os.lstat(model)
        os.chown(path, other.st_uid, other.st_gid, follow_symlinks=False)


def sync_folder(path: str) -> None:
    """Have the entries of a folder written to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
