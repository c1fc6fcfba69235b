"""The report as JSON, `gpu-doctor/report/1`; its schema is docs/schema/report-1.json.

Shaped by hand: this is a promise to other programs, and it must not move when a noun grows a field.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import CheckRun, Finding
from gpu_doctor.model.hardware import Driver, Gpu
from gpu_doctor.model.inventory import Interpreter, Inventory
from gpu_doctor.model.probes import Measure, Probe, Trial
from gpu_doctor.model.remedy import Remedy, Step, command, verb
from gpu_doctor.model.requirement import Ignored
from gpu_doctor.model.unknown import Unknown

SCHEMA = "gpu-doctor/report/1"


def render(report: Report) -> str:
    """Return the report as an indented JSON document, ASCII only so that no terminal can be steered by it."""
    return json.dumps(shape(report), indent=2) + "\n"


def shape(report: Report) -> dict[str, Any]:
    """Return the report as JSON-compatible values."""
    static = not any(case.live for case in report.cases)
    return {
        "schema": SCHEMA,
        "doctor": {"version": report.doctor, "facts": report.facts, "static": static},
        "cases": [_case(case) for case in report.cases],
        "ignored": [shape_ignored(one) for one in report.ignored],
    }


def _case(case: Case) -> dict[str, Any]:
    primary = next(iter(case.findings), None)
    return {
        "target": _target(case.inventory),
        "verdict": case.verdict,
        "primary": primary.fingerprint if primary else None,
        "observations": [{"where": seen.where, "what": seen.what} for seen in case.inventory.observations],
        "repairs": [{"id": r.id, "at": r.at, "asked": r.asked, "ending": r.ending} for r in case.repairs],
        "runs": [_run(run) for run in case.runs],
        "probes": _probes(case.inventory),
    }


def _target(inventory: Inventory) -> dict[str, Any]:
    target = inventory.target
    gpus = inventory.gpus
    return {
        "python": target.python,
        "prefix": target.prefix,
        "chosen_by": target.chosen_by,
        "assumes_hardware": target.assumes_hardware,
        "interpreter": _interpreter(inventory.interpreter),
        "gpus": _unknown(gpus) if isinstance(gpus, Unknown) else [_gpu(gpu) for gpu in gpus],
        "driver": _driver(inventory.driver),
    }


def _interpreter(python: Interpreter) -> dict[str, Any]:
    return {
        "executable": python.executable,
        "prefix": python.prefix,
        "version": _unknown(python.version) if isinstance(python.version, Unknown) else str(python.version),
        "manager": python.manager,
        "externally_managed": python.externally_managed,
        "search_path": [{"path": e.path, "kind": e.kind, "where": e.where} for e in python.search_path],
        "notes": list(python.notes),
    }


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {
        "name": gpu.name,
        "sm": gpu.sm,
        "memory_bytes": gpu.memory_bytes,
        "where": gpu.where,
        "assumed": gpu.assumed,
    }


def _driver(driver: Driver | Unknown | None) -> dict[str, Any] | None:
    if driver is None:
        return None
    if isinstance(driver, Unknown):
        return _unknown(driver)
    newest = driver.driver_cuda
    return {
        "version": driver.label,
        "driver_cuda": _unknown(newest) if isinstance(newest, Unknown) else str(newest),
        "where": driver.where,
        "assumed": driver.assumed,
    }


def _probes(inventory: Inventory) -> list[dict[str, Any]] | dict[str, Any]:
    probes = inventory.probes
    return _unknown(probes) if isinstance(probes, Unknown) else [_probe(probe) for probe in probes]


def _probe(probe: Probe) -> dict[str, Any]:
    return {
        "kind": probe.kind,
        "subject": probe.subject,
        "after": list(probe.after),
        "ending": probe.ending,
        "reason": probe.reason,
        "trials": [_trial(trial) for trial in probe.trials],
        "measured": _measured(probe.measured),
        "loading": probe.loading,
        "stack": list(probe.stack),
        "log": probe.log,
        "again": probe.again,
        "seconds": probe.seconds,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "name": trial.name,
        "outcome": trial.outcome,
        "detail": trial.detail,
        "measured": _measured(trial.measured),
    }


def _measured(measures: tuple[Measure, ...]) -> list[dict[str, str]]:
    return [{"name": measure.name, "value": measure.value} for measure in measures]


def _run(run: CheckRun) -> dict[str, Any]:
    return {
        "rule": run.rule,
        "status": run.status,
        "note": run.note,
        "applies": run.applies,
        "findings": [shape_finding(finding) for finding in run.findings],
    }


def shape_finding(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON-compatible values."""
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "subject": finding.subject,
        "message": finding.message,
        "evidence": [{"what": e.what, "value": e.value, "where": e.where, "again": e.again} for e in finding.evidence],
        "remedy": None if finding.remedy is None else shape_remedy(finding.remedy),
        "durable": None if finding.durable is None else shape_remedy(finding.durable),
        "consequence_of": finding.consequence_of,
        "fingerprint": finding.fingerprint,
    }


def shape_ignored(one: Ignored) -> dict[str, Any]:
    """Return an ignored finding as JSON-compatible values, with why, until when, and where that is written."""
    return {"finding": shape_finding(one.finding), "reason": one.reason, "until": one.until, "where": one.where}


def shape_remedy(remedy: Remedy) -> dict[str, Any]:
    """Return a remedy as JSON-compatible values."""
    return {
        "summary": remedy.summary,
        "safety": remedy.safety,
        "price": remedy.price,
        "steps": [shape_step(step) for step in remedy.steps],
    }


def shape_step(step: Step) -> dict[str, Any]:
    """Return a step of a remedy as JSON-compatible values, with its verb and its shell line."""
    values = {field.name: getattr(step, field.name) for field in fields(step)}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {**plain, "do": verb(step), "command": command(step)}


def _unknown(value: Unknown) -> dict[str, Any]:
    return {"unknown": value.reason}
