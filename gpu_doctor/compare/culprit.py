"""What put a distribution where it is: an installer, at a time, in one run with what was asked for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpu_doctor.model.lock import Origin

# What one command installs is written within this many seconds; torch alone takes some.
_ONE_RUN = 120.0
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Mended:
    """Hold one kept repair of the doctor: its id, and from when to when it was at work."""

    id: str
    begin: float
    end: float


def culprit(name: str, origins: Mapping[str, Origin], repairs: Iterable[Mended]) -> str:
    """Return who wrote this distribution, when, and along with what, as a clause; empty where nothing tells."""
    mine = origins.get(name)
    if mine is None or mine.at is None:
        return "" if mine is None or not mine.installer else f"by {mine.installer} (INSTALLER)"
    when = f"on {moment(mine.at)} (time of RECORD)"
    mended = next((one.id for one in repairs if one.begin - 1 <= mine.at <= one.end + 1), None)
    if mended is not None:
        return f"by the repair {mended} of gpu-doctor {when}; `gpu-doctor undo {mended}` takes it back"
    words = [f"by {mine.installer}" if mine.installer else "by an installer that left no name", when]
    if mine.direct_url:
        words.append(f"from {mine.direct_url}")
    return " ".join(words) + _why(mine, origins.values())


def latest(origins: Mapping[str, Origin]) -> str:
    """Return what was installed last, as a clause: who removes a package leaves no other trace."""
    dated = [one for one in origins.values() if one.at is not None]
    if not dated:
        return ""
    last = max(dated, key=lambda one: (one.at or 0.0, one.requested, one.name))
    by = f" by {last.installer}" if last.installer else ""
    newest = f"the newest package here is {last.name} {last.version}"
    return f"nothing tells by whom; {newest}, written{by} on {moment(last.at)}"


def moment(at: float | None) -> str:
    """Return a time to the minute, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at or 0.0))


def _why(mine: Origin, everything: Iterable[Origin]) -> str:
    """Return what was asked for in the same run: that is what brought this one along."""
    if mine.requested:
        return ", asked for by name"
    run = (one for one in everything if one.requested and _together(mine, one))
    asked = sorted(run, key=lambda one: (abs((one.at or 0.0) - (mine.at or 0.0)), one.name))
    if not asked:
        return ""
    names = ", ".join(f"{one.name} {one.version}" for one in asked[:_NAMED])
    more = f" and {len(asked) - _NAMED} more" if len(asked) > _NAMED else ""
    return f", brought along by what was asked for then: {names}{more}"


def _together(mine: Origin, other: Origin) -> bool:
    same = mine.at is not None and other.at is not None and abs(mine.at - other.at) <= _ONE_RUN
    return same and mine.installer == other.installer and mine.name != other.name
