"""What the questions about libraries share: which answers they need first, and what to call a library."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory


def imports_needed(after: Iterable[str], inventory: Inventory, facts: Facts) -> tuple[str, ...]:
    """Return the questions whether each of these modules can be imported, as far as they are asked at all."""
    active = {item.name for item in inventory.distributions if item.active}
    asked = {module: name for name, module in reversed(facts.modules().items()) if name in active}
    return tuple(f"import {asked[module]}" for module in after if module in asked)


def plain_name(names: tuple[str, ...]) -> str:
    """Return, of the names that a library is asked for by, the one with its major version and no more."""
    return next((name for name in names if re.search(r"\.so\.\d+$", name)), names[-1])
