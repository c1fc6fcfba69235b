"""Choose a CTranslate2 release that carries no cuDNN of its own, where the packages that use it allow one."""

from __future__ import annotations

from packaging.version import Version

from gpu_doctor.checks.engine.requirements import allows, requirements
from gpu_doctor.checks.engine.stack import install, release
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow, Unknown


def upgrade(inventory: Inventory, facts: Facts) -> Remedy | None:
    """Return the upgrade that removes the bundled cuDNN for good, or None where a pin forbids it."""
    first = facts.first_ctranslate2_without_cudnn()
    installed = inventory.distribution("ctranslate2")
    try:
        if installed is None or release(installed) >= first:
            return None
    except CannotKnow:
        return None
    others = (item for item in inventory.distributions if item.active)
    if not _has_wheel(inventory, facts, first) or not all(_allows(inventory, item, first) for item in others):
        return None
    step = install(inventory, f"ctranslate2>={first},<{first.major + 1}")
    summary = f"Upgrade ctranslate2 to {first} or newer, which bundles no cuDNN."
    return Remedy(summary, "ask", (step,))


def _has_wheel(inventory: Inventory, facts: Facts, version: Version) -> bool:
    row, python = facts.ctranslate2(version), inventory.interpreter.version
    return row is None or isinstance(python, Unknown) or row.pythons[0].release[:2] <= python.release[:2]


def _allows(inventory: Inventory, item: Distribution, version: Version) -> bool:
    wanted = (need for _name, need in requirements(item, inventory, lambda name: name == "ctranslate2"))
    return all(allows(need, version) for need in wanted)
