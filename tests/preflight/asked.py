"""Judge one requirement of an invented environment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.case import Case
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.requirement import Judged
from gpu_doctor.preflight.judge import judge
from gpu_doctor.preflight.language import parse
from gpu_doctor.preflight.seen import Seen
from tests.checks.judge import judge_all

FACTS = Facts.load()


def ask(text: str, inventory: Inventory, **changes: Any) -> Judged:
    """Judge a requirement with the real rules."""
    requirement = parse(text, "--require", FACTS)
    kernels = {}
    if requirement.name == "kernels":
        fact = FACTS.find_gpu(requirement.subject)
        gpu = Gpu(fact.name, fact.capability, fact.memory_bytes, "--gpu", assumed=True)
        kernels[requirement.subject] = _kernels(replace(inventory, gpus=(gpu,)))
    return judge(requirement, Seen(judge_all(inventory), kernels, **changes))


def standing(text: str, inventory: Inventory, **changes: Any) -> str:
    """Return where a requirement stands."""
    return ask(text, inventory, **changes).standing


def _kernels(inventory: Inventory) -> Case:
    whole = judge_all(inventory)
    return replace(whole, runs=tuple(run for run in whole.runs if run.rule == "kernel-image-missing"))
