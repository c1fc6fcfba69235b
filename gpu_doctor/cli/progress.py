"""One transient line on the terminal while the doctor reads; silence everywhere else."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_CLEAR = "\r\x1b[K"


@contextmanager
def scanning() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is being done; the line is gone when the block ends.

    A carriage return is enough here: rich's live display would cost a thread and its imports in a run of 0.3 s.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        yield lambda _words: None
        return
    from gpu_doctor.report.foreign import clean

    width = shutil.get_terminal_size((80, 24)).columns - 1
    shown = ""

    def show(words: str) -> None:
        nonlocal shown
        if words != shown:
            shown = words
            sys.stderr.write(_CLEAR + clean(words)[:width])
            sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()
