"""What put a distribution where it is: an installer, at a time, in one run with what was asked for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpu_doctor.model.lock import Origin

# What one command installs is written within this many seconds; torch alone takes some.
_ONE_RUN = 120.0
_NAMED = 3
# uv writes REQUESTED for whatever it installs (seen with uv 0.13.9).
_MARK_ALL = ("uv",)


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
    """Return what was asked for in the same run and brought this one along; empty where nothing tells."""
    run = {one.name: one for one in everything if one.name == mine.name or _together(mine, one)}
    asked = [one for one in run.values() if _asked_for(one, run.values())]
    if mine in asked:
        return ", asked for by name"
    # What asks for it, through others or not, is what brought it; else nothing tells which of all it was.
    bringing = [one for one in asked if mine.name in _brought(one, run)] or asked
    if not bringing:
        return ""
    bringing.sort(key=lambda one: (abs((one.at or 0.0) - (mine.at or 0.0)), one.name))
    names = ", ".join(f"{one.name} {one.version}" for one in bringing[:_NAMED])
    more = f" and {len(bringing) - _NAMED} more" if len(bringing) > _NAMED else ""
    return f", brought along by what was asked for then: {names}{more}"


def _asked_for(one: Origin, run: Iterable[Origin]) -> bool:
    """Tell whether it was asked for by name; where everything is marked so, whether nothing else asks for it."""
    if not one.requested or one.installer not in _MARK_ALL:
        return one.requested
    return not any(one.name in other.requires for other in run if other.name != one.name)


def _brought(one: Origin, run: Mapping[str, Origin]) -> set[str]:
    """Return the names of what a distribution asks for, and what those ask for, as far as the run installed them."""
    found: set[str] = set()
    waiting = [one.name]
    while waiting:
        for name in run[waiting.pop()].requires:
            if name in run and name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _together(mine: Origin, other: Origin) -> bool:
    same = mine.at is not None and other.at is not None and abs(mine.at - other.at) <= _ONE_RUN
    return same and mine.installer == other.installer and mine.name != other.name
