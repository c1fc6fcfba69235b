"""Choose the onnxruntime-gpu release that has code for a GPU."""

from __future__ import annotations

from packaging.version import Version

from gpu_doctor.checks.engine.stack import install, release
from gpu_doctor.facts.packages import OnnxRuntimeFact
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import Capability, verdict
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow, Unknown


def replacement(inventory: Inventory, facts: Facts, capability: Capability) -> Remedy | None:
    """Return the newest release of the installed one's CUDA major that runs on this GPU, or None."""
    package = inventory.distribution("onnxruntime-gpu")
    try:
        now = facts.onnxruntime(release(package)) if package else None
    except CannotKnow:
        now = None
    if now is None:
        return None
    version = newest(inventory, facts, now.cuda_major, capability)
    if version is None:
        return None
    step = install(inventory, f"onnxruntime-gpu=={version}")
    return Remedy(f"Install onnxruntime-gpu {version}, which has code for this GPU.", "ask", (step,))


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
