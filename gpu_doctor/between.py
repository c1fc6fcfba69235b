"""The ways that compare, each once, in order: a snapshot, two sides, a lock, and what drifted from it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

from gpu_doctor.collect.locks import read_lock, read_origins
from gpu_doctor.collect.snapshots import kind_of, named, read_snapshot
from gpu_doctor.compare.contrast import Seen, contrast
from gpu_doctor.compare.culprit import Mended
from gpu_doctor.compare.drifting import drifts, remarks, unanswered
from gpu_doctor.compare.locking import lock_of
from gpu_doctor.compare.settle import settled
from gpu_doctor.doctor import Asking, Progress, choose, judge, quiet, take_inventory
from gpu_doctor.errors import DoctorError, TargetNotFound
from gpu_doctor.facts.tables import Facts
from gpu_doctor.fix.journal import journals, past
from gpu_doctor.model import plain
from gpu_doctor.model.case import Case
from gpu_doctor.model.difference import Contrast, Kind
from gpu_doctor.model.inventory import UNASKED, Inventory
from gpu_doctor.model.lock import Drift, Drifted, Lock
from gpu_doctor.model.remedy import Step
from gpu_doctor.model.target import Target

Redact = Callable[[object], object]
"""What takes names, secrets and homes out of a plain document."""


LIVE = Asking()
"""As `check` asks where nothing else is wished."""


@dataclass(frozen=True, slots=True)
class Place:
    """Hold where words are read: the variables, the folder we stand in, stdin, and what makes a document private."""

    environ: Mapping[str, str]
    cwd: str
    redact: Redact
    stdin: BinaryIO | None = None


def snapshot(target: Target, place: Place, asking: Asking = LIVE, progress: Progress = quiet) -> str:
    """Look at the target and return its inventory as a document that may be given away.

    Two of an unchanged environment are the same bytes, and `check --from` finds in it what `check` finds here.
    """
    seen = take_inventory(target, place.environ, asking, progress)
    progress("judging")
    return document(seen, place.redact)


def document(inventory: Inventory, redact: Redact) -> str:
    """Return an inventory as the JSON document of a snapshot, one value a line."""
    return json.dumps(redact(plain.to_plain(lasting(inventory))), indent=1) + "\n"


def lasting(inventory: Inventory) -> Inventory:
    """Return the inventory without what changes by itself, as far as the rules say the same of what is left."""
    said = _said(inventory)
    candidates = (settled(inventory), settled(inventory, memory=False))
    return next((one for one in candidates if _said(one) == said), replace(inventory, benches=()))


def difference(left: str, right: str, place: Place, asking: Asking = LIVE, progress: Progress = quiet) -> Contrast:
    """Return what differs between two sides, each a snapshot, an image's tar, an environment or an interpreter.

    Interpreters are asked only where the other side can have been. Raise UsageError for words that name nothing,
    DoctorError for what cannot be read.
    """
    kinds = [(words, kind_of(words, place.cwd)) for words in (left, right)]
    # What is read at once comes first: it says how the others are to be asked.
    read = {words: _read(words, kind, place, progress) for words, kind in kinds if kind != "environment"}
    if any(inventory.probes == UNASKED for inventory in read.values()):
        asking = Asking(static=True)
    sides = []
    for words, kind in kinds:
        inventory = read[words] if words in read else _look(words, place, asking, progress)
        # A snapshot names nobody's home, so the other side must not either, else every path in one would differ.
        inventory = plain.from_plain(place.redact(plain.to_plain(inventory)))
        sides.append(Seen(words, kind, inventory, None if kind == "image" else _case(inventory)))
    progress("comparing")
    return contrast(*sides)


def _read(words: str, kind: Kind, place: Place, progress: Progress) -> Inventory:
    if kind == "snapshot":
        return read_snapshot(words, place.cwd, place.stdin)
    from gpu_doctor.collect.images import read_image

    return read_image(words, place.cwd, place.environ, progress)


def _look(words: str, place: Place, asking: Asking, progress: Progress) -> Inventory:
    python, prefix = named(words, place.environ, place.cwd)
    try:
        target = choose(python, prefix, place.environ, place.cwd)
    except TargetNotFound as error:
        # It was named by itself, not by an option.
        why = error.message.partition(f"{python or prefix}: ")[2] or error.message
        raise TargetNotFound(f"{words}: {why}") from error
    return take_inventory(target, place.environ, asking, progress)


def take_lock(target: Target, place: Place, asking: Asking = LIVE, progress: Progress = quiet) -> tuple[Lock, Case]:
    """Judge the target and return its GPU stack as a lock, and the case; raise DoctorError where it has none."""
    inventory = take_inventory(target, place.environ, asking, progress)
    report = judge([inventory])
    origins = read_origins(inventory.distributions)
    lock = lock_of(report, Facts.load(), origins)
    if not lock.packages:
        raise DoctorError(f"{inventory.interpreter.prefix} has no package of the GPU stack that could be locked")
    return lock, report.cases[0]


def drifted(path: str, target: Target, place: Place, progress: Progress = quiet) -> tuple[Drifted, Inventory]:
    """Return what is not as a lock says, and the inventory that shows it; only files are read.

    Raise UsageError where there is no such lock.
    """
    lock = read_lock(path)
    inventory = take_inventory(target, place.environ, Asking(static=True), progress)
    origins = read_origins(inventory.distributions)
    found = drifts(lock, inventory, origins, tuple(_mended(inventory.interpreter.prefix)))
    steps = restoring(lock, found, inventory)
    unclear = tuple(unanswered(lock, inventory))
    return Drifted(lock, found, steps, unclear, tuple(remarks(lock, inventory))), inventory


def restoring(lock: Lock, found: tuple[Drift, ...], inventory: Inventory) -> tuple[Step, ...]:
    """Return the steps that bring back what was locked: what is in the way goes first."""
    from gpu_doctor.checks.shared.stack import install, remove

    locked = {package.name: package for package in lock.packages}
    mine = [(drift, locked.get(drift.subject)) for drift in found]
    gone = [drift.subject for drift, package in mine if drift.kind == "added" or _in_the_way(drift, inventory)]
    wanted: dict[tuple[str | None, bool], list[str]] = {}
    for drift, package in mine:
        if package is None or not package.version or drift.kind in ("library", "python", "driver", "added"):
            continue
        tag = package.version.partition("+")[2]
        backend = tag if tag == "cpu" or (tag[:2] == "cu" and tag[2:].isdecimal()) else None
        text = f"{package.name} @ {package.direct_url}" if package.direct_url else f"{package.name}=={package.version}"
        again = drift.kind in ("rebuilt", "damaged")
        texts = wanted.setdefault((backend, again), [])
        texts += [text] if text not in texts else []
    steps = [remove(inventory, *gone)] if gone else []
    for (backend, again), texts in wanted.items():
        steps.append(install(inventory, *texts, reinstall=again, torch_backend=backend))
    return tuple(steps)


def _in_the_way(drift: Drift, inventory: Inventory) -> bool:
    """Tell whether a plain pin would be met by what is there: `torch==2.6.0` by 2.6.0+cpu."""
    now = inventory.distribution(drift.subject)
    public = drift.locked.partition(" ")[0].partition("+")[0]
    return drift.kind == "replaced" and now is not None and str(now.version).partition("+")[0] == public


def _said(inventory: Inventory) -> object:
    """Return what the rules say of an inventory, down to the message."""
    case = _case(inventory)
    runs = tuple((run.rule, run.status, run.applies) for run in case.runs)
    return runs, tuple((f.rule, f.severity, f.subject, f.message, f.consequence_of) for f in case.findings)


def _case(inventory: Inventory) -> Case:
    (case,) = judge([inventory]).cases
    return case


def _mended(prefix: str) -> Iterator[Mended]:
    """Yield the kept repairs of an environment, with the times at which their journals begin and end."""
    from calendar import timegm
    from contextlib import suppress
    from time import strptime

    for one in journals(prefix):
        repair = past(one)
        if repair.ending == "kept":
            with suppress(ValueError, OSError):
                begin = timegm(strptime(repair.at, "%Y-%m-%dT%H:%M:%SZ"))
                yield Mended(repair.id, begin, os.stat(repair.journal).st_mtime)
