"""The face of `fix`: the plan as a diff before anything happens, and afterwards what became of it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.plan import HeldBack, Plan, Treatment
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.remedy import (
    ClearExecutableStack,
    EditPins,
    ListInRecord,
    MakeLink,
    RemoveFile,
    RestoreFile,
    Step,
    command,
)
from gpu_doctor.model.repair import Healing, Outcome
from gpu_doctor.model.spoken import question
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.heading import counted, write_heading
from gpu_doctor.report.paper import Look, Paper

SAFETY = {"safe": "safe: changes no package", "ask": "changes packages", "manual": "by hand"}

_STYLES = {"+": "green", "-": "red", "~": "yellow", "$": "cyan"}
_PROOFS = 3


def render_plan(case: Case, plan: Plan, look: Look) -> str:
    """Return what would be done, illness by illness, and what is left to a person."""
    paper = Paper(look)
    write_heading(paper, case.inventory)
    paper.blank()
    steps = sum(len(treatment.steps) for treatment in plan.treatments)
    illnesses = counted(len(plan.treatments), "repair")
    words = (
        f"{illnesses}, {counted(steps, 'step')}; nothing is changed yet." if steps else "there is nothing to do here."
    )
    paper.prose(words, columns=[("PLAN", 0, "bold cyan")])
    for treatment in plan.treatments:
        paper.blank()
        _write_treatment(paper, treatment, case.inventory.interpreter.prefix)
    _write_held_back(paper, plan.held_back)
    return paper.text()


def render_outcome(healing: Healing, look: Look, undo: str) -> str:
    """Return what became of the plan; `undo` is the command line that takes it back."""
    paper = Paper(look)
    for outcome in healing.outcomes:
        _write_outcome(paper, outcome, healing.after)
    if healing.id:
        paper.blank()
        paper.prose((f"repair {healing.id}; `{undo}` takes it back", "dim"))
    _write_remaining(paper, healing)
    _write_others(paper, healing)
    return paper.text()


def render_nothing(healing: Healing, look: Look) -> str:
    """Return that there is nothing to do, and what is left to a person, if anything."""
    paper = Paper(look)
    write_heading(paper, healing.before.inventory)
    if not healing.remaining:
        paper.prose("there is nothing to repair.", columns=[("NOTHING TO DO", 0, "bold green")])
    _write_held_back(paper, healing.plan.held_back)
    _write_others(paper, healing)
    return paper.text()


def _write_treatment(paper: Paper, treatment: Treatment, prefix: str) -> None:
    finding, remedy = treatment.finding, treatment.remedy
    paper.prose((finding.message, "bold"))
    paper.prose((f"{finding.rule} · {finding.subject}", "dim"), indent=2)
    paper.blank()
    paper.prose(remedy.summary.rstrip("."), (f" ({SAFETY[remedy.safety]})", "dim"), indent=2)
    if remedy.price:
        paper.prose((f"Price: {remedy.price.rstrip('.')}.", "dim"), indent=2)
    _write_diff(paper, treatment.steps, prefix)
    _write_other(paper, treatment)


def _write_diff(paper: Paper, steps: Iterable[Step], prefix: str) -> None:
    """Write the steps as a diff, each folder named once above what changes in it."""
    above = ""
    for step in steps:
        folder, mark, words = _shown(step)
        if folder and folder != above:
            paper.verbatim(_below(folder, prefix), "dim", indent=4)
        above = folder
        if mark == "$":
            paper.command(f"{mark} {words}", indent=4)
        else:
            paper.verbatim(f"{mark} {words}", _STYLES[mark], indent=6)


def _write_other(paper: Paper, treatment: Treatment) -> None:
    other = treatment.instead
    if other is not None:
        way = "minimal" if treatment.remedy == treatment.finding.durable else "durable"
        price = f" Price: {other.price.rstrip('.')}." if other.price else ""
        words = f"--prefer {way}: {other.summary.rstrip('.')} ({SAFETY[other.safety]}).{price}"
        paper.prose((words, "dim"), indent=2)


def _shown(step: Step) -> tuple[str, str, str]:
    """Return the folder in which a step changes something, its mark in a diff, and words."""
    if isinstance(step, MakeLink):
        folder, name = posixpath.split(step.path)
        place, target = posixpath.split(step.points_to)
        return folder, "+", f"{name} -> {f'{place}/' if target == name else step.points_to}"
    if isinstance(step, RemoveFile):
        folder, name = posixpath.split(step.path)
        return folder, "-", f"{name} ({step.why})"
    if isinstance(step, RestoreFile):
        folder, name = posixpath.split(step.path)
        return folder, "~", f"{name}: {posixpath.basename(step.saved)} comes back under its old name"
    if isinstance(step, ListInRecord):
        folder, name = posixpath.split(step.record)
        parts = [
            f"{counted(len(step.add), 'path')} listed" if step.add else "",
            f"{len(step.drop)} taken out" if step.drop else "",
        ]
        return folder, "~", f"{name}: {', '.join(filter(None, parts))}"
    if isinstance(step, ClearExecutableStack):
        folder, name = posixpath.split(step.path)
        return folder, "~", f"{name}: no executable stack"
    if isinstance(step, EditPins):
        folder, name = posixpath.split(step.path)
        return folder, "~", f"{name}: {', '.join(step.requirements)}"
    return "", "$", command(step)


def _below(path: str, prefix: str) -> str:
    return path.removeprefix(prefix.rstrip("/") + "/")


def _write_held_back(paper: Paper, held_back: Iterable[HeldBack]) -> None:
    for held in held_back:
        paper.blank()
        paper.prose((held.finding.message, "bold"), columns=[("LEFT", 0, "bold yellow")])
        paper.prose((f"{held.finding.rule} · {held.finding.subject}", "dim"), indent=2)
        paper.prose(f"{held.why}.", indent=2)
        if held.remedy is not None:
            paper.prose(held.remedy.summary.rstrip("."), (f" ({SAFETY[held.remedy.safety]})", "dim"), indent=2)
            for step in held.remedy.steps:
                if command(step):
                    paper.command(command(step), indent=4)


def _write_others(paper: Paper, healing: Healing) -> None:
    """Write which other illnesses are here, so that nobody takes one healed illness for health."""
    told = {finding.fingerprint for finding in healing.remaining}
    told |= {held.finding.fingerprint for held in healing.plan.held_back}
    others = [f for f in healing.after.findings if f.severity == "error" and f.fingerprint not in told]
    if others:
        paper.blank()
        names = ", ".join(dict.fromkeys(finding.rule for finding in others))
        paper.prose((f"also ill here: {names} (`gpu-doctor check`)", "yellow"))


def _write_outcome(paper: Paper, outcome: Outcome, after: Case) -> None:
    finding = outcome.treatment.finding
    name = f"{finding.rule} · {finding.subject}"
    if not outcome.healed:
        paper.prose((name, "bold"), columns=[("NOT HEALED", 0, "bold red")])
        paper.prose(f"{outcome.why.rstrip('.')}. Nothing of this repair is left.", indent=2)
        for step in outcome.treatment.steps:
            if command(step):
                paper.command(command(step), indent=4)
        return
    paper.prose((name, "bold"), columns=[("HEALED", 0, "bold green")])
    proofs = _proofs(finding, after)
    for words in proofs[:_PROOFS]:
        paper.prose((f"proof: {words}", "dim"), indent=2)
    if not proofs:
        paper.prose(("proof: the rule ran again and finds nothing", "dim"), indent=2)


def _proofs(finding: Finding, after: Case) -> list[str]:
    """Return what was asked live about the same subject, and answered well this time."""
    rule = next((rule for rule in after.rules if rule.id == finding.rule), None)
    probes = () if isinstance(after.inventory.probes, Unknown) else after.inventory.probes
    about = {finding.subject, *finding.seats, *(seat.removeprefix("import ") for seat in finding.seats)}
    return [
        _answer(p) for p in probes if rule and p.kind in rule.probes and p.subject in about and p.ending == "answered"
    ]


def _answer(probe: Probe) -> str:
    measured = ", ".join(
        f"{m.name} {m.value}" for t in probe.trials for m in t.measured if m.name in ("version", "code")
    )
    passed = sum(trial.outcome == "passed" for trial in probe.trials)
    how = f"{passed} of {counted(len(probe.trials), 'experiment')} passed" if probe.trials else "answered"
    return f"{question(probe)}: {measured or how}"


def _write_remaining(paper: Paper, healing: Healing) -> None:
    tried = {outcome.treatment.finding.fingerprint for outcome in healing.outcomes}
    left = {finding.fingerprint for finding in healing.remaining} - tried
    plan = [held for held in healing.plan.held_back if held.finding.fingerprint in left]
    told = {held.finding.fingerprint for held in plan}
    _write_held_back(paper, plan)
    for finding in healing.remaining:
        if finding.fingerprint in left - told:
            paper.blank()
            paper.prose((finding.message, "bold"), columns=[("REMAINS", 0, "bold yellow")])
            paper.prose((f"{finding.rule} · {finding.subject}", "dim"), indent=2)
