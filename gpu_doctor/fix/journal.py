"""What a repair wrote down before it did it, so that whoever comes after a crash can finish or take it back.

One repair is one folder below `.gpu-doctor/repairs`, named by its time: `journal.jsonl`, what was `saved`, a `stage`
for what is about to be put in place, and a snapshot for each package manager's run. Every line is on the disk before
the deed that it announces. Lines:

* the head: schema, id, time, doctor, the command line, the environment, files outside of it that may be changed;
* `treat`: the illness that the deeds after it are for;
* `begin`: number and deed, with its inverse and the states of the path before and after;
* `done`: the number of a deed that is complete;
* `settle`: whether the treatment was kept, and why not; what was not kept is undone before this line;
* `undo`: a person asked to take the whole repair back; `end`: kept, rolled back or undone.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gpu_doctor.fix.ground import OutOfBounds, home_of, own_like, sync_folder
from gpu_doctor.model.past import Ending, PastRepair, PastTreatment

SCHEMA = "gpu-doctor/journal/1"
NAME = "journal.jsonl"
_LARGEST = 64 << 20

Line = dict[str, Any]


class Journal:
    """Append lines to one repair's journal, each of them on the disk when the call returns."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.path = os.path.join(folder, NAME)

    @property
    def id(self) -> str:
        """Return the repair's id, which is its folder's name."""
        return os.path.basename(self.folder)

    def write(self, line: Line) -> None:
        """Append one line; raise OSError where it cannot be made safe, so that nothing is done without it."""
        data = (json.dumps(line) + "\n").encode()
        with open(self.path, "ab") as file:
            # What a full disk or a crash left of an earlier line must not swallow this one.
            if file.tell() and not _ends_a_line(self.path):
                file.write(b"\n")
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def lines(self) -> list[Line]:
        """Return every line that is whole; one that was cut off announces a deed that was not begun."""
        found = []
        with open(self.path, "rb") as file:
            for raw in file.read(_LARGEST).split(b"\n"):
                with suppress(ValueError):
                    line = json.loads(raw)
                    if isinstance(line, dict):
                        found.append(line)
        return found


@dataclass(slots=True)
class Deeds:
    """Hold the deeds of one treatment in the order in which they were begun, and whether it was kept."""

    treat: Line
    begun: list[Line] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    settled: Line | None = None


def begin(prefix: str, asked: str, doctor: str, outside: tuple[str, ...]) -> Journal:
    """Make the folder and the head of a new repair's journal."""
    repairs = os.path.join(home_of(prefix), "repairs")
    if os.path.realpath(repairs) != repairs:
        raise OutOfBounds(f"{repairs} is not a folder")
    os.makedirs(repairs, exist_ok=True)
    own_like(repairs, prefix)
    now = time.time()
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(2)}"
    folder = os.path.join(repairs, name)
    os.mkdir(folder)
    own_like(folder, prefix)
    journal = Journal(folder)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    journal.write(
        {
            "schema": SCHEMA,
            "id": name,
            "at": at,
            "doctor": doctor,
            "asked": asked,
            "prefix": os.path.realpath(prefix),
            "outside": list(outside),
        }
    )
    own_like(journal.path, prefix)
    sync_folder(folder)
    sync_folder(repairs)
    return journal


def journals(prefix: str) -> tuple[Journal, ...]:
    """Return the journals of an environment, the latest first; one whose head was never written is none."""
    repairs = os.path.join(home_of(prefix), "repairs")
    try:
        names = sorted(os.listdir(repairs), reverse=True)
    except OSError:
        return ()
    found = (Journal(os.path.join(repairs, name)) for name in names)
    # A link on the way could name what lies elsewhere as what an undo puts back.
    real = (journal for journal in found if os.path.realpath(journal.path) == journal.path)
    return tuple(journal for journal in real if os.path.isfile(journal.path) and _head(journal))


def deeds(lines: list[Line]) -> list[Deeds]:
    """Return the treatments of a journal with their deeds, in order."""
    found: list[Deeds] = []
    for line in lines:
        if "treat" in line:
            found.append(Deeds(line["treat"]))
        elif found and "begin" in line:
            found[-1].begun.append(line)
        elif found and "done" in line:
            found[-1].done.add(line["done"])
        elif found and "settle" in line:
            found[-1].settled = line
    return found


def past(journal: Journal) -> PastRepair:
    """Return what a journal tells, as a noun."""
    lines = journal.lines()
    head = lines[0] if lines else {}
    return PastRepair(
        id=journal.id,
        at=str(head.get("at", "")),
        asked=str(head.get("asked", "")),
        doctor=str(head.get("doctor", "")),
        journal=journal.path,
        treatments=tuple(_treatments(lines)),
        ending=ending(lines),
        undoing=any("undo" in line for line in lines),
    )


def ending(lines: list[Line]) -> Ending | None:
    """Return how the repair ended, None where it was cut off (while it was done, or while it was taken back)."""
    last: Ending | None = None
    for line in lines:
        if "undo" in line:
            last = None
        elif line.get("end") in ("kept", "rolled back", "undone"):
            last = line["end"]
    return last


def _treatments(lines: list[Line]) -> Iterator[PastTreatment]:
    for one in deeds(lines):
        treat = one.treat
        rule, subject, message, summary = (str(treat.get(key, "")) for key in ("rule", "subject", "message", "summary"))
        settled = one.settled
        kept = None if settled is None else settled.get("settle") == "kept"
        why = str(settled.get("why", "")) if settled else ""
        yield PastTreatment(rule, subject, message, summary, kept, why)


def _head(journal: Journal) -> bool:
    try:
        return any(line.get("schema") == SCHEMA for line in journal.lines()[:1])
    except OSError:
        return False


def _ends_a_line(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
