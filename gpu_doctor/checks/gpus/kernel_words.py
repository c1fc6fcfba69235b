"""Say what the files tell of a package's GPU code on one GPU."""

from __future__ import annotations

from gpu_doctor.checks.gpus import ptx
from gpu_doctor.checks.gpus.kernels import Coverage, lost_use
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Severity
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory


def stated(
    inventory: Inventory, facts: Facts, coverage: Coverage, gpu: Gpu, worst: Severity
) -> tuple[Severity, str] | None:
    """Return how grave it is (a package without any code: `worst`) and what to say, or None where nothing is amiss."""
    bare = coverage.without(gpu.capability)
    if bare and len(bare) == len(coverage.libraries):
        if coverage.undecided(gpu.capability) is not None:
            return None
        return worst, f"{coverage.label} has no code for {_named(gpu)}: it carries {coverage.carried}."
    if bare:
        served = lost_use(bare)
        # Other libraries may exist for newer GPUs only (Hopper's attention kernels), by design.
        return "error" if served else "note", f"{coverage.named(bare)} no code for {_named(gpu)}{served}."
    compiled = bool(coverage.libraries) and coverage.main_is_compiled_at_start(gpu.capability)
    return ptx.outcome(inventory, facts, coverage, gpu) if compiled else None


def _named(gpu: Gpu) -> str:
    """Return the architecture, which the code is for, then the name."""
    return gpu.sm if gpu.name == gpu.sm else f"{gpu.sm} ({gpu.name})"
