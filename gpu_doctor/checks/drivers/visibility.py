"""How CUDA_VISIBLE_DEVICES hides GPUs that are there."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.model.visible import VISIBLE_DEVICES, visible_gpus

# What people write to keep a program from the GPU; anything else that names none is a slip.
_ON_PURPOSE = ("", "-1", "none", "void", "nodevfiles")


@dataclass(frozen=True, slots=True)
class Hidden:
    """Say how the variable hides every GPU: its value, a clause such as `is empty`, and whether that may be meant."""

    value: str
    how: str
    meant: bool


def hidden(inventory: Inventory) -> Hidden | None:
    """Return how the variable hides every GPU of this machine, or None where it does not or that cannot be told."""
    value = inventory.host.variable(VISIBLE_DEVICES)
    if value is None or isinstance(inventory.gpus, Unknown) or not inventory.gpus:
        return None
    if visible_gpus(value, inventory.gpus) != ():
        return None
    first = value.split(",")[0].strip()
    return Hidden(value, _why_nothing(first, inventory.gpus), first.lower() in _ON_PURPOSE)


def _why_nothing(first: str, gpus: tuple[Gpu, ...]) -> str:
    if not first:
        return "is empty"
    if first.isascii() and first.isdecimal():
        count = f"there is {len(gpus)} GPU" if len(gpus) == 1 else f"there are {len(gpus)} GPUs"
        return f"names GPU {first}, and {count}, counted from 0" if int(first) >= len(gpus) else "names one GPU twice"
    if first.startswith("GPU-"):
        return (
            "names one GPU twice"
            if any(gpu.uuid.startswith(first) for gpu in gpus)
            else f"names {first}, which no GPU here is"
        )
    return f"begins with {first}, which is no GPU"
