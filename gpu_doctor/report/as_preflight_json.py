"""The preflight as JSON, `gpu-doctor/preflight/1`; its schema is docs/schema/preflight-1.json."""

from __future__ import annotations

import json
from typing import Any

from gpu_doctor.model.case import Report
from gpu_doctor.model.requirement import STANDINGS, Judged
from gpu_doctor.report import as_json

SCHEMA = "gpu-doctor/preflight/1"


def render(report: Report) -> str:
    """Return the preflight as an indented JSON document, ASCII only so that no terminal can be steered by it."""
    return json.dumps(shape(report), indent=2) + "\n"


def shape(report: Report) -> dict[str, Any]:
    """Return the preflight as JSON-compatible values; cases and doctor are those of `gpu-doctor/report/1`."""
    whole = as_json.shape(report)
    found = {judged.standing for judged in report.requirements}
    return {
        "schema": SCHEMA,
        "doctor": whole["doctor"],
        "standing": next((standing for standing in STANDINGS if standing in found), "undetermined"),
        "requirements": [_judged(judged) for judged in report.requirements],
        "ignored": whole["ignored"],
        "cases": whole["cases"],
    }


def _judged(judged: Judged) -> dict[str, Any]:
    requirement = judged.requirement
    return {
        "text": requirement.text,
        "name": requirement.name,
        "subject": requirement.subject,
        "operator": requirement.operator,
        "bound": requirement.bound,
        "where": requirement.where,
        "standing": judged.standing,
        "message": judged.message,
        "evidence": [{"what": e.what, "value": e.value, "where": e.where, "again": e.again} for e in judged.evidence],
        "causes": [as_json.shape_finding(finding) for finding in judged.causes],
        "seconds": judged.seconds,
    }
