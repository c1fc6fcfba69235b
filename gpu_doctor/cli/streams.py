"""Give the process the three standard streams that it was started without, and know one that nobody can write to."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import AbstractContextManager, redirect_stdout, suppress
from typing import TextIO

_REFUSALS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EIO)


def reopen() -> None:
    """Replace each standard stream that is closed (`>&-`), so that no file which is opened later takes its number.

    Nobody hears what goes to the new stderr. The new stdout refuses every write: a report must not vanish in silence.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _occupy(number, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))


def talk() -> AbstractContextManager[TextIO]:
    """Send what is printed meanwhile to stderr: stdout carries the report, and what a plug-in prints is talk."""
    return redirect_stdout(sys.stderr)


def silence(stream: TextIO | None) -> None:
    """Point a stream whose reader is gone at nothing, so that the interpreter's own last flush cannot fail."""
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())  # type: ignore[union-attr]
        os.close(nothing)


def is_refusal(error: Exception) -> bool:
    """Tell whether an error is that of a stream which takes no more: full, closed, or left by its reader."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _REFUSALS


def _occupy(number: int, flags: int) -> None:
    with suppress(OSError):
        nothing = os.open(os.devnull, flags)
        if nothing != number:
            os.dup2(nothing, number)
            os.close(nothing)
