"""A GPU has no memory left for another program.

What it finds. Memory that was refused, even the little that a check takes; and GPUs of which nearly nothing is free
(less than 5 % or 500 MB). NVML tells who holds the rest, by name.

Why it matters. "CUDA out of memory", and in other words CUBLAS_STATUS_NOT_INITIALIZED, CUBLAS_STATUS_ALLOC_FAILED or
CUFFT_INTERNAL_ERROR: the libraries' own workspace did not fit. With another process holding the memory, that is not
fragmentation, and PYTORCH_CUDA_ALLOC_CONF does not help.

What to do. End what is not needed: a notebook whose kernel still lives, a second server, a desktop. From inside a
container the others cannot be seen; look on the host. Or take another GPU.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.gpus.gpu_memory import free_bytes, holders, is_low, label, refusals, relief
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import DoesNotApply, Unknown, known

RULE = Rule(
    id="gpu-out-of-memory",
    title="A GPU's memory is taken",
    severity="error",
    stage="running",
    symptoms=(
        r"CUDA out of memory",
        r"CUDA(_ERROR_| error: )(OUT_OF_MEMORY|out of memory)",
        r"CUBLAS_STATUS_ALLOC_FAILED",
        r"[Ff]ailed to allocate memory on (the )?(GPU|device)",
    ),
    probes=("cuda-init", "torch-gpu"),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each GPU that refused memory, as an error, and each that is nearly full, as a warning."""
    if inventory.target.assumes_hardware:
        raise DoesNotApply("the hardware is assumed, not this machine's")
    gpus = known(inventory.gpus)
    if not gpus:
        raise DoesNotApply("no GPU visible")
    for number, gpu in enumerate(gpus):
        free, refused = free_bytes(inventory, gpu), refusals(inventory, number, gpu)
        if refused or (free is not None and is_low(gpu, free)):
            yield _finding(inventory, number, gpu)
        elif free is None:
            yield Unknown(f"how much memory of GPU {number} ({gpu.name}) is free, the driver does not say")


def _finding(inventory: Inventory, number: int, gpu: Gpu) -> Finding:
    free, refused = free_bytes(inventory, gpu), refusals(inventory, number, gpu)
    low = free is None or is_low(gpu, free)
    name = f"GPU {number} ({gpu.name})"
    message = f"{name} is nearly full"
    if refused:
        message = f"{name} refuses even a little memory"
        if not low:
            message += ", although the driver calls more of it free"
    return Finding(
        rule=RULE.id,
        severity="error" if refused else "warning",
        subject=f"GPU {number}",
        message=f"{message}{_most(gpu)}.",
        evidence=(*refused, *holders(gpu, free)),
        remedy=relief(inventory, gpu, low=low),
        seats=(f"GPU {number}",),
    )


def _most(gpu: Gpu) -> str:
    """Return who holds most, as the end of a sentence."""
    if isinstance(gpu.processes, Unknown) or not gpu.processes:
        return ""
    first = gpu.processes[0]
    amount = "most of it" if first.bytes is None else f"{first.bytes / 2**30:.1f} GiB"
    return f": {label(first)} holds {amount}"
