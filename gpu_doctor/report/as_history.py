"""The repairs that an environment remembers, as text and as JSON (`gpu-doctor/history/1`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gpu_doctor.model.past import PastRepair, PastTreatment
from gpu_doctor.report.paper import Look, Paper

SCHEMA = "gpu-doctor/history/1"

_ENDINGS = {"kept": "green", "undone": "dim", "rolled back": "dim", "cut off": "bold red"}


def render(repairs: Sequence[PastRepair], prefix: str, look: Look) -> str:
    """Return the repairs, the latest first, a paragraph each."""
    paper = Paper(look)
    if not repairs:
        paper.prose(f"No repair of {prefix} is known.")
    for number, repair in enumerate(repairs):
        if number:
            paper.blank()
        ending = how(repair)
        paper.prose((repair.id, "bold"), " · ", (ending, _ENDINGS[ending]), f" · {repair.at} · {repair.asked}")
        for treatment in repair.treatments:
            paper.prose(f"{treatment.rule} · {treatment.subject}: {_became(treatment)}", indent=2)
        if repair.ending is None:
            paper.prose(("`gpu-doctor undo` takes it back whole", "yellow"), indent=2)
    return paper.text()


def render_json(repairs: Sequence[PastRepair]) -> str:
    """Return the repairs as a JSON document, ASCII only."""
    return json.dumps({"schema": SCHEMA, "repairs": [_shape(repair) for repair in repairs]}, indent=2) + "\n"


def how(repair: PastRepair) -> str:
    """Return how a repair ended, in two words at most."""
    return repair.ending or "cut off"


def _became(treatment: PastTreatment) -> str:
    if treatment.kept:
        return treatment.summary
    return "cut off" if treatment.kept is None else f"not kept: {treatment.why}"


def _shape(repair: PastRepair) -> dict[str, Any]:
    return {
        "id": repair.id,
        "at": repair.at,
        "asked": repair.asked,
        "doctor": repair.doctor,
        "journal": repair.journal,
        "ending": how(repair),
        "treatments": [
            {
                "rule": treatment.rule,
                "subject": treatment.subject,
                "message": treatment.message,
                "summary": treatment.summary,
                "kept": treatment.kept,
                "why": treatment.why,
            }
            for treatment in repair.treatments
        ],
    }
