"""Hold an environment for one writer at a time, and find what a crash left there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gpu_doctor.errors import DoctorError
from gpu_doctor.fix import executor, journal
from gpu_doctor.fix.ground import Ground, OutOfBounds, home_of, prepare_home
from gpu_doctor.fix.journal import Journal, deeds
from gpu_doctor.fix.manager import wait_until_idle

_LOCK = "lock"
_PATIENCE = 60.0
_ORPHAN_SECONDS = 30.0

Tell = Callable[[str], None]


class Occupied(DoctorError):
    """Refuse to work in an environment that another repair works in."""

    exit_code = 1


class UndoFailed(DoctorError):
    """Report a repair that could not be taken back whole; its journal is named."""

    exit_code = 4


@contextmanager
def workshop(prefix: str, tell: Tell, patience: float = _PATIENCE) -> Iterator[str]:
    """Hold the environment and yield the folder of its repairs; raise Occupied where somebody else does not let go."""
    from filelock import FileLock, Timeout

    try:
        home = prepare_home(prefix)
        lock = FileLock(os.path.join(home, _LOCK), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            tell("waiting for another repair of this environment")
            lock.acquire(timeout=patience)
    except Timeout as error:
        raise Occupied(f"another repair of {prefix} is at work") from error
    except OSError as error:
        raise DoctorError(f"cannot keep a journal in {home_of(prefix)}: {error.strerror or error}") from error
    try:
        if not wait_until_idle(home, _ORPHAN_SECONDS):
            raise Occupied(f"a package manager that an earlier repair started is still at work in {prefix}")
        yield home
    finally:
        lock.release()


def cut_off(prefix: str) -> tuple[Journal, ...]:
    """Return the journals of repairs that did not come to an end, the latest first."""
    return tuple(one for one in journal.journals(prefix) if journal.ending(one.lines()) is None)


def clean_up(prefix: str, tell: Tell) -> None:
    """Take back what repairs that were cut off had begun and not proven, and end them; what was proven stays.

    A repair that was being taken back is taken back to its end.
    """
    for one in cut_off(prefix):
        lines = one.lines()
        if any("undo" in line for line in lines):
            take_back(prefix, one, tell, ask_again=False)
            continue
        ground = Ground(prefix, outside_of(one))
        treatments = deeds(lines)
        unsettled = [item for item in treatments if item.settled is None]
        _refuse_conflicts(ground, one, unsettled)
        executor.undo(ground, one, unsettled, tell)
        if unsettled:
            one.write({"settle": "undone", "why": "it was cut off"})
        kept = any(item.settled and item.settled.get("settle") == "kept" for item in treatments)
        end(one, "kept" if kept else "rolled back")


def take_back(prefix: str, one: Journal, tell: Tell, *, ask_again: bool = True) -> None:
    """Undo a whole repair; raise UndoFailed, naming its journal, where somebody changed what it did, or nothing can."""
    ground = Ground(prefix, outside_of(one))
    lines = one.lines()
    treatments = deeds(lines)
    try:
        _refuse_conflicts(ground, one, treatments)
        if ask_again:
            one.write({"undo": True})
        executor.undo(ground, one, treatments, tell)
        unfinished = any(item.settled is None for item in treatments)
        end(one, "rolled back" if unfinished and not any(item.settled for item in treatments) else "undone")
    except (OSError, OutOfBounds) as error:
        raise not_taken_back(one, error) from error


def not_taken_back(one: Journal, error: OSError | OutOfBounds) -> UndoFailed:
    """Return how to say that something of a repair is left because of this error."""
    why = str(error)
    if isinstance(error, OSError) and error.strerror:
        why = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    hint = f"`gpu-doctor undo` goes on where it stopped; its journal is {one.path}"
    return UndoFailed(f"the repair {one.id} is not taken back whole: {why}", hint)


def end(one: Journal, how: str) -> None:
    """Write down how a repair ended; what it saved is let go where nothing is left to take back."""
    one.write({"end": how})
    if how != "kept":
        executor.throw_away(one)


def outside_of(one: Journal) -> tuple[str, ...]:
    """Return the files outside of the environment that this repair was allowed to change."""
    head = next(iter(one.lines()), {})
    return tuple(str(path) for path in head.get("outside", ()))


def _refuse_conflicts(ground: Ground, one: Journal, treatments: list[journal.Deeds]) -> None:
    wrong = executor.conflicts(ground, one, treatments)
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UndoFailed(
            f"the repair {one.id} is not taken back: {wrong[0]}{more} changed since, and that would be lost",
            f"undo what came later first; what the repair did is in {one.path}",
        )
