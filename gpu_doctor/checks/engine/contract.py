"""Hold what a rule says and finds to the nouns' own annotations: a plug-in's slip is a crash of its own, not of all."""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gpu_doctor.model.finding import Finding, Rule

# More is a rule that does not end: rules of the house find a few, at worst one for each package of the GPU stack.
MOST_FINDINGS = 1000


def require_rule(value: object, origin: str) -> Rule:
    """Return the value as a rule; raise TypeError naming the field that is not what it should be."""
    if not isinstance(value, Rule):
        raise TypeError(f"{origin} must define RULE (a Rule) and check(inventory, facts)")
    _require(value, f"RULE of {origin}")
    return value


def require_finding(value: object, rule: Rule) -> Finding:
    """Return the value as a finding of this rule; raise TypeError naming the field that is not what it should be."""
    if not isinstance(value, Finding):
        raise TypeError(f"check yielded {type(value).__name__}, which is neither a Finding nor Unknown")
    _require(value, "its Finding")
    if value.rule != rule.id:
        raise TypeError(f"its Finding is of another rule, {value.rule!r}")
    return value


def _require(value: Any, name: str) -> None:
    noun: Any = type(value)
    for field, hint in _hints(noun).items():
        if not _fits(getattr(value, field), hint):
            raise TypeError(f"{name} has an impossible `{field}`")


def _fits(value: Any, hint: Any) -> bool:
    origin, members = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, str) and value in members
    if origin in (Union, UnionType):
        return any(_fits(value, member) for member in members)
    if origin is tuple:
        # Every tuple of these nouns has items of one kind.
        return isinstance(value, tuple) and all(_fits(item, members[0]) for item in value)
    if not isinstance(value, hint):
        return False
    return not hasattr(hint, "__dataclass_fields__") or all(
        _fits(getattr(value, name), inner) for name, inner in _hints(hint).items()
    )


@cache
def _hints(noun: Any) -> dict[str, Any]:
    return get_type_hints(noun)
