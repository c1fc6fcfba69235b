"""Tell which of this machine's GPUs can be asked, what a child calls them, and why one cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.model.visible import VISIBLE_DEVICES, visible_gpus

# CUDA counts the fastest GPU first, unless it is told to count as the driver does, and so the inventory.
IN_ORDER: Mapping[str, str] = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
# Where the driver does not start, nothing that needs it tells more.
DRIVER = ("cuda-init libcuda.so.1",)


@dataclass(frozen=True, slots=True)
class AskedGpu:
    """Name one GPU: its `label` is `GPU 0`, its `index` the number that CUDA has for it in a child.

    `skip` is why it is not asked.
    """

    label: str
    index: int
    skip: str = ""


def why_no_gpu(inventory: Inventory) -> str:
    """Return why no GPU experiment can be made, or nothing where one can."""
    if inventory.target.assumes_hardware:
        return "the hardware is assumed, not this machine's"
    if isinstance(inventory.gpus, Unknown):
        return f"the GPUs are unknown: {inventory.gpus.reason}"
    return "" if inventory.gpus else "no GPU visible"


def gpus_to_ask(inventory: Inventory, why_not: str = "") -> tuple[AskedGpu, ...]:
    """Return every GPU of this machine, or a first one that says why none is asked.

    Those that CUDA_VISIBLE_DEVICES hides may be somebody else's, and are left alone.
    """
    why = why_no_gpu(inventory) or why_not
    if why or isinstance(inventory.gpus, Unknown):
        return (AskedGpu("GPU 0", 0, why),)
    value = inventory.host.variable(VISIBLE_DEVICES)
    visible = visible_gpus(value, inventory.gpus)
    if isinstance(visible, Unknown):
        # As many as are named; the child says which GPU it was that it asked.
        visible = tuple(range((value or "").count(",") + 1))
    hidden = f"{VISIBLE_DEVICES}={value} hides it"
    return tuple(
        AskedGpu(f"GPU {n}", visible.index(n)) if n in visible else AskedGpu(f"GPU {n}", 0, hidden)
        for n in range(len(inventory.gpus))
    )


def all_gpus(inventory: Inventory) -> tuple[str, ...]:
    """Return the labels of all GPUs, for a question that uses them all."""
    return () if isinstance(inventory.gpus, Unknown) else tuple(f"GPU {n}" for n in range(len(inventory.gpus)))
