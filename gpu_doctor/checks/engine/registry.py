"""Find the rules: the modules of this package, then those of the entry-point group `gpu_doctor.checks`."""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType

import gpu_doctor.checks
from gpu_doctor.checks.engine.contract import require_rule
from gpu_doctor.checks.engine.plugins import GROUP, plugins
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
    return _unique(sorted(own, key=lambda loaded: loaded.rule.id) + _foreign())


def described(error: BaseException) -> str:
    """Return an error's kind and words on one line, even of one whose `__str__` fails."""
    return " ".join(traceback.format_exception_only(type(error), error)[-1].split())


def _foreign() -> list[LoadedRule]:
    try:
        found = plugins()
    except Exception as error:  # some installed package's list of entry points is damaged
        return [_broken("plug-ins", GROUP, described(error))]
    return [_load(name, module) for name, module in found]


def _modules() -> Iterable[pkgutil.ModuleInfo]:
    return (info for info in pkgutil.iter_modules(gpu_doctor.checks.__path__) if not info.ispkg)


def _load(name: str, module_name: str) -> LoadedRule:
    try:
        return _from_module(importlib.import_module(module_name), module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plug-in may fail in any way, sys.exit() included, and each way must be seen
        return _broken(name.replace("_", "-"), module_name, described(error))


def _from_module(module: ModuleType, origin: str) -> LoadedRule:
    rule, check = require_rule(getattr(module, "RULE", None), origin), getattr(module, "check", None)
    if not callable(check):
        raise TypeError(f"{origin} must define RULE (a Rule) and check(inventory, facts)")
    return LoadedRule(rule, str(module.__doc__ or "").strip(), check, origin)


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
