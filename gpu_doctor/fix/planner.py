"""Choose what to do about the findings of a case, worst first; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gpu_doctor.fix.records import record_steps
from gpu_doctor.fix.topics import concerns
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.plan import HeldBack, Plan, Treatment, Wish
from gpu_doctor.model.remedy import (
    EditPins,
    InstallPackages,
    MakeLink,
    Remedy,
    RemoveFile,
    RemovePackages,
    SetVariable,
    Step,
)


def make_plan(case: Case, wish: Wish, tried: Collection[str] = ()) -> Plan:
    """Return what to do about the findings that are meant, in the order in which the case ranks them.

    A finding that another one explains is healed with that one. What two remedies want alike is done once; of two that
    contradict each other the graver illness goes first, and the other is held back until it can be judged anew. What
    was `tried`, by fingerprint, is left out: nothing of it will be done.
    """
    treatments: list[Treatment] = []
    held_back: list[HeldBack] = []
    for finding in meant(case, wish.names):
        if finding.fingerprint in tried:
            continue
        chosen, instead = _choose(finding, wish)
        why = _against(chosen, wish)
        if chosen is None or why:
            held_back.append(HeldBack(finding, finding.remedy if chosen is None else chosen, why))
            continue
        clash = next(filter(None, (_contradicts(chosen, other.remedy) for other in treatments)), "")
        if clash:
            held_back.append(HeldBack(finding, chosen, clash))
            continue
        done = {step for other in treatments for step in other.steps}
        steps = tuple(step for step in chosen.steps if step not in done)
        treatments.append(Treatment(finding, chosen, (*steps, *record_steps(case.inventory, steps)), instead))
    return Plan(tuple(treatments), tuple(held_back))


def with_pins(plan: Plan, project: str | None) -> Plan:
    """Return the plan with what it installs pinned in the project's file, so that the next sync keeps it."""
    if project is None:
        return plan
    return replace(plan, treatments=tuple(_pinned(treatment, project) for treatment in plan.treatments))


def _pinned(treatment: Treatment, project: str) -> Treatment:
    installs = [step for step in treatment.steps if isinstance(step, InstallPackages) and step.tool == ("uv", "pip")]
    requirements = tuple(dict.fromkeys(text for step in installs for text in step.requirements))
    steps = (*treatment.steps, *((EditPins(project, requirements),) if requirements else ()))
    return replace(treatment, steps=steps)


def meant(case: Case, names: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return the primary findings, other than notes, that these names mean, by themselves or by what they explain."""
    prefix = case.inventory.interpreter.prefix
    causes = {finding.fingerprint: finding for finding in case.findings}
    found: dict[str, Finding] = {}
    for finding in case.findings:
        cause = causes.get(finding.consequence_of or "", finding)
        if cause.severity != "note" and concerns(finding, names, prefix):
            found.setdefault(cause.fingerprint, cause)
    return tuple(finding for finding in case.findings if finding.fingerprint in found)


def _choose(finding: Finding, wish: Wish) -> tuple[Remedy | None, Remedy | None]:
    """Return the remedy to apply and the other one; where the preferred one may not be applied, the other may."""
    minimal, durable = finding.remedy, finding.durable
    first, second = (durable, minimal) if wish.prefer == "durable" and durable else (minimal, durable)
    if second is not None and _against(first, wish) and not _against(second, wish):
        first, second = second, first
    return first, None if second == first else second


def _against(remedy: Remedy | None, wish: Wish) -> str:
    """Return why a remedy is not applied, or nothing."""
    if remedy is None:
        return "no remedy is known that the files alone tell"
    if remedy.by_hand:
        return "this is for a person to do"
    if remedy.safety == "ask" and wish.allow == "safe":
        return "it changes packages, which --allow safe forbids"
    return ""


def _contradicts(remedy: Remedy, earlier: Remedy) -> str:
    """Return why two remedies cannot both be applied to what is there now, or nothing."""
    mine, theirs = dict(_claims(remedy)), dict(_claims(earlier))
    for subject in mine.keys() & theirs.keys():
        if mine[subject] != theirs[subject]:
            return f"a graver illness changes {subject} too: it is judged anew after that"
    return ""


def _claims(remedy: Remedy) -> Iterator[tuple[str, object]]:
    """Yield what a remedy changes, and into what."""
    for step in remedy.steps:
        yield from _claims_of(step)


def _claims_of(step: Step) -> Iterator[tuple[str, object]]:
    if isinstance(step, InstallPackages):
        for text in step.requirements:
            yield _name(text), text
    elif isinstance(step, RemovePackages):
        for name in step.names:
            yield canonicalize_name(name), None
    elif isinstance(step, MakeLink):
        yield step.path, step.points_to
    elif isinstance(step, RemoveFile):
        yield step.path, None
    elif isinstance(step, SetVariable):
        yield step.name, step.value


def _name(requirement: str) -> str:
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:
        return requirement
