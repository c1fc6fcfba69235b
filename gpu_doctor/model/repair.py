"""What became of a plan."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.plan import Plan, Treatment


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
