"""The path, once, in order: target → inventory → findings → report."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gpu_doctor import __version__, collect
from gpu_doctor.checks.engine.registry import LoadedRule, load_rules
from gpu_doctor.checks.engine.run import run_rules
from gpu_doctor.errors import UsageError
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.library import Library, Resolution
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown

Progress = Callable[[str], None]


def quiet(_stage: str) -> None:
    """Say nothing about progress."""


def choose(
    python: str | None,
    prefix: str | None,
    environ: Mapping[str, str],
    cwd: str,
    gpus: Sequence[str],
    driver: str | None,
) -> Target:
    """Choose the environment to look at; raise TargetNotFound where there is none."""
    return collect.choose(python, prefix, environ, cwd, gpus, driver)


def assumed_gpus(words: Sequence[str]) -> tuple[Gpu, ...]:
    """Return the GPUs that these words name; raise UnknownHardware for others."""
    _, gpus = collect.assumed_hardware(Target(None, None, "--gpu", tuple(words)), Facts.load())
    return () if isinstance(gpus, Unknown) else gpus


def examine(
    target: Target,
    environ: Mapping[str, str],
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    progress: Progress = quiet,
) -> Report:
    """Look at the target and judge what was seen."""
    rules = _chosen(select, ignore)
    facts = Facts.load()
    inventory = collect.take_inventory(target, environ, facts, progress)
    progress("judging")
    return _report([inventory], rules, facts)


def judge(inventories: Sequence[Inventory], *, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Report:
    """Judge inventories that were taken before, perhaps elsewhere."""
    return _report(inventories, _chosen(select, ignore), Facts.load())


def take_inventory(target: Target, environ: Mapping[str, str], progress: Progress = quiet) -> Inventory:
    """Look at the target without judging it."""
    return collect.take_inventory(target, environ, Facts.load(), progress)


def take_libraries(
    target: Target, environ: Mapping[str, str], progress: Progress = quiet
) -> tuple[tuple[Library, ...], tuple[Gpu, ...]]:
    """Read the target's libraries that carry GPU code, and the GPUs to judge them for."""
    return collect.take_archs(target, environ, Facts.load(), progress)


def read_archs(files: Sequence[str]) -> tuple[Library, ...]:
    """Read the GPU code of the named files."""
    return collect.read_archs(files)


def locate(library: str, after: Sequence[str], target: Target, environ: Mapping[str, str]) -> tuple[Resolution, ...]:
    """Answer which file serves a library, by which rule, after these imports."""
    return collect.locate(library, after, target, environ)


def assume(inventory: Inventory, gpus: Sequence[str], driver: str | None) -> Inventory:
    """Return the same inventory, to be judged for other hardware."""
    target = replace(
        inventory.target, gpus=tuple(gpus) or inventory.target.gpus, driver=driver or inventory.target.driver
    )
    known_driver, known_gpus = collect.assumed_hardware(target, Facts.load())
    return replace(inventory, target=target, driver=known_driver, gpus=known_gpus)


def all_rules() -> tuple[LoadedRule, ...]:
    """Return every rule, those that could not be loaded included."""
    return load_rules()


def explain(rule_id: str) -> LoadedRule:
    """Return one rule; raise UsageError where there is none of this name."""
    rules = {item.rule.id: item for item in load_rules()}
    _require({rule_id}, rules)
    return rules[rule_id]


def _chosen(select: Sequence[str], ignore: Sequence[str]) -> tuple[LoadedRule, ...]:
    rules = {item.rule.id: item for item in load_rules()}
    _require({*select, *ignore}, rules)
    return tuple(item for name, item in rules.items() if (not select or name in select) and name not in ignore)


def _require(names: set[str], rules: Mapping[str, LoadedRule]) -> None:
    for name in sorted(names - set(rules)):
        close = difflib.get_close_matches(name, rules, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else "`gpu-doctor rules` lists them."
        raise UsageError(f"there is no rule {name!r}", hint)


def _report(inventories: Sequence[Inventory], rules: tuple[LoadedRule, ...], facts: Facts) -> Report:
    judged = tuple(item.rule for item in rules)
    cases = tuple(Case(item, run_rules(rules, item, facts), judged) for item in inventories)
    return Report(cases, __version__, facts.date)
