"""Read what a child left in its channel: lines of JSON, and the traceback of its death between them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_FRAME = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')
_FRAMES = 12
# The machinery of `import` says nothing about who imports.
_MACHINERY = ("<frozen importlib", "_runner.py")


@dataclass(slots=True)
class Told:
    """Hold what a child told before it ended: `result` has the key `answer` or `raised` where it came so far.

    `trials` are its finished experiments, `doing` the one that it had begun, `loading` the library that it last began
    to load, `stack` its frames at its death, the innermost first.
    """

    started: bool = False
    result: dict[str, Any] = field(default_factory=dict)
    trials: list[Mapping[str, Any]] = field(default_factory=list)
    doing: str = ""
    loading: str = ""
    stack: tuple[str, ...] = ()


def read(received: bytes) -> Told:
    """Return what these bytes tell; a line that is torn or foreign is left out."""
    told = Told()
    frames: list[str] = []
    for line in received.decode("utf-8", "replace").split("\n"):
        frame = _FRAME.match(line)
        if frame:
            frames.append(f"{frame[1]}:{frame[2]} in {frame[3]}")
        elif line.endswith("(most recent call first):") and "C stack" not in line:
            frames = []  # of several threads the last listed is the main one
        else:
            _note(told, _parse(line))
    told.stack = tuple(f for f in frames if not any(word in f for word in _MACHINERY))[:_FRAMES]
    return told


def _note(told: Told, entry: Mapping[str, Any]) -> None:
    if "begin" in entry:
        told.doing = str(entry["begin"])
    elif "trial" in entry:
        told.trials.append(entry)
        told.doing = ""
    elif "loading" in entry:
        told.loading = str(entry["loading"])
    elif "started" in entry:
        told.started = True
    elif "answer" in entry or "raised" in entry:
        told.result = dict(entry)


def _parse(line: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
