"""What `fix` planned and did, as JSON, `gpu-doctor/fix/1`; its schema is docs/schema/fix-1.json."""

from __future__ import annotations

import json
from typing import Any

from gpu_doctor.model.finding import Finding
from gpu_doctor.model.plan import HeldBack, Treatment
from gpu_doctor.model.repair import Healing, Outcome
from gpu_doctor.report.as_json import shape_finding, shape_remedy, shape_step

SCHEMA = "gpu-doctor/fix/1"


def render(healing: Healing, doctor: str, status: str) -> str:
    """Return the run of `fix` as an indented JSON document, ASCII only; `status` is its end in one word."""
    return json.dumps(shape(healing, doctor, status), indent=2) + "\n"


def shape(healing: Healing, doctor: str, status: str) -> dict[str, Any]:
    """Return the run of `fix` as JSON-compatible values."""
    python = healing.before.inventory.interpreter
    return {
        "schema": SCHEMA,
        "doctor": doctor,
        "prefix": python.prefix,
        "python": python.executable,
        "status": status,
        "repair": healing.id,
        "plan": {
            "treatments": [_treatment(item) for item in healing.plan.treatments],
            "held_back": [_held_back(item) for item in healing.plan.held_back],
        },
        "outcomes": [_outcome(item) for item in healing.outcomes],
        "remaining": [shape_finding(finding) for finding in healing.remaining],
    }


def _treatment(item: Treatment) -> dict[str, Any]:
    return {
        "finding": _named(item.finding),
        "remedy": shape_remedy(item.remedy),
        "steps": [shape_step(step) for step in item.steps],
        "instead": None if item.instead is None else shape_remedy(item.instead),
    }


def _held_back(item: HeldBack) -> dict[str, Any]:
    remedy = None if item.remedy is None else shape_remedy(item.remedy)
    return {"finding": _named(item.finding), "why": item.why, "remedy": remedy}


def _outcome(item: Outcome) -> dict[str, Any]:
    return {"finding": _named(item.treatment.finding), "healed": item.healed, "why": item.why}


def _named(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "subject": finding.subject,
        "message": finding.message,
        "fingerprint": finding.fingerprint,
    }
