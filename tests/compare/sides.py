"""Two sides of a comparison, made of small inventories."""

from __future__ import annotations

from gpu_doctor.compare.contrast import Seen, contrast
from gpu_doctor.model.difference import Contrast, Kind
from gpu_doctor.model.inventory import Inventory
from tests.checks.judge import judge_all


def side(inventory: Inventory, name: str = "a.json", kind: Kind = "snapshot") -> Seen:
    return Seen(name, kind, inventory, None if kind == "image" else judge_all(inventory))


def against(left: Inventory, right: Inventory) -> Contrast:
    return contrast(side(left), side(right, "b.json"))


def rows(contrast: Contrast) -> list[tuple[str, str, str, str]]:
    return [(one.area, one.subject, one.left, one.right) for one in contrast.differing]
