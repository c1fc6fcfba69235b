"""Answer how much a GPU computes in one clock, and which share of that a healthy one reaches: `peaks.toml`."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_doctor.facts import load, parse
from gpu_doctor.model.architecture import Capability

# Each format takes at least as many FLOP in a clock as the one before it.
_WIDEST_FIRST = ("float32", "tf32", "float16", "fp8")
_FORMATS = (*_WIDEST_FIRST, "bfloat16")
_MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class _Floor:
    kind: str
    least: float
    capabilities: tuple[Capability, ...]
    gpus: frozenset[str]


class Peaks:
    """Answer questions to peaks.toml."""

    def __init__(self, folder: Path) -> None:
        table = load.read_table("peaks", folder)
        rows = [(row, row.take("capability", parse.capability), _throughput(row)) for row in table.rows("throughput")]
        load.unique((row, capability) for row, capability, _ in rows)
        load.ascending(((row, capability) for row, capability, _ in rows), "capability")
        self._throughput = {capability: flop for _, capability, flop in rows}
        floors = [(row, _floor(row)) for row in table.rows("floor")]
        for at, (row, floor) in enumerate(floors):
            self._prove(row, floor, [other for _, other in floors[:at]])
        self._floors = tuple(floor for _, floor in floors)

    def flop_per_clock(self, capability: Capability, kind: str) -> int | None:
        """Return the dense FLOP of a multiprocessor in one clock, of the strongest GPU of this capability."""
        return self._throughput.get(capability, {}).get(kind)

    def floor(self, kind: str, capability: Capability, gpu: str = "") -> float | None:
        """Return the least share of the peak that a healthy GPU of this capability, and of this name, reaches."""
        words = frozenset(re.findall(r"\w+", gpu))
        mine = (floor for floor in self._floors if floor.kind == kind and capability in floor.capabilities)
        return max((floor.least for floor in mine if not floor.gpus or floor.gpus & words), default=None)

    def _prove(self, row: load.Row, floor: _Floor, before: list[_Floor]) -> None:
        """Refuse a floor of what has no peak, one stated twice, and one by name that is no higher than without."""
        for capability in floor.capabilities:
            known = self._throughput.get(capability)
            if known is None or (floor.kind != _MEMORY and floor.kind not in known):
                raise row.error(f"{floor.kind} has no throughput for {capability[0]}.{capability[1]}")
            same = [one for one in before if one.kind == floor.kind and capability in one.capabilities]
            if any(one.gpus & floor.gpus or one.gpus == floor.gpus for one in same):
                raise row.error(f"{capability[0]}.{capability[1]} has this floor already")
            if floor.gpus and not any(not one.gpus and one.least < floor.least for one in same):
                raise row.error(f"{capability[0]}.{capability[1]} has no lower floor for the other GPUs before it")


def _throughput(row: load.Row) -> dict[str, int]:
    found = {kind: row.take(kind, _power_of_two) for kind in _FORMATS if row.has(kind)}
    if "float32" not in found:
        raise row.error("float32 is missing")
    ordered = [found[kind] for kind in _WIDEST_FIRST if kind in found]
    if any(narrow < wide for wide, narrow in itertools.pairwise(ordered)):
        raise row.error("a narrower format is slower than a wider one")
    if found.get("bfloat16", found.get("float16")) != found.get("float16"):
        raise row.error("bfloat16 differs from float16")
    row.done()
    return found


def _floor(row: load.Row) -> _Floor:
    floor = _Floor(
        kind=row.take("kind", _kind),
        least=row.take("least", _share),
        capabilities=row.take("capabilities", parse.capabilities),
        gpus=frozenset(row.maybe("gpus", parse.texts, ())),
    )
    row.done()
    return floor


def _kind(value: Any) -> str:
    """Accept the name of a number format, or `memory`."""
    if value not in (_MEMORY, *_FORMATS):
        raise ValueError(value)
    return str(value)


def _power_of_two(value: Any) -> int:
    """Accept a power of two."""
    number = parse.integer(value)
    if number == 0 or number & (number - 1):
        raise ValueError(value)
    return number


def _share(value: Any) -> float:
    """Accept a share, above 0 and below 1."""
    if not isinstance(value, float) or not 0 < value < 1:
        raise ValueError(value)
    return value
