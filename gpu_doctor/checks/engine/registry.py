"""Find the rules: the modules of this package, then those of the entry-point group `gpu_doctor.checks`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType

import gpu_doctor.checks
from gpu_doctor.checks.engine.plugins import plugins
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

Check = Callable[[Inventory, Facts], Iterable[Finding | Unknown]]


@dataclass(frozen=True, slots=True)
class LoadedRule:
    """Join a rule with its documentation and its judgement; `broken` says why it could not be loaded."""

    rule: Rule
    doc: str
    check: Check = field(repr=False)
    origin: str
    broken: str = ""


def load_rules() -> tuple[LoadedRule, ...]:
    """Return every rule by id; one that does not load is returned broken, never left out."""
    own = [_load(info.name, f"{gpu_doctor.checks.__name__}.{info.name}") for info in _modules()]
    foreign = [_load(name, module) for name, module in plugins()]
    return _unique(sorted(own, key=lambda loaded: loaded.rule.id) + foreign)


def _modules() -> Iterable[pkgutil.ModuleInfo]:
    return (info for info in pkgutil.iter_modules(gpu_doctor.checks.__path__) if not info.ispkg)


def _load(name: str, module_name: str) -> LoadedRule:
    try:
        return _from_module(importlib.import_module(module_name), module_name)
    except Exception as error:  # a plug-in may fail in any way, and each way must be seen
        return _broken(name.replace("_", "-"), module_name, f"{type(error).__name__}: {error}")


def _from_module(module: ModuleType, origin: str) -> LoadedRule:
    rule, check = getattr(module, "RULE", None), getattr(module, "check", None)
    if not isinstance(rule, Rule) or not callable(check):
        raise TypeError(f"{origin} must define RULE (a Rule) and check(inventory, facts)")
    return LoadedRule(rule, (module.__doc__ or "").strip(), check, origin)


def _broken(rule_id: str, origin: str, why: str) -> LoadedRule:
    rule = Rule(rule_id, "This rule could not be loaded", "error", "host")
    return LoadedRule(rule, "", lambda _inventory, _facts: (), origin, why)


def _unique(loaded: Iterable[LoadedRule]) -> tuple[LoadedRule, ...]:
    seen: dict[str, LoadedRule] = {}
    for item in loaded:
        if item.rule.id in seen:
            first = seen[item.rule.id].origin
            item = _broken(f"{item.rule.id}@{item.origin}", item.origin, f"its id is taken by {first}")
        seen[item.rule.id] = item
    return tuple(seen.values())
