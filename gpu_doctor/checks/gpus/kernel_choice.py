"""Choose what brings the GPU code that a package lacks."""

from __future__ import annotations

from gpu_doctor.checks.choices import ort_choice, torch_choice
from gpu_doctor.checks.gpus import ptx
from gpu_doctor.checks.gpus.kernels import COMPANIONS, Coverage
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy


def remedy(
    inventory: Inventory, facts: Facts, package: str, capability: Capability, coverage: Coverage | None = None
) -> Remedy | None:
    """Return the newer driver where the code is there and only needs compiling, else the build that has it, or None."""
    if coverage is not None and coverage.main_is_compiled_at_start(capability):
        return ptx.update(inventory, facts, package)
    if package == "onnxruntime-gpu":
        return ort_choice.replacement(inventory, facts, capability)
    return torch_choice.replacement(inventory, facts) if package in ("torch", *COMPANIONS) else None
