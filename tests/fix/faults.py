"""Faults at every system call by which a repair changes something: a full disk, or the plug pulled."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

# Everything through which fix/ changes a disk; what only reads cannot leave anything half done.
CALLS = ("link", "symlink", "rename", "replace", "unlink", "rmdir", "mkdir", "chmod", "fsync", "utime", "fchmod")


class PlugPulled(BaseException):
    """Stand for the end of the process: no handler of the product may run after it."""


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Count the calls made meanwhile."""
    made = [0]

    def see(_name: str) -> None:
        made[0] += 1

    with _watched(see):
        yield lambda: made[0]


@contextmanager
def full_disk(at: int) -> Iterator[None]:
    """Let the call of this number, from 1 on, fail as on a full disk; those after it succeed again."""
    left = [at]

    def see(name: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    with _watched(see):
        yield


@contextmanager
def plug_pulled(at: int) -> Iterator[None]:
    """End everything at the call of this number: it and all after it do nothing but raise."""
    left = [at]

    def see(_name: str) -> None:
        left[0] -= 1
        if left[0] <= 0:
            raise PlugPulled

    with _watched(see):
        yield


@contextmanager
def _watched(see: Callable[[str], None]) -> Iterator[None]:
    def wrap(name: str) -> Any:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            see(name)
            return real(*args, **kwargs)

        return call

    with mock.patch.multiple(os, **{name: wrap(name) for name in CALLS}):
        yield
