"""Tell whether this machine's GPUs can be asked anything."""

from __future__ import annotations

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown


def why_no_gpu(inventory: Inventory) -> str:
    """Return why no GPU experiment can be made, or nothing where one can."""
    if inventory.target.assumes_hardware:
        return "the hardware is assumed, not this machine's"
    if isinstance(inventory.gpus, Unknown):
        return f"the GPUs are unknown: {inventory.gpus.reason}"
    return "" if inventory.gpus else "no GPU visible"
