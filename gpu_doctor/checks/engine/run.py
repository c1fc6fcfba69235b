"""Run rules on one inventory; a crash in one rule is that rule's result."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from gpu_doctor.checks.engine.causes import relate
from gpu_doctor.checks.engine.registry import LoadedRule
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import CheckRun, Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown


def run_rules(rules: Iterable[LoadedRule], inventory: Inventory, facts: Facts) -> tuple[CheckRun, ...]:
    """Run each rule, then put consequences under their causes."""
    loaded = tuple(rules)
    return relate(tuple(run_rule(item, inventory, facts) for item in loaded), tuple(item.rule for item in loaded))


def run_rule(loaded: LoadedRule, inventory: Inventory, facts: Facts) -> CheckRun:
    """Run one rule; what it found before it gave up or crashed is kept."""
    findings: list[Finding] = []
    unknown: list[str] = []
    if loaded.broken:
        return CheckRun(loaded.rule.id, "crashed", loaded.broken)
    try:
        for item in loaded.check(inventory, facts):
            if isinstance(item, Unknown):
                unknown.append(item.reason)
            else:
                findings.append(item)
    except CannotKnow as reason:
        # What could not be determined before may be just what the rule would have judged.
        applies = bool(unknown) or not isinstance(reason, DoesNotApply)
        unknown.append(str(reason))
        return _ended(loaded, findings, unknown, gave_up=True, applies=applies)
    except Exception as error:  # the doctor's own fault, reported as this rule's result
        return CheckRun(loaded.rule.id, "crashed", _how(error), tuple(findings))
    return _ended(loaded, findings, unknown, gave_up=False)


def _ended(
    loaded: LoadedRule, findings: list[Finding], unknown: list[str], *, gave_up: bool, applies: bool = True
) -> CheckRun:
    note = "; ".join(dict.fromkeys(unknown))
    if findings:
        return CheckRun(loaded.rule.id, "failed", note, tuple(findings))
    return CheckRun(loaded.rule.id, "skipped" if gave_up else "passed", note, applies=applies)


def _how(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
