"""Run rules on one inventory; a crash in one rule is that rule's result."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from itertools import islice

from gpu_doctor.checks.engine.causes import relate
from gpu_doctor.checks.engine.contract import MOST_FINDINGS, require_finding
from gpu_doctor.checks.engine.registry import LoadedRule, described
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
        for item in islice(loaded.check(inventory, facts), MOST_FINDINGS + 1):
            if isinstance(item, Unknown):
                unknown.append(str(item.reason))
            else:
                findings.append(require_finding(item, loaded.rule))
        if len(findings) + len(unknown) > MOST_FINDINGS:
            raise OverflowError(f"more than {MOST_FINDINGS} findings")
    except CannotKnow as reason:
        # What could not be determined before may be just what the rule would have judged.
        applies = bool(unknown) or not isinstance(reason, DoesNotApply)
        unknown.append(str(reason))
        return _ended(loaded, findings, unknown, gave_up=True, applies=applies)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plug-in may even call sys.exit(); it ends its own rule alone
        return CheckRun(loaded.rule.id, "crashed", _how(error), tuple(findings[:MOST_FINDINGS]))
    return _ended(loaded, findings, unknown, gave_up=False)


def _ended(
    loaded: LoadedRule, findings: list[Finding], unknown: list[str], *, gave_up: bool, applies: bool = True
) -> CheckRun:
    note = "; ".join(dict.fromkeys(unknown))
    if findings:
        return CheckRun(loaded.rule.id, "failed", note, tuple(findings))
    return CheckRun(loaded.rule.id, "skipped" if gave_up else "passed", note, applies=applies)


def _how(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return f"{described(error)}{place}"
