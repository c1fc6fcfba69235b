"""Choose the torchcodec that belongs to a torch."""

from __future__ import annotations

from packaging.version import Version

from gpu_doctor.checks.shared.requirements import permitted
from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.torch import TorchBuild
from gpu_doctor.facts.torchcodec import TorchcodecFact
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

NAME = "torchcodec"


def fitting(inventory: Inventory, facts: Facts, torch: Version, cuda: int | None) -> tuple[TorchcodecFact, ...]:
    """Return the releases for a torch and its CUDA, for this Python and what other packages ask, newest first."""
    return tuple(fact for fact in facts.torchcodecs_for(torch, cuda) if _allowed(inventory, fact))


def moving_along(inventory: Inventory, facts: Facts, build: TorchBuild) -> Version | None:
    """Return the release that an installed torchcodec has to change to for this build of torch, or None."""
    installed = inventory.distribution(NAME)
    if installed is None or build.cuda is None:
        return None
    found = [fact.version for fact in fitting(inventory, facts, build.release, build.cuda.major)]
    if not found or installed.version in found:
        return None
    return found[0]


def _allowed(inventory: Inventory, fact: TorchcodecFact) -> bool:
    python, (first, last) = inventory.interpreter.version, fact.pythons
    if not isinstance(python, Unknown) and not first.release[:2] <= python.release[:2] <= last.release[:2]:
        return False
    return permitted(inventory, NAME, fact.version)
