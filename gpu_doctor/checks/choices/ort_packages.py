"""Choose which of several ONNX Runtime packages stays, and say what would bring the other one back."""

from __future__ import annotations

from gpu_doctor.checks.shared.requirements import requirements
from gpu_doctor.checks.shared.stack import install, remove, wants_cuda
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import Unknown


def wanted_of(inventory: Inventory, packages: list[Distribution]) -> Distribution:
    """Return the package to keep: that for CUDA where CUDA is wanted, as its presence says, else that for the CPU."""
    order = ("onnxruntime-gpu",) if wants_cuda(inventory) else ("onnxruntime",)
    return next((d for name in order for d in packages if d.name == name), packages[-1])


def keep(inventory: Inventory, names: list[str], wanted: Distribution) -> Remedy:
    """Return the removal of all these packages and the installation of the one that stays."""
    exact = wanted.name if isinstance(wanted.version, Unknown) else f"{wanted.name}=={wanted.version.public}"
    steps = (remove(inventory, *names), install(inventory, exact))
    summary = f"Remove {' and '.join(names)}, then install {wanted.name} and no other."
    return Remedy(summary, "ask", steps, _price(inventory, [name for name in names if name != wanted.name]))


def _price(inventory: Inventory, gone: list[str]) -> str:
    """Return who brings a package back that was taken away, and when."""
    active = (item for item in inventory.distributions if item.active and item.name not in gone)
    asks = {item.name: name for item in active for name, _ in requirements(item, inventory, gone.__contains__)}
    if not asks:
        return ""
    verb = "ask" if len(asks) > 1 else "asks"
    brought = " and ".join(dict.fromkeys(asks.values()))
    return f"{' and '.join(asks)} {verb} for {brought}: the next sync or install brings it back"
