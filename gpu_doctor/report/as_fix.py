"""The face of `fix`: the plan as a diff before anything happens, and afterwards what became of it."""

from __future__ import annotations

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
    Remedy,
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
        paper.prose((f"taken back by `{undo}` (repair {healing.id})", "dim"))
    _write_remaining(paper, healing)
    return paper.text()


def render_nothing(healing: Healing, look: Look) -> str:
    """Return that there is nothing to do, and what is left to a person, if anything."""
    paper = Paper(look)
    write_heading(paper, healing.before.inventory)
    if not healing.remaining:
        paper.prose("nothing to do.", columns=[("HEALTHY", 0, "bold green")])
        return paper.text()
    _write_held_back(paper, healing.plan.held_back)
    return paper.text()


def _write_treatment(paper: Paper, treatment: Treatment, prefix: str) -> None:
    finding, remedy = treatment.finding, treatment.remedy
    paper.prose((finding.message, "bold"))
    paper.prose((f"{finding.rule} · {finding.subject}", "dim"), indent=2)
    paper.blank()
    paper.prose(remedy.summary.rstrip("."), (f" ({SAFETY[remedy.safety]})", "dim"), indent=2)
    if remedy.price:
        paper.prose((f"Price: {remedy.price.rstrip('.')}.", "dim"), indent=2)
    for step in treatment.steps:
        mark, words = _shown(step, prefix)
        if mark == "$":
            paper.command(f"{mark} {words}", indent=4)
        else:
            paper.verbatim(f"{mark} {words}", _STYLES[mark], indent=4)
    if treatment.instead is not None:
        _write_other(paper, treatment.instead)


def _write_other(paper: Paper, other: Remedy) -> None:
    price = f" Price: {other.price.rstrip('.')}." if other.price else ""
    paper.prose(
        (f"{other.summary.rstrip('.')} ({SAFETY[other.safety]}).{price}", "dim"), indent=2, columns=[("Or", 0, "dim")]
    )


def _shown(step: Step, prefix: str) -> tuple[str, str]:
    """Return a step as a line of a diff: its mark, and words with paths relative to the environment."""
    if isinstance(step, MakeLink):
        return "+", f"{_below(step.path, prefix)} -> {step.points_to}"
    if isinstance(step, RemoveFile):
        return "-", f"{_below(step.path, prefix)} ({step.why})"
    if isinstance(step, RestoreFile):
        return "~", f"{_below(step.path, prefix)}: the file saved as {step.saved.rpartition('/')[2]} comes back"
    if isinstance(step, ListInRecord):
        parts = [
            f"{len(step.add)} paths listed" if step.add else "",
            f"{len(step.drop)} taken out" if step.drop else "",
        ]
        return "~", f"{_below(step.record, prefix)}: {', '.join(filter(None, parts))}"
    if isinstance(step, ClearExecutableStack):
        return "~", f"{_below(step.path, prefix)}: no executable stack"
    if isinstance(step, EditPins):
        return "~", f"{step.path}: {', '.join(step.requirements)}"
    return "$", command(step)


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
