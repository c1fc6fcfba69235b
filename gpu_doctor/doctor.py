"""The path, once, in order: target → inventory → findings → report."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpu_doctor import __version__
from gpu_doctor.errors import DoctorError, UsageError
from gpu_doctor.model.target import Target

# Each command pays at its start only for the rooms that it enters, so the rooms are imported where they are entered.
if TYPE_CHECKING:
    from gpu_doctor.checks.engine.registry import LoadedRule
    from gpu_doctor.collect.hardware import Hardware
    from gpu_doctor.facts.tables import Facts
    from gpu_doctor.model.advice import Advice, Engine
    from gpu_doctor.model.case import Case, Report
    from gpu_doctor.model.hardware import Gpu
    from gpu_doctor.model.inventory import Inventory
    from gpu_doctor.model.libraries import Library, Resolution
    from gpu_doctor.model.probes import Kind
    from gpu_doctor.model.remedy import SetVariable
    from gpu_doctor.pins.pinset import PinSet

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asking:
    """Say whether and how to ask the live interpreter.

    `static` asks nothing. `deadline` is for each question, in seconds (None: what suits each). `thorough` makes the
    experiments that otherwise follow only on a failure.
    """

    static: bool = False
    deadline: float | None = None
    thorough: bool = False


def quiet(_stage: str) -> None:
    """Say nothing about progress."""


def choose(
    python: str | None,
    prefix: str | None,
    environ: Mapping[str, str],
    cwd: str,
    gpus: Sequence[str] = (),
    driver: str | None = None,
) -> Target:
    """Choose the environment to look at; raise TargetNotFound where there is none."""
    from gpu_doctor.collect.target import choose_target

    return choose_target(python, prefix, environ, cwd, tuple(gpus), driver)


def examine(
    target: Target,
    environ: Mapping[str, str],
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    asking: Asking = Asking(),
    progress: Progress = quiet,
) -> Report:
    """Look at the target and judge what was seen; only what the chosen rules need is asked."""
    from gpu_doctor.facts.tables import Facts

    rules = _chosen(select, ignore)
    facts = Facts.load()
    kinds = frozenset(kind for item in rules for kind in item.rule.probes)
    inventory = _inventory(target, environ, facts, asking, kinds, progress)
    progress("judging")
    return _with_repairs(_report([inventory], rules, facts))


def judge(inventories: Sequence[Inventory], *, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Report:
    """Judge inventories that were taken before, perhaps elsewhere."""
    from gpu_doctor.facts.tables import Facts

    return _report(inventories, _chosen(select, ignore), Facts.load())


def take_inventory(
    target: Target, environ: Mapping[str, str], asking: Asking = Asking(), progress: Progress = quiet
) -> Inventory:
    """Look at the target without judging it."""
    from gpu_doctor.facts.tables import Facts
    from gpu_doctor.model.probes import KINDS

    return _inventory(target, environ, Facts.load(), asking, frozenset(KINDS), progress)


def take_pins(
    target: Target, environ: Mapping[str, str], names: Sequence[str], complete: bool, progress: Progress = quiet
) -> PinSet:
    """Choose versions that go together for this target: of what is installed, of `names`, or of the whole stack."""
    from gpu_doctor.facts.tables import Facts
    from gpu_doctor.pins.choose import choose_pins

    facts = Facts.load()
    inventory = _inventory(target, environ, facts, Asking(static=True), frozenset(), progress)
    return choose_pins(inventory, facts, names, complete)


def variables(target: Target, environ: Mapping[str, str]) -> tuple[SetVariable, ...]:
    """Return the variables with which the target works as its files lie there; nothing of it is run.

    What kept repairs set at activation is among them where this process lacks it.
    """
    from gpu_doctor.collect.target import place_of
    from gpu_doctor.fix.scripts import activated
    from gpu_doctor.fix.variables import needed, together

    begun = activated(place_of(target, environ)[0], environ)
    (case,) = examine(target, begun, asking=Asking(static=True)).cases
    return together(environ, begun, needed(case, begun))


def take_libraries(
    target: Target, environ: Mapping[str, str], progress: Progress = quiet
) -> tuple[tuple[Library, ...], tuple[Gpu, ...]]:
    """Read the target's libraries that carry GPU code, and find the GPUs to judge them for."""
    from gpu_doctor.collect.archs import archs_of_target

    progress("reading GPU code")
    return archs_of_target(target, environ)


def read_archs(files: Sequence[str]) -> tuple[Library, ...]:
    """Read the GPU code of the named files."""
    from gpu_doctor.collect.archs import archs_of_files

    return archs_of_files(files)


def assumed_gpus(words: Sequence[str]) -> tuple[Gpu, ...]:
    """Return the GPUs that these words name; raise UnknownHardware for others."""
    if not words:
        return ()
    _, gpus = _assumed(Target(None, None, "--gpu", tuple(words)))
    return gpus if isinstance(gpus, tuple) else ()


def locate(library: str, after: Sequence[str], target: Target, environ: Mapping[str, str]) -> tuple[Resolution, ...]:
    """Answer which file serves a library, by which rule, after these imports."""
    from gpu_doctor.collect.loader import locate as ask_loader

    return ask_loader(library, after, target, environ)


def assume(inventory: Inventory, gpus: Sequence[str], driver: str | None) -> Inventory:
    """Return the same inventory, to be judged for the hardware that is named; unchanged where none is."""
    if not gpus and not driver:
        return inventory
    target = replace(
        inventory.target, gpus=tuple(gpus) or inventory.target.gpus, driver=driver or inventory.target.driver
    )
    known_driver, known_gpus = _assumed(target)
    return replace(inventory, target=target, driver=known_driver, gpus=known_gpus)


def all_rules() -> tuple[LoadedRule, ...]:
    """Return every rule, those that could not be loaded included."""
    from gpu_doctor.checks.engine.registry import load_rules

    return load_rules()


def explain(rule_id: str) -> LoadedRule:
    """Return one rule; raise UsageError where there is none of this name."""
    rules = {item.rule.id: item for item in all_rules()}
    _require({rule_id}, rules)
    return rules[rule_id]


def _chosen(select: Sequence[str], ignore: Sequence[str]) -> tuple[LoadedRule, ...]:
    rules = {item.rule.id: item for item in all_rules()}
    _require({*select, *ignore}, rules)
    left = tuple(item for name, item in rules.items() if (not select or name in select) and name not in ignore)
    if not left:
        raise UsageError("--select and --ignore leave no rule to run", "`gpu-doctor rules` lists them.")
    return left


def require_rules(names: set[str], extra: Sequence[str] = ()) -> None:
    """Raise UsageError for a name that no rule has; `extra` names are close to what was meant, perhaps."""
    if names:
        _require(names, {item.rule.id: item for item in all_rules()}, extra)


def _require(names: set[str], rules: Mapping[str, LoadedRule], extra: Sequence[str] = ()) -> None:
    for name in sorted(names - set(rules)):
        close = difflib.get_close_matches(name, [*extra, *rules], n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else "`gpu-doctor rules` lists them."
        raise UsageError(f"there is no rule {name!r}", hint)


def _with_repairs(report: Report) -> Report:
    """Return the report of an environment of this machine with the repairs that it remembers."""
    from gpu_doctor.fix.journal import journals, past

    (case,) = report.cases
    repairs = tuple(past(one) for one in journals(case.inventory.interpreter.prefix))
    return replace(report, cases=(replace(case, repairs=repairs),)) if repairs else report


def _inventory(
    target: Target,
    environ: Mapping[str, str],
    facts: Facts,
    asking: Asking,
    kinds: frozenset[Kind],
    progress: Progress,
) -> Inventory:
    from gpu_doctor.collect.inventory import take_inventory as take
    from gpu_doctor.collect.wish import Wish

    wish = Wish(frozenset() if asking.static else kinds, asking.deadline, asking.thorough)
    return take(target, environ, facts, progress, wish)


def _assumed(target: Target) -> Hardware:
    from gpu_doctor.collect.hardware import assumed_hardware
    from gpu_doctor.facts.tables import Facts

    return assumed_hardware(target, Facts.load())


def _report(inventories: Sequence[Inventory], rules: tuple[LoadedRule, ...], facts: Facts) -> Report:
    from gpu_doctor.checks.engine.run import run_rules
    from gpu_doctor.model.case import Case, Report

    judged = tuple(item.rule for item in rules)
    cases = tuple(Case(item, run_rules(rules, item, facts), judged) for item in inventories)
    return Report(cases, __version__, facts.date)


def advise_for(
    target: Target,
    environ: Mapping[str, str],
    model: str | None = None,
    asking: Asking = Asking(static=True),
    *,
    framework: Engine | None = None,
    progress: Progress = quiet,
) -> tuple[Case, Advice]:
    """Judge the target and advise what its programs should use; `model` is a path to estimate the memory of."""
    from gpu_doctor.advice.advise import advise
    from gpu_doctor.collect.model_files import read_model
    from gpu_doctor.facts.tables import Facts

    checkpoint = read_model(model) if model is not None else None
    (case,) = examine(target, environ, asking=asking, progress=progress).cases
    case, unread = _with_saved_benches(case)
    advice = advise(case, Facts.load(), checkpoint, framework)
    return case, replace(advice, warnings=(*advice.warnings, *unread))


def _with_saved_benches(case: Case) -> tuple[Case, tuple[str, ...]]:
    """Return the case with the benchmarks that its environment remembers, and what could not be read of them."""
    from gpu_doctor.bench.history import load

    try:
        saved = load(case.inventory.interpreter.prefix)
    except DoctorError as error:
        return case, (f"Nothing measured was used: {error.message}.",)
    return replace(case, inventory=replace(case.inventory, benches=saved or case.inventory.benches)), ()
