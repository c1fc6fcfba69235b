"""What drifted from a lock, as text and as JSON (`gpu-doctor/drift/1`): from what to what, and what did it."""

from __future__ import annotations

import json
from dataclasses import asdict

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.lock import Drift, Drifted
from gpu_doctor.model.remedy import command
from gpu_doctor.report.heading import counted, write_heading
from gpu_doctor.report.paper import Look, Paper

SCHEMA = "gpu-doctor/drift/1"
_NAME = 24


def render(drifted: Drifted, inventory: Inventory, path: str, look: Look) -> str:
    """Return the report: the verdict, a sentence for each drift, and the commands that restore."""
    paper = Paper(look)
    write_heading(paper, inventory)
    paper.blank()
    _write_verdict(paper, drifted, path)
    groups: dict[str, list[Drift]] = {}
    for drift in drifted.drifts:
        groups.setdefault(drift.by or drift.subject, []).append(drift)
    for group in groups.values():
        paper.blank()
        _write_group(paper, group)
    lines = [line for line in map(command, drifted.steps) if line]
    if lines:
        paper.blank()
        paper.prose(("To restore what was locked:", "bold"))
        for line in lines:
            paper.command(line)
    if drifted.open and drifted.drifts:
        paper.blank()
        for reason in drifted.open:
            paper.prose((f"cannot be told: {reason}", "yellow"))
    for note in drifted.notes:
        paper.prose((note, "dim"))
    return paper.text()


def render_json(drifted: Drifted, inventory: Inventory, path: str) -> str:
    """Return the same as a JSON document, ASCII only."""
    document = {
        "schema": SCHEMA,
        "lock": path,
        "prefix": inventory.interpreter.prefix,
        "drifted": bool(drifted.drifts),
        "drifts": [asdict(drift) for drift in drifted.drifts],
        "restore": [line for line in map(command, drifted.steps) if line],
        "cannot_tell": list(drifted.open),
        "notes": list(drifted.notes),
    }
    return json.dumps(document, indent=2) + "\n"


def _write_verdict(paper: Paper, drifted: Drifted, path: str) -> None:
    if drifted.drifts:
        words = f"{counted(len(drifted.drifts), 'part')} of the GPU stack {_are(drifted)} not as locked in {path}."
        paper.prose(words, columns=[("DRIFTED", 0, "bold red")])
    elif drifted.open:
        words = f"Whether the GPU stack is as locked in {path} cannot be told: {'; '.join(drifted.open)}."
        paper.prose(words, columns=[("UNDETERMINED", 0, "bold yellow")])
    else:
        words = f"{counted(len(drifted.lock.packages), 'package')} of the GPU stack {_stand(drifted)} locked in {path}."
        paper.prose(words, columns=[("AS LOCKED", 0, "bold green")])


def _are(drifted: Drifted) -> str:
    return "are" if len(drifted.drifts) > 1 else "is"


def _stand(drifted: Drifted) -> str:
    return "are as" if len(drifted.lock.packages) > 1 else "is as"


def _write_group(paper: Paper, group: list[Drift]) -> None:
    """Write what one cause did: one drift as one sentence, several below their cause."""
    if len(group) == 1:
        _write_drift(paper, group[0], by=f", {group[0].by}" if group[0].by else "")
        return
    cause = group[0].by
    paper.prose((f"{cause[:1].upper()}{cause[1:]}:", "bold"))
    for drift in group:
        _write_drift(paper, drift, indent=2)


def _write_drift(paper: Paper, drift: Drift, *, by: str = "", indent: int = 0) -> None:
    """Write from what to what, what that means, and what did it."""
    values = f"{drift.locked or '-'} -> {drift.now or '-'}" if drift.locked != drift.now else drift.now
    paper.prose(values, f": {drift.what}{by}.", columns=[(drift.subject, 0, "bold")], indent=indent)
