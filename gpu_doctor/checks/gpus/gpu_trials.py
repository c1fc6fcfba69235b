"""Tell which rule owns an experiment on a GPU that ended badly, so that each is reported once and none by nobody."""

from __future__ import annotations

import re

from gpu_doctor.checks.shared.live import answers, failures
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Kind, Probe, Trial
from gpu_doctor.model.unknown import CannotKnow, known

NO_IMAGE = re.compile(
    r"no kernel image is available|cudaErrorNoKernelImageForDevice|PTX was compiled with an unsupported toolchain"
    r"|CUDA_ERROR_NO_BINARY_FOR_GPU|was built for sm\d+"
)
_NO_MEMORY = re.compile(r"out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation", re.IGNORECASE)
_NOT_SUPPORTED = re.compile(
    r"not (?:currently |yet )?(?:supported|implemented)|NOT_SUPPORTED|ARCH_MISMATCH|unsupported|only supported on",
    re.IGNORECASE,
)
TRANSFORMS = ("stft", "istft", "fft fp64")
_HALF = ("matmul fp16", "matmul bf16")


def gpu_answers(inventory: Inventory, *kinds: Kind) -> tuple[Probe, ...]:
    """Return the probes of these kinds that asked a GPU; give up on the check, with the reason, where none did."""
    found = tuple(probe for probe in answers(inventory, *kinds) if probe.subject != "CPU")
    if not found:
        skipped = (p for p in known(inventory.probes) if p.kind in kinds and p.subject != "CPU" and p.reason)
        raise CannotKnow(next((probe.reason for probe in skipped), "no GPU was asked"))
    return found


def owned(inventory: Inventory, probe: Probe, rule: str) -> tuple[Trial, ...]:
    """Return the experiments of a probe of kind torch-gpu that ended badly and that this rule reports."""
    return tuple(trial for trial in failures(probe) if _owner(inventory, probe, trial) == rule)


def gpu_name(probe: Probe) -> str:
    """Return which GPU a probe asked, and its name where the probe came so far."""
    name = probe.value("device")
    return f"{probe.subject} ({name})" if name else probe.subject


def _owner(inventory: Inventory, probe: Probe, trial: Trial) -> str:
    if trial.outcome == "wrong":
        return "gpu-result-wrong"
    if NO_IMAGE.search(trial.detail):
        return "kernel-image-missing"
    if _NO_MEMORY.search(trial.detail) and _starved(probe):
        return "gpu-out-of-memory"
    if trial.name == "pinned memory" and inventory.host.wsl:
        return "wsl-pinned-memory"
    if trial.name in TRANSFORMS:
        return "cufft-failure"
    if trial.name in _HALF and _NOT_SUPPORTED.search(trial.detail):
        return "dtype-unsupported-by-gpu"
    return "gpu-operation-fails"


def _starved(probe: Probe) -> bool:
    """Tell whether not even a small block of memory could be had, which explains every other lack of it."""
    block = probe.trial("allocate memory")
    return block is not None and block.outcome == "failed" and _NO_MEMORY.search(block.detail) is not None
