"""Become another program: no process is started, the doctor's own one goes on as that program.

It stands here, among what starts processes, because it is the same risk: what runs afterwards is not the doctor.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

# Python ignores these, and a program that is ignorant of that would never end when its reader goes away.
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")


def become(command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by a command, found on the PATH of `environ`; raise OSError where that is not possible."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None and not stream.closed:
            stream.flush()
    numbers = [number for name in _IGNORED_BY_PYTHON if (number := getattr(signal, name, None)) is not None]
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        os.execvpe(command[0], list(command), dict(environ))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
