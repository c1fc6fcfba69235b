"""Choose what heals a failed import, from how it failed."""

from __future__ import annotations

from gpu_doctor.checks.choices.cuda_builds import wheels_for
from gpu_doctor.checks.imports.errors import undefined, unopened
from gpu_doctor.checks.shared.placed import written_again
from gpu_doctor.checks.shared.requirements import as_asked
from gpu_doctor.checks.shared.stack import install
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.remedy import Remedy, RunByHand

_PATIENCE = "gpu-doctor check --probe-timeout 300"


def remedy(inventory: Inventory, facts: Facts, probe: Probe) -> Remedy | None:
    """Return the remedy that follows from the pattern alone: more time, the missing library, or the files once more.

    Whole files answer an exception of their own; only one about a library, or a crash, may come of broken ones.
    """
    if probe.ending in ("timed out", "stuck"):
        return patience()
    package = inventory.distribution(probe.subject)
    if package is None:
        return None
    library = unopened(probe)
    if library:
        return library_installed(inventory, facts, package, library)
    broken = probe.ending != "raised" or undefined(probe) is not None or package.name == "torch"
    return written_again(inventory, package) if broken else None


def patience() -> Remedy:
    """Return the advice to ask again and wait longer."""
    why = "a first import from a cold disk, or from a network, can take minutes"
    return Remedy("Ask once more with more time.", "manual", (RunByHand(_PATIENCE, why),))


def library_installed(inventory: Inventory, facts: Facts, package: Distribution, library: str) -> Remedy | None:
    """Return the installation of the wheel that brings a library, or None where no one wheel does."""
    wheels = wheels_for(inventory, facts, package.name, (library,))
    if not wheels:
        return None
    present = inventory.distribution(facts.provider_of(library) or wheels[0])
    if present is not None:
        return written_again(inventory, present)
    step = install(inventory, *as_asked(inventory, wheels))
    return Remedy(f"Install {wheels[0]}, which brings {library}.", "ask", (step,))
