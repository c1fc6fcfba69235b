"""Text that means the same in two environments: their own folder, which must differ, written the same way."""

from __future__ import annotations

import re
from collections.abc import Callable

from gpu_doctor.model.inventory import Inventory

OWN = "<env>"
"""What stands for an environment's folder."""


def portable(inventory: Inventory) -> Callable[[str], str]:
    """Return a function that writes the environment's own folder in a text as `<env>`."""
    prefix = inventory.interpreter.prefix.rstrip("/")
    if not prefix or prefix in ("/usr", "/usr/local"):
        return lambda text: text
    # A longer name that only begins like the folder is another folder.
    own = re.compile(rf"(?<![\w./-]){re.escape(prefix)}(?![\w.-])")
    return lambda text: own.sub(OWN, text)
