"""Two columns of values by name, and what differs between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_doctor.model.difference import Area, Differing, Uncompared
from gpu_doctor.model.unknown import Unknown

Value = str | Unknown

UNSEEN = Unknown("it was not seen")
"""What a side does not tell, such as an older snapshot; where neither does, there is nothing to say."""


@dataclass(slots=True)
class Told:
    """Collect what the comparison of the areas tells."""

    differing: list[Differing] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)
    uncompared: list[Uncompared] = field(default_factory=list)


def compare_rows(told: Told, area: Area, left: Mapping[str, Value], right: Mapping[str, Value], words: str) -> None:
    """Compare the rows of an area by name; `words` say what is equal where nothing differs and the first row is known.

    A row that is unknown on a side is not compared, and said so; one that a side does not have is absent there.
    """
    differing = []
    open_rows: dict[str, list[str]] = {}
    for name in dict.fromkeys((*left, *right)):
        one, other = left.get(name, ""), right.get(name, "")
        unknown = next((value for value in (one, other) if isinstance(value, Unknown)), None)
        if one == other == UNSEEN:
            continue
        if unknown is not None:
            open_rows.setdefault(unknown.reason, []).append(name)
        elif one != other:
            differing.append(Differing(area, name, str(one), str(other)))
    told.differing += differing
    told.uncompared += [Uncompared(", ".join(names), reason) for reason, names in open_rows.items()]
    first = next(iter(left), "")
    if not differing and not any(isinstance(side.get(first), Unknown) for side in (left, right)):
        told.equal.append(words)
