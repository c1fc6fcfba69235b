"""Carry a question to a child and back what it tells: lines of JSON, and the traceback of its death between them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpu_doctor.probe.output import clean

_LIMIT = 16 * 2**20
_LINES = 20_000
_FRAME = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')
_FRAMES = 12
_TRIALS = 500
_NAME = 500
# The machinery of `import` says nothing about who imports.
_MACHINERY = ("<frozen importlib", "_runner.py")


@dataclass(slots=True)
class Told:
    """Hold what a child told before it ended: `result` has the key `answer` or `raised` where it came so far.

    `trials` are its finished experiments (of too many, the first ones and the last), `doing` the one that it had begun,
    `loading` the library that it last began to load, `stack` its frames at its death, the innermost first. `stage` are
    its words for what it does, `done` which share of the whole is done, `part` what it knew so far of its answer.
    """

    started: bool = False
    result: dict[str, Any] = field(default_factory=dict)
    trials: list[Mapping[str, Any]] = field(default_factory=list)
    doing: str = ""
    loading: str = ""
    stack: tuple[str, ...] = ()
    stage: str = ""
    done: float | None = None
    part: Mapping[str, Any] = field(default_factory=dict)


class Channel:
    """Hold a file without a name: the argument, and behind it room for what the child tells.

    Its size is fixed, so that a child that goes mad cannot fill the memory with it. Both sides share its position: it
    stands where the child wrote last.
    """

    def __init__(self, argument: object) -> None:
        sent = json.dumps(argument).encode("ascii")
        self.begin = len(sent)
        self.descriptor = above_streams(_anonymous_file())
        os.write(self.descriptor, sent)
        os.ftruncate(self.descriptor, self.begin + _LIMIT)
        with contextlib.suppress(OSError):  # a file of the temporary folder cannot be sealed
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)

    def told(self) -> Told:
        """Return what the child has told so far."""
        written = os.lseek(self.descriptor, 0, os.SEEK_CUR) - self.begin
        return read(os.pread(self.descriptor, max(0, min(written, _LIMIT)), self.begin))

    def close(self) -> None:
        """Give the file up."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def above_streams(descriptor: int) -> int:
    """Return a descriptor that is none of the standard streams: in a child those are replaced."""
    if descriptor > 2:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


def _anonymous_file() -> int:
    """Open a file that has no name: in memory, or where the kernel is too old (before 3.17) in the temporary folder."""
    try:
        return os.memfd_create("gpu-doctor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError):
        import tempfile  # costs more to import than a whole question's bookkeeping, and is rarely needed

        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())


def read(received: bytes) -> Told:
    """Return what these bytes tell; a line that is torn or foreign is left out, and so is the middle of a flood."""
    told = Told()
    frames: list[str] = []
    for line in _lines(received):
        frame = _FRAME.match(line)
        if frame:
            frames.append(f"{frame[1]}:{frame[2]} in {frame[3]}")
        elif line.endswith("(most recent call first):") and "C stack" not in line:
            frames = []  # of several threads the last listed is the main one
        elif line.startswith("{"):
            _note(told, _parse(line))
    told.stack = tuple(f for f in frames if not any(word in f for word in _MACHINERY))[:_FRAMES]
    return told


def _lines(received: bytes) -> Iterator[str]:
    lines = received.split(b"\n")
    kept = lines if len(lines) <= _LINES else lines[: _LINES // 2] + lines[-_LINES // 2 :]
    return (line.decode("utf-8", "replace") for line in kept)


def _note(told: Told, entry: Mapping[str, Any]) -> None:
    if "begin" in entry:
        told.doing = _plain(entry["begin"])
    elif "trial" in entry:
        del told.trials[_TRIALS:]
        told.trials.append(entry)
        told.doing = ""
    elif "stage" in entry:
        told.stage = _plain(entry["stage"])
        told.done = float(entry["done"]) if isinstance(entry.get("done"), (int, float)) else None
    elif "part" in entry:
        told.part = entry["part"] if isinstance(entry["part"], dict) else {}
    elif "loading" in entry:
        told.loading = _plain(entry["loading"])
    elif "started" in entry:
        told.started = True
    elif "answer" in entry or "raised" in entry:
        told.result = dict(entry)


def _plain(value: object) -> str:
    """Return a name as the child wrote it, without anything that could steer a terminal."""
    return clean(str(value).encode("utf-8", "replace"), _NAME)


def _parse(line: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
