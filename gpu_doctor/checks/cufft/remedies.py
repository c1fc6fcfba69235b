"""Turn the cause of a failure of cuFFT into what heals it."""

from __future__ import annotations

import posixpath

from packaging.version import Version

from gpu_doctor.checks.choices import torch_choice
from gpu_doctor.checks.cufft.patterns import Pattern
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, SetVariable

_VARIABLE = "LD_LIBRARY_PATH"


def remedy(inventory: Inventory, facts: Facts, pattern: Pattern) -> Remedy:
    """Return what heals this cause: a step where one does, and always the words for the program."""
    if pattern.heals == "launch blocking":
        return Remedy(f"{pattern.advice}.", "manual", (SetVariable("CUDA_LAUNCH_BLOCKING", "1"),))
    found = _without_the_folder(inventory, pattern) if pattern.heals == "library order" else None
    if pattern.heals == "another build":
        return _another_build(inventory, facts, pattern.advice)
    return found or Remedy(f"{pattern.advice}.", "manual")


def seats(inventory: Inventory, pattern: Pattern) -> tuple[str, ...]:
    """Return what is ill where it is files: the wheels of cuFFT, and what stands in front of them."""
    if pattern.heals not in ("library order", "another build"):
        return pattern.where
    wheels = (item.name for item in inventory.distributions if item.active and item.name.startswith("nvidia-cufft"))
    order = (_VARIABLE,) if pattern.heals == "library order" else ()
    return (*pattern.where, *order, *wheels)


def newer_build(inventory: Inventory, facts: Facts, first_cuda: Version) -> Remedy | None:
    """Return the torch that is nearest to the installed one and built for this CUDA or a newer one."""
    return torch_choice.replacement(inventory, facts, fits=lambda build: bool(build.cuda and build.cuda >= first_cuda))


def _another_build(inventory: Inventory, facts: Facts, advice: str) -> Remedy:
    torch = inventory.distribution("torch")
    now = torch.built_for.cuda if torch and torch.built_for else None
    other = torch_choice.replacement(inventory, facts, fits=lambda build: build.cuda != now)
    if other is None:
        return Remedy(f"{advice[0].upper()}{advice[1:]}.", "manual")
    return Remedy(f"{other.summary.rstrip('.')}, whose cuFFT is another one; {advice}.", "ask", other.steps)


def _without_the_folder(inventory: Inventory, pattern: Pattern) -> Remedy | None:
    value = inventory.host.variable(_VARIABLE) or ""
    folders = {posixpath.dirname(path) for path in pattern.where}
    kept = [part for part in value.split(":") if part and part.rstrip("/") not in folders]
    if ":".join(kept) == value:
        return None
    step = SetVariable(_VARIABLE, ":".join(kept) or None)
    return Remedy(f"Start without {' and '.join(sorted(folders))} in {_VARIABLE}.", "safe", (step,))
