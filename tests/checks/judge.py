"""Judge an inventory by one rule, by its id, with the real facts."""

from __future__ import annotations

import importlib

from gpu_doctor.checks.engine.registry import LoadedRule, load_rules
from gpu_doctor.checks.engine.run import run_rule, run_rules
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import CheckRun, Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import command

FACTS = Facts.load()


def judge(rule_id: str, inventory: Inventory) -> CheckRun:
    """Run one rule alone; a crash is a failed test."""
    name = f"gpu_doctor.checks.{rule_id.replace('-', '_')}"
    module = importlib.import_module(name)
    run = run_rule(LoadedRule(module.RULE, module.__doc__ or "", module.check, name), inventory, FACTS)
    assert run.status != "crashed", run.note
    return run


def judge_all(inventory: Inventory) -> Case:
    """Run every rule of the package and relate what they found."""
    rules = [item for item in load_rules() if item.origin.startswith("gpu_doctor.checks.")]
    runs = run_rules(rules, inventory, FACTS)
    assert {run.rule: run.note for run in runs if run.status == "crashed"} == {}
    return Case(inventory, runs, tuple(item.rule for item in rules))


def only(run: CheckRun) -> Finding:
    """Return the run's one finding."""
    (finding,) = run.findings
    assert run.status == "failed"
    return finding


def commands(finding: Finding) -> list[str]:
    """Return the shell lines of a finding's remedy."""
    return [command(step) for step in finding.remedy.steps] if finding.remedy else []


def evidence(finding: Finding) -> dict[str, str]:
    """Return what was seen, by what it is."""
    return {item.what: item.value for item in finding.evidence}
