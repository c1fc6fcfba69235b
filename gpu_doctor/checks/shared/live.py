"""Read what the live interpreter answered: what it proves, what it clears, and how to say so."""

from __future__ import annotations

from typing import Literal

from gpu_doctor.checks.shared.stack import gpu_stack
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Kind, Probe, Trial
from gpu_doctor.model.spoken import question
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown, known

Proof = Literal["proven", "cleared", "open"]

_UNTAKEN = ("skipped", "unrunnable")
_BAD = ("failed", "wrong", "died")
_LAST_LINES = 3
# The question's own frames say nothing about the patient.
_OURS = "/gpu_doctor/probe/scripts/"


def asked(inventory: Inventory, kind: Kind, subject: str | None = None) -> tuple[Probe, ...]:
    """Return the probes of this kind (and subject) whose question was really asked."""
    if isinstance(inventory.probes, Unknown):
        return ()
    mine = (p for p in inventory.probes if p.kind == kind and p.ending != "skipped")
    return tuple(p for p in mine if subject is None or p.subject == subject)


def answers(inventory: Inventory, *kinds: Kind) -> tuple[Probe, ...]:
    """Return the probes of these kinds whose question a child really took up; give up on the check where none did.

    Raise DoesNotApply where no question of these kinds exists, because nothing that it is about is installed.
    Raise CannotKnow, with the reason, where only files were read, every question was skipped (no GPU visible) or the
    interpreter could not be started: a rule that has nothing else to judge by must not pass then.
    """
    mine = [probe for probe in known(inventory.probes) if probe.kind in kinds]
    taken = tuple(probe for probe in mine if probe.ending not in _UNTAKEN)
    if not mine:
        gpu_stack(inventory)  # where there is none at all, that is the plainer reason
        raise DoesNotApply("nothing is installed that could be asked this")
    if not taken:
        reasons = [probe.reason for probe in mine]
        raise CannotKnow(max(reasons, key=reasons.count))
    return taken


def proof(probe: Probe) -> Proof:
    """Tell what a probe says of the illness that it asks for.

    `proven`: it ended badly or an experiment of it did. `cleared`: it answered, and no experiment that was made did.
    `open`: it was not asked, or could not be, or every experiment was skipped.
    """
    if probe.ending in _UNTAKEN:
        return "open"
    if probe.ending != "answered" or failures(probe):
        return "proven"
    return "cleared" if not probe.trials or any(trial.outcome == "passed" for trial in probe.trials) else "open"


def failures(probe: Probe) -> tuple[Trial, ...]:
    """Return the experiments of a probe that ended badly."""
    return tuple(trial for trial in probe.trials if trial.outcome in _BAD)


def testimony(probe: Probe, trial: Trial | None = None) -> tuple[Evidence, ...]:
    """Return what a probe (or one experiment of it) saw: how it ended, where it stood, and its last words."""
    how = (trial.detail or trial.outcome) if trial else (probe.reason or "answered")
    rows = [Evidence(f"asked live: {question(probe, trial)}", how.removeprefix("was "), "", probe.again)]
    if probe.ending in ("crashed", "timed out", "stuck"):
        if probe.loading:
            rows.append(Evidence("the last library that it began to load", probe.loading, ""))
        place = next((frame for frame in probe.stack if _OURS not in frame), "")
        if place:
            rows.append(Evidence("where its Python stood", place, ""))
    last = [line for line in probe.log.split("\n") if line.strip()][-_LAST_LINES:]
    if last and (trial is None or trial.outcome == "died"):
        rows.append(Evidence("its last output", "\n".join(last), ""))
    return tuple(rows)
