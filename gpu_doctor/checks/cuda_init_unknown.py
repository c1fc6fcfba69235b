"""The driver itself cannot start CUDA, before any Python package has a part in it.

What it finds. `libcuda.so.1` is loaded in a process of its own, as every CUDA program loads it; CUDA is started, and on
each GPU a context is made and a little memory taken. Any of these may fail, hang or kill the process. Errors that have
a rule of their own (802, 803, 804, out of memory) are not reported here.

Why it matters. Whatever torch, ONNX Runtime or CTranslate2 then say of a missing GPU, "CUDA unknown error" or a wrong
CUDA_VISIBLE_DEVICES, no package is at fault, and no other package helps.

What to do. 999 (unknown error): the module nvidia_uvm is unusable, mostly after a suspend; load it anew. The advice of
the error text to look at CUDA_VISIBLE_DEVICES is mostly wrong then. 100 (no device): that variable names no GPU, or the
device files are missing, as in a container that was started without `--gpus`. A hang: the kernel's log says more.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.drivers.cuda_start import (
    COMPAT_NOT_SUPPORTED,
    DRIVER_MISMATCH,
    OUT_OF_MEMORY,
    SYSTEM_NOT_READY,
    StartFailure,
    start_failures,
)
from gpu_doctor.checks.drivers.cuda_troubles import trouble
from gpu_doctor.checks.shared.live import answers
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.hardware import Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="cuda-init-unknown",
    title="The driver cannot start CUDA",
    severity="error",
    stage="host",
    yields_to=("driver-missing", "driver-library-mismatch", "driver-without-gpu", "fabric-manager-down"),
    symptoms=(
        r"CUDA unknown error - this may be due to an incorrectly set up environment",
        r"CUDA_ERROR_(UNKNOWN|NO_DEVICE|DEVICE_UNAVAILABLE|OPERATING_SYSTEM|MPS_\w+)",
        r"No CUDA GPUs are available",
        r"no CUDA-capable device is detected",
        r"all CUDA-capable devices are busy or unavailable",
    ),
    probes=("cuda-init",),
)

_ELSEWHERE = (OUT_OF_MEMORY, SYSTEM_NOT_READY, DRIVER_MISMATCH, COMPAT_NOT_SUPPORTED)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each experiment of CUDA's start that ended badly and is no other rule's."""
    answers(inventory, "cuda-init")
    for failure in start_failures(inventory):
        if failure.code not in _ELSEWHERE:
            yield _finding(inventory, failure)


def _finding(inventory: Inventory, failure: StartFailure) -> Finding:
    meant = trouble(inventory, failure)
    meaning = f" {meant.meaning}" if meant.meaning else ""
    return Finding(
        rule=RULE.id,
        severity=meant.severity,
        subject=failure.step,
        message=f"CUDA does not start: {failure.step} {failure.words}.{meaning}",
        evidence=(*failure.evidence, *_surroundings(inventory.host)),
        remedy=meant.remedy,
        seats=("driver",),
    )


def _surroundings(host: Host) -> Iterator[Evidence]:
    visible = host.variable("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        yield Evidence("CUDA_VISIBLE_DEVICES", repr(visible), "the environment")
    yield Evidence("device files", ", ".join(host.devices) or "none", "/dev")
    if host.libcuda is not None:
        yield Evidence("libcuda.so.1", host.libcuda.real, f"{host.libcuda.path}, by {host.libcuda.rule}")
