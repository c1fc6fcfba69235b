"""Choose the onnxruntime-gpu release that has code for a GPU."""

from __future__ import annotations

from gpu_doctor.checks.engine.stack import install, release
from gpu_doctor.facts.packages import OnnxRuntimeFact
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import Capability, verdict
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow


def replacement(inventory: Inventory, facts: Facts, capability: Capability) -> Remedy | None:
    """Return the newest release of the installed one's CUDA major that runs on this GPU, or None."""
    package = inventory.distribution("onnxruntime-gpu")
    try:
        now = facts.onnxruntime(release(package)) if package else None
    except CannotKnow:
        now = None
    if now is None:
        return None
    fitting = [r for r in facts.onnxruntime_releases() if r.cuda_major == now.cuda_major and _runs(r, capability)]
    if not fitting:
        return None
    version = fitting[-1].version
    step = install(inventory, f"onnxruntime-gpu=={version}")
    return Remedy(f"Install onnxruntime-gpu {version}, which has code for this GPU.", "ask", (step,))


def _runs(row: OnnxRuntimeFact, capability: Capability) -> bool:
    return row.sass is not None and verdict(row.sass, row.ptx or (), capability) != "none"
