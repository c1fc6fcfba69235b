"""What a plan says of a finding, in the words that several formats share."""

from __future__ import annotations

from collections.abc import Iterable

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.plan import HeldBack, Plan, Treatment
from gpu_doctor.model.remedy import Step, command, verb
from gpu_doctor.report.foreign import clean, clean_command

Part = Treatment | HeldBack
"""What a plan has for one finding."""


def parts(plan: Plan | None) -> tuple[Part, ...]:
    """Return what is to be done, worst illness first, then what is held back."""
    return () if plan is None else (*plan.treatments, *plan.held_back)


def planned(case: Case, finding: Finding) -> Part | None:
    """Return what the case's plan has for a finding, or None where there is no plan, or it means others."""
    return next((part for part in parts(case.plan) if part.finding.fingerprint == finding.fingerprint), None)


def deed(step: Step) -> str:
    """Return a step as a shell line, or as a comment where only the doctor does it with care."""
    place = getattr(step, "record", getattr(step, "path", ""))
    return command(step) or f"# {verb(step)} {place}"


def deeds(part: Part) -> list[str]:
    """Return the steps of a part of a plan, each as `deed` says it."""
    steps: Iterable[Step] = ()
    if isinstance(part, Treatment):
        steps = part.steps
    elif part.remedy is not None:
        steps = part.remedy.steps
    return list(map(deed, steps))


def sentence(part: Part) -> str:
    """Return what would be done about a finding, or why nothing is."""
    if isinstance(part, Treatment):
        return f"Would be repaired by: {part.remedy.summary.rstrip('.')}."
    return f"Held back: {part.why.rstrip('.')}."


def told(part: Part) -> str:
    """Return the sentence and the steps below it, cleaned, one a line."""
    return "\n".join((clean(sentence(part)), *(f"  {clean_command(line)}" for line in deeds(part))))
