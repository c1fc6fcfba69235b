"""What became of a plan, and the repairs that an environment remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.plan import Plan, Treatment

Ending = Literal["kept", "rolled back", "undone"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Say what became of one treatment: `healed`, or why it was not and that nothing of it is left."""

    treatment: Treatment
    healed: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Healing:
    """Hold one run of `fix`: the case before, the plan, what became of it, and the case after.

    `id` names the journal where something was kept. `applied` is False where the plan was only shown, or refused.
    """

    before: Case
    plan: Plan
    after: Case
    outcomes: tuple[Outcome, ...] = ()
    id: str | None = None
    applied: bool = False
    remaining: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class PastTreatment:
    """Hold what a journal says of one treatment; `kept` is None where it was cut off before that was decided."""

    rule: str
    subject: str
    message: str
    summary: str
    kept: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class PastRepair:
    """Hold one repair that an environment's journal tells of; `ending` is None where it was cut off."""

    id: str
    at: str
    asked: str
    doctor: str
    journal: str
    treatments: tuple[PastTreatment, ...]
    ending: Ending | None
    undoing: bool = False

    @property
    def can_be_undone(self) -> bool:
        """Tell whether something of it is, or may be, in the environment."""
        return self.ending in (None, "kept")
