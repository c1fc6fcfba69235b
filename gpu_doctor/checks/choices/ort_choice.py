"""Choose the onnxruntime-gpu release that has code for a GPU."""

from __future__ import annotations

from packaging.version import Version

from gpu_doctor.checks.shared.requirements import permitted
from gpu_doctor.checks.shared.stack import install, release
from gpu_doctor.facts.packages import OnnxRuntimeFact
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import Capability, verdict
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow, Unknown


def replacement(inventory: Inventory, facts: Facts, capability: Capability) -> Remedy | None:
    """Return the newest release that runs on this GPU, of the installed one's CUDA major or an older one, or None."""
    package = inventory.distribution("onnxruntime-gpu")
    try:
        now = facts.onnxruntime(release(package)) if package else None
    except CannotKnow:
        now = None
    if now is None:
        return None
    majors = range(now.cuda_major, 10, -1)
    version = next((v for major in majors if (v := newest(inventory, facts, major, capability))), None)
    if version is None:
        return None
    step = install(inventory, f"onnxruntime-gpu=={version}")
    price = f"changes onnxruntime-gpu {release(package)}" if package else ""
    return Remedy(f"Install onnxruntime-gpu {version}, which has code for this GPU.", "ask", (step,), price)


def for_driver(inventory: Inventory, facts: Facts, driver: Version) -> Remedy | None:
    """Return the newest release for the newest CUDA major that a driver runs and every known GPU, or None."""
    capabilities = () if isinstance(inventory.gpus, Unknown) else tuple(gpu.capability for gpu in inventory.gpus)
    for row in sorted(facts.onnxruntime_releases(), key=lambda item: (item.cuda_major, item.version), reverse=True):
        minimum = facts.minimum_driver(row.cuda)
        fits = _has_wheel(row, inventory) and all(_runs(row, capability) for capability in capabilities)
        if fits and not isinstance(minimum, Unknown) and minimum.minor <= driver:
            step = install(inventory, f"onnxruntime-gpu=={row.version}")
            return Remedy(f"Install onnxruntime-gpu {row.version}, built for CUDA {row.cuda_major}.", "ask", (step,))
    return None


def preloading(inventory: Inventory, facts: Facts) -> Remedy | None:
    """Return the newest release of the same CUDA and cuDNN that finds its libraries when it is told to, or None.

    None also where the installed one can, is not known, or where a package forbids a newer one.
    """
    package = inventory.distribution("onnxruntime-gpu")
    try:
        now = facts.onnxruntime(release(package)) if package else None
    except CannotKnow:
        now = None
    if package is None or now is None or now.preload_dlls:
        return None
    gpus = () if isinstance(inventory.gpus, Unknown) else inventory.gpus
    for row in reversed(facts.onnxruntime_releases()):
        same = (row.cuda_major, row.cudnn_major) == (now.cuda_major, now.cudnn_major) and row.preload_dlls
        runs = same and _has_wheel(row, inventory) and all(_runs(row, gpu.capability) for gpu in gpus)
        if runs and permitted(inventory, "onnxruntime-gpu", row.version):
            step = install(inventory, f"onnxruntime-gpu=={row.version}")
            summary = f"Install onnxruntime-gpu {row.version}, whose onnxruntime.preload_dlls() finds the libraries."
            price = f"changes {package.label}; the program must call that before its first session"
            return Remedy(summary, "ask", (step,), price)
    return None


def newest(inventory: Inventory, facts: Facts, cuda_major: int, capability: Capability | None = None) -> Version | None:
    """Return the newest release for this CUDA major, this environment's Python and, where one is given, a GPU."""
    rows = (row for row in reversed(facts.onnxruntime_releases()) if row.cuda_major == cuda_major)
    fitting = (row for row in rows if _has_wheel(row, inventory) and (capability is None or _runs(row, capability)))
    return next((row.version for row in fitting), None)


def _has_wheel(row: OnnxRuntimeFact, inventory: Inventory) -> bool:
    python, (first, last) = inventory.interpreter.version, row.pythons
    return isinstance(python, Unknown) or first.release[:2] <= python.release[:2] <= last.release[:2]


def _runs(row: OnnxRuntimeFact, capability: Capability) -> bool:
    return row.sass is not None and verdict(row.sass, row.ptx or (), capability) != "none"
