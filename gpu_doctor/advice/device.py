"""Where each framework should run: on which GPU, or on the CPU and for which reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gpu_doctor.advice.hardware import Seen, budget, gib, visible
from gpu_doctor.advice.measured import slower_gpu
from gpu_doctor.model.advice import Basis, Engine
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.model.visible import VISIBLE_DEVICES

PACKAGES: dict[Engine, tuple[str, ...]] = {
    "torch": ("torch",),
    "ctranslate2": ("ctranslate2",),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
}
# Without a sound driver nothing reaches the GPU.
_MACHINE = frozenset(("driver-missing", "driver-too-old", "driver-library-mismatch", "driver-without-gpu")) | frozenset(
    ("cuda-init-unknown", "fabric-manager-down")
)
# What is wrong there, the GPU computes all the same; which number format it lacks is chosen elsewhere.
_NO_OBSTACLE = frozenset(("gpu-out-of-memory", "dtype-unsupported-by-gpu", "torchcodec-abi-mismatch")) | frozenset(
    # What was measured is weighed by itself, for this GPU alone.
    ("gpu-slower-than-cpu", "gpu-below-floor", "memory-leak", "audio-invalid", "bench-fails")
)
_FOLDERS = re.compile(r"/(?:site|dist)-packages/([^/]+)")
_ON = re.compile(r" on (?:(sm_\d+)|GPU (\d+))\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """Say where a framework should run and why; `seen` is None on the CPU."""

    seen: Seen | None
    why: str
    basis: Basis = "known"
    rule: str = ""


def installed(inventory: Inventory, engine: Engine) -> Distribution | None:
    """Return the distribution that brings an engine, the one for GPUs where both are installed."""
    found = (inventory.distribution(name) for name in PACKAGES[engine])
    return next((item for item in found if item is not None), None)


def place(inventory: Inventory, findings: Sequence[Finding], engine: Engine) -> Place:
    """Choose the GPU with the most free memory that the engine can use, or the CPU with the reason."""
    seen = visible(inventory)
    package = installed(inventory, engine)
    reason = _no_gpu(inventory, seen) or _built_for_cpu(package)
    if reason:
        return Place(None, reason)
    assert isinstance(seen, tuple)
    against = [finding for finding in findings if _concerns(finding, engine)]
    left = [one for one in seen if not any(_hits(finding, one) for finding in against)]
    if not left:
        first = next(finding for finding in against if _hits(finding, seen[0]))
        return Place(None, _words(first, seen[0], package, engine), "known", first.rule)
    best = max(left, key=lambda one: (budget(one.gpu) or 0, -one.index))
    slower = slower_gpu(inventory.benches, engine, best.gpu)
    if slower:
        return Place(None, slower, "measured")
    return Place(best, _praise(best, left, seen, package, engine))


def _no_gpu(inventory: Inventory, seen: tuple[Seen, ...] | Unknown) -> str:
    if isinstance(seen, Unknown):
        return f"which GPUs a program sees could not be determined: {seen.reason}"
    if seen:
        return ""
    value = inventory.host.variable(VISIBLE_DEVICES)
    if inventory.gpus and value is not None:
        return f"{VISIBLE_DEVICES}={value} hides every GPU"
    return "no NVIDIA GPU and no driver is here" if inventory.driver is None else "no NVIDIA GPU is here"


def _built_for_cpu(package: Distribution | None) -> str:
    if package is None:
        return ""
    if package.name == "onnxruntime":
        return f"{package.label} is the CPU build: onnxruntime-gpu is another package"
    built = package.built_for
    if built is not None and built.rocm:
        return f"{package.label} is built for AMD GPUs, which are not judged here"
    if built is not None and built.cuda is None:
        return f"{package.label} is built without CUDA"
    return ""


def _concerns(finding: Finding, engine: Engine) -> bool:
    """Tell whether a proven finding keeps this engine from a GPU."""
    if finding.severity != "error" or finding.rule in _NO_OBSTACLE:
        return False
    if finding.rule in _MACHINE:
        return True
    names = PACKAGES[engine]
    if finding.rule == "package-version-conflict":
        return finding.subject in names
    return any(_seat(seat) in (*names, engine) for seat in finding.seats)


def _seat(seat: str) -> str:
    """Return the package that a seat lies in: `ctranslate2` for a library in `ctranslate2.libs`."""
    folder = _FOLDERS.search(seat)
    return folder[1].removesuffix(".libs") if folder else seat.removeprefix("import ")


def _hits(finding: Finding, one: Seen) -> bool:
    on = _ON.search(finding.subject)
    if on is None:
        return True
    return on[1] == one.gpu.sm if on[1] else int(on[2]) == one.index


def _words(finding: Finding, one: Seen, package: Distribution | None, engine: Engine) -> str:
    if finding.rule == "kernel-image-missing":
        return f"no kernel image for {one.gpu.sm} in {package.label if package else engine}"
    return finding.message.removesuffix(".")


def _praise(
    best: Seen, left: Sequence[Seen], seen: Sequence[Seen], package: Distribution | None, engine: Engine
) -> str:
    what = f"{package.label} can use" if package else f"{engine} is not installed; the hardware alone allows"
    words = f"{what} {best.gpu.label}"
    size = budget(best.gpu)
    if len(left) > 1 and size is not None:
        words += f", of {len(seen)} GPUs the one with the most {'free ' * (best.gpu.free_bytes is not None)}memory"
        words += f": {gib(size)}"
    elif len(left) < len(seen):
        words += f", the only one of {len(seen)} GPUs that it has code for"
    return words
