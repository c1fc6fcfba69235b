"""Reports in which every text is one and the same: whatever a format forgets to escape or to redact shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from packaging.version import Version

from gpu_doctor.model.bench import Bench
from gpu_doctor.model.case import BenchRun, Case, Report
from gpu_doctor.model.comparison import Comparison
from gpu_doctor.model.finding import CheckRun, Evidence, Finding, Rule, Severity
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.plan import HeldBack, Plan, Treatment
from gpu_doctor.model.remedy import Remedy, RunByHand, Step
from gpu_doctor.model.requirement import Ignored, Judged, Requirement
from gpu_doctor.model.unknown import Unknown

_PLAIN: Mapping[Any, Any] = {int: 1, float: 1.0, bool: False, Version: Version("1.2"), type(None): None}


def build(annotation: Any, words: Callable[[], str]) -> Any:
    """Return a value of this type with every collection filled and every text from `words`."""
    origin = get_origin(annotation)
    if annotation is str:
        return words()
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Literal:
        return get_args(annotation)[0]
    if origin in (Union, UnionType):
        return build(next(m for m in get_args(annotation) if m not in (Unknown, type(None))), words)
    if origin is tuple:
        members = get_args(annotation)
        if members[-1] is not Ellipsis:
            return tuple(build(member, words) for member in members)
        kinds = get_args(members[0]) if annotation == tuple[Step, ...] else (members[0],)
        return tuple(build(kind, words) for kind in kinds)
    assert is_dataclass(annotation), annotation
    hints = get_type_hints(annotation)
    return annotation(**{field.name: build(hints[field.name], words) for field in fields(annotation)})


def everything(words: Callable[[], str]) -> Report:
    """A report of cases (all is known, nothing is, a rule broke, figures), a plan, requirements, an ignored finding."""
    inventory = build(Inventory, words)
    inventory = replace(inventory, interpreter=replace(inventory.interpreter, prefix=f"/opt/{words()}"))
    rules = tuple(Rule(name, "A rule", "error", "host") for name in ("some-rule", "other-rule", "third-rule"))
    cause = finding("error", words)
    effect = replace(finding("note", words), rule="other-rule", consequence_of=cause.fingerprint)
    runs = (
        CheckRun("some-rule", "failed", words(), (cause, finding("warning", words))),
        CheckRun("other-rule", "failed", "", (effect,)),
        CheckRun("third-rule", "skipped", words()),
    )
    cases = (
        Case(inventory, runs, rules, plan=plan(cause, words)),
        Case(unknown(inventory, words), (CheckRun("third-rule", "crashed", words()),), rules),
        Case(replace(inventory, benches=benches(words)), runs[:1], rules, bench=bench_run(words)),
    )
    judged = tuple(
        Judged(Requirement(words(), words(), where=words()), standing, words(), (evidence(words),), (cause,), 1.0)
        for standing in ("unmet", "undetermined", "met")
    )
    return Report(cases, "0.1.0", "2026-11-20", judged, (Ignored(cause, words(), "2027-01-01", words()),))


def evidence(words: Callable[[], str]) -> Evidence:
    return Evidence(words(), f"{words()}\n{words()}", words(), words())


def finding(severity: Severity, words: Callable[[], str]) -> Finding:
    remedy = Remedy(words(), "ask", (*build(tuple[Step, ...], words), RunByHand(words(), words())), words())
    rows = (evidence(words), Evidence(words(), words(), f"/opt/{words()}"))
    return Finding("some-rule", severity, words(), words(), rows, remedy, (words(),), None, remedy)


def plan(cause: Finding, words: Callable[[], str]) -> Plan:
    """What would be done about a finding, and another one that is left to a person."""
    assert cause.remedy is not None
    treatment = Treatment(cause, cause.remedy, cause.remedy.steps, cause.remedy)
    other = replace(finding("error", words), rule="third-rule")
    return Plan((treatment,), (HeldBack(other, other.remedy, words()), HeldBack(other, None, words())))


def benches(words: Callable[[], str]) -> tuple[Bench, ...]:
    """One benchmark that answered, and one that died."""
    answered: Bench = build(Bench, words)
    figures = (*answered.figures, replace(answered.figures[0], reason=""))
    died = replace(answered, wish=replace(answered.wish, workload="stft"), ending="crashed")
    return replace(answered, ending="answered", figures=figures), died


def bench_run(words: Callable[[], str]) -> BenchRun:
    """A comparison in which one figure is worse and one is lost, and a workload that was left out."""
    comparison: Comparison = build(Comparison, words)
    answered, _ = benches(words)
    worse = replace(comparison.differences[0], verdict="worse")
    return BenchRun((replace(comparison, now=answered, differences=(worse,)),), (("xtts", words()),))


def unknown(inventory: Inventory, words: Callable[[], str]) -> Inventory:
    """The same environment, of which nothing could be determined."""
    hints = get_type_hints(Inventory)
    changes = {name: Unknown(words()) for name, hint in hints.items() if Unknown in get_args(hint)}
    return replace(inventory, **changes)
