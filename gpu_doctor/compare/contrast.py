"""Hold two sides against each other, in the order in which differences explain symptoms."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.compare.libraries import compare_libraries, compare_places
from gpu_doctor.compare.machine import compare_machines, compare_surroundings
from gpu_doctor.compare.packages import compare_packages
from gpu_doctor.compare.rows import Told
from gpu_doctor.compare.rules import one_sided, turns
from gpu_doctor.model.case import Case
from gpu_doctor.model.difference import AREAS, Contrast, Kind, Side, Uncompared
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

_IMAGE = Uncompared("the rules", "an image is files alone: no driver, no GPU, no loader to follow")


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold one side as it was seen; `case` is None for an image, which cannot be judged like a machine."""

    name: str
    kind: Kind
    inventory: Inventory
    case: Case | None


def contrast(left: Seen, right: Seen) -> Contrast:
    """Return what differs between two sides, and what is equal or could not be compared."""
    told = Told()
    compare_machines(told, left.inventory, right.inventory)
    compare_packages(told, left.inventory, right.inventory)
    compare_libraries(told, left.inventory, right.inventory)
    if left.case is not None and right.case is not None:
        compare_places(told, left.inventory, right.inventory)
        turned, left_open = turns(left.case, right.case), one_sided(left.case, right.case)
        equal = () if turned else ("the verdicts of all rules",)
    else:
        turned, left_open, equal = (), (_IMAGE,), ()
    compare_surroundings(told, left.inventory, right.inventory)
    return Contrast(
        left=_side(left),
        right=_side(right),
        turns=turned,
        differing=tuple(sorted(told.differing, key=lambda one: AREAS.index(one.area))),
        equal=(*equal, *told.equal),
        uncompared=_merged((*told.uncompared, *left_open)),
    )


def _merged(uncompared: tuple[Uncompared, ...]) -> tuple[Uncompared, ...]:
    """Return one entry for each reason."""
    reasons: dict[str, list[str]] = {}
    for one in uncompared:
        reasons.setdefault(one.why, []).append(one.what)
    return tuple(Uncompared(", ".join(dict.fromkeys(names)), why) for why, names in reasons.items())


def _side(seen: Seen) -> Side:
    version = seen.inventory.interpreter.version
    python = "" if isinstance(version, Unknown) else str(version)
    return Side(seen.name, seen.kind, python, seen.case.verdict if seen.case else None)
