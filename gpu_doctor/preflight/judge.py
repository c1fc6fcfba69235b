"""Judge requirements one by one: met, unmet, or undetermined with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.requirement import Judged, Requirement, Standing
from gpu_doctor.preflight import amounts, stack
from gpu_doctor.preflight.seen import Seen

_JUDGES: Mapping[str, Callable[[Requirement, Seen], Judged]] = {
    "torch-cuda": stack.framework,
    "stft": stack.framework,
    "matmul": stack.framework,
    "onnxruntime-cuda": stack.framework,
    "onnxruntime-tensorrt": stack.framework,
    "ctranslate2-cuda": stack.framework,
    "kernels": stack.kernels,
    "cudnn": stack.cudnn,
    "driver": amounts.driver,
    "cuda": amounts.cuda,
    "gpus": amounts.gpus,
    "vram": amounts.vram,
    "free-vram": amounts.free_vram,
    "ram": amounts.ram,
    "shm": amounts.shm,
    "package": amounts.package,
    "python": amounts.python,
}


def judge(requirement: Requirement, seen: Seen) -> Judged:
    """Judge one requirement by all that was seen for it."""
    return _JUDGES[requirement.name](requirement, seen)


def absent(requirement: Requirement, inventory: Inventory) -> Judged | None:
    """Return that what a requirement is about is not even installed, or None where more must be looked at."""
    return stack.absent(requirement, inventory)


def hopeless(requirement: Requirement, seen: Seen) -> bool:
    """Tell whether no live answer can make a requirement met."""
    return stack.hopeless(requirement, seen)


def standing(judged: tuple[Judged, ...]) -> Standing:
    """Return where all stand together: unmet beats undetermined, and that beats met."""
    found = {item.standing for item in judged}
    return "unmet" if "unmet" in found else "undetermined" if "undetermined" in found else "met"
