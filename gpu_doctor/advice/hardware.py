"""Which GPUs a program can see, how CUDA numbers them, and how much memory each has left."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.model.hardware import Gpu, Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.model.visible import VISIBLE_DEVICES, visible_gpus

GIB = 2**30
ORDER = "CUDA_DEVICE_ORDER"


@dataclass(frozen=True, slots=True)
class Seen:
    """Join a GPU with the number that CUDA gives it."""

    index: int
    gpu: Gpu


def visible(inventory: Inventory) -> tuple[Seen, ...] | Unknown:
    """Return the GPUs that a program sees, with CUDA's numbers; Unknown where that cannot be determined."""
    if isinstance(inventory.gpus, Unknown):
        return inventory.gpus
    if inventory.target.assumes_hardware:
        return tuple(Seen(number, gpu) for number, gpu in enumerate(inventory.gpus))
    numbers = visible_gpus(inventory.host.variable(VISIBLE_DEVICES), inventory.gpus)
    if isinstance(numbers, Unknown):
        return numbers
    return tuple(Seen(place, inventory.gpus[number]) for place, number in enumerate(numbers))


def budget(gpu: Gpu) -> int | None:
    """Return the memory to plan with: what is free, or all where what is free is not known."""
    return gpu.memory_bytes if gpu.free_bytes is None else gpu.free_bytes


def ram(host: Host) -> int | None:
    """Return the memory of the machine, or of the container where that has less; None where nobody says."""
    sizes = (host.memory_bytes, host.cgroup_limit_bytes)
    return min((size for size in sizes if isinstance(size, int)), default=None)


def gib(size: int) -> str:
    """Return a size in GiB, or in MiB below one."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"


def numbers_may_differ(inventory: Inventory, seen: tuple[Seen, ...]) -> bool:
    """Tell whether CUDA may count these GPUs in another order than the driver.

    CUDA puts the fastest first unless CUDA_DEVICE_ORDER is PCI_BUS_ID, which is the driver's order:
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/ (environment variables).
    """
    kinds = {one.gpu.name for one in seen}
    return len(kinds) > 1 and inventory.host.variable(ORDER) != "PCI_BUS_ID"
