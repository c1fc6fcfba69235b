"""What the judges of requirements see, and how they say what they think."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.case import Case
from gpu_doctor.model.config import Threshold
from gpu_doctor.model.finding import SEVERITIES, Evidence, Finding
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.requirement import Judged, Requirement, Standing
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.model.visible import VISIBLE_DEVICES, visible_gpus


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold what was seen and judged so far.

    `kernels` are the same files judged for the GPU of each `kernels:…`, by its words. `asked` tells whether the live
    interpreter was to be asked at all. A finding at or above `fail_on` makes what it concerns unmet.
    """

    case: Case
    kernels: Mapping[str, Case] = field(default_factory=dict)
    asked: bool = True
    fail_on: Threshold = "error"
    facts: Facts = field(default_factory=Facts.load)

    @property
    def inventory(self) -> Inventory:
        """Return what was observed."""
        return self.case.inventory

    @property
    def by_files(self) -> bool:
        """Tell whether files alone decide: nothing is asked, or no question could reach the hardware that is meant."""
        return not self.asked or self.inventory.target.assumes_hardware

    def counts(self, finding: Finding) -> bool:
        """Tell whether a finding is grave enough to make a requirement unmet."""
        limit = "error" if self.fail_on == "never" else self.fail_on
        return SEVERITIES.index(finding.severity) <= SEVERITIES.index(limit)


def say(
    requirement: Requirement,
    standing: Standing,
    message: str,
    *evidence: Evidence,
    causes: tuple[Finding, ...] = (),
) -> Judged:
    """Return a judgement, its message with a full stop."""
    sentence = message if message.endswith((".", "…")) else f"{message}."
    return Judged(requirement, standing, sentence, evidence, causes)


def without_gpu(inventory: Inventory) -> str:
    """Return why it is certain that programs get no GPU here, as a sentence, or nothing where it is not."""
    gpus, driver = inventory.gpus, inventory.driver
    if isinstance(gpus, Unknown):
        return ""
    if not gpus:
        if driver is None:
            return "There is no NVIDIA GPU and no driver here."
        named = "" if isinstance(driver, Unknown) else f", though driver {driver.label} is"
        return f"There is no NVIDIA GPU here{named}."
    if visible(inventory) == ():
        value = inventory.host.variable(VISIBLE_DEVICES)
        return f"{VISIBLE_DEVICES}={value} hides every GPU from programs."
    return ""


def visible(inventory: Inventory) -> tuple[Gpu, ...] | Unknown:
    """Return the GPUs that a program gets; those that the user named are all visible."""
    gpus = inventory.gpus
    if isinstance(gpus, Unknown) or inventory.target.assumes_hardware:
        return gpus
    found = visible_gpus(inventory.host.variable(VISIBLE_DEVICES), gpus)
    return found if isinstance(found, Unknown) else tuple(gpus[number] for number in found)
