"""Rules whose verdict is not the same on both sides, those that newly fail first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gpu_doctor.compare.portable import portable
from gpu_doctor.model.case import Case
from gpu_doctor.model.difference import TURNINGS, Turn, Turning, Uncompared
from gpu_doctor.model.finding import SEVERITIES, STAGES, CheckRun, Rule

Write = Callable[[str], str]

_NONE = CheckRun("", "skipped", "the rule did not run", applies=False)


def turns(left: Case, right: Case) -> tuple[Turn, ...]:
    """Return how the rules turned from one case to the other, ranked by what can explain a symptom."""
    stages = {rule.id: STAGES.index(rule.stage) for rule in (*left.rules, *right.rules)}

    def rank(turn: Turn) -> tuple[int, int, int, str]:
        return TURNINGS.index(turn.kind), SEVERITIES.index(turn.severity), stages[turn.rule], turn.rule

    write = portable(left.inventory), portable(right.inventory)
    return tuple(sorted((turn for pair in _pairs(left, right) for turn in _turn(*pair, write)), key=rank))


def one_sided(left: Case, right: Case) -> tuple[Uncompared, ...]:
    """Return which rules passed on one side and could not judge on the other: no difference, and no equality."""
    reasons: dict[str, list[str]] = {}
    for rule, first, second in _pairs(left, right):
        for judged, other in ((first, second), (second, first)):
            if judged.status == "passed" and _is_open(other):
                reasons.setdefault(other.note or "a rule crashed", []).append(rule.id)
    return tuple(Uncompared(", ".join(rules), why) for why, rules in reasons.items())


def _pairs(left: Case, right: Case) -> Iterator[tuple[Rule, CheckRun, CheckRun]]:
    runs = [{run.rule: run for run in case.runs} for case in (left, right)]
    for rule in dict.fromkeys((*left.rules, *right.rules)):
        yield rule, runs[0].get(rule.id, _NONE), runs[1].get(rule.id, _NONE)


def _turn(rule: Rule, left: CheckRun, right: CheckRun, write: tuple[Write, Write]) -> Iterator[Turn]:
    kind = _kind(left, right, write)
    if kind is None:
        return
    found = right if kind in ("fails", "says otherwise") else left
    severity = min((finding.severity for finding in found.findings), key=SEVERITIES.index, default=rule.severity)
    other = left if kind == "fails" else right
    note = other.note if other.status != "failed" else ""
    yield Turn(rule.id, rule.title, severity, kind, _messages(left), _messages(right), note)


def _kind(left: CheckRun, right: CheckRun, write: tuple[Write, Write]) -> Turning | None:
    if left.status != "failed" and right.status != "failed":
        return None
    if left.status != "failed":
        return "fails"
    if right.status != "failed":
        return "open" if _is_open(right) else "passes"
    return None if _said(left, write[0]) == _said(right, write[1]) else "says otherwise"


def _is_open(run: CheckRun) -> bool:
    """Tell whether a rule could not judge what there is to judge."""
    return run.status == "crashed" or (run.status == "skipped" and run.applies)


def _said(run: CheckRun, write: Write) -> set[tuple[str, str, str]]:
    return {(finding.severity, write(finding.subject), write(finding.message)) for finding in run.findings}


def _messages(run: CheckRun) -> tuple[str, ...]:
    return tuple(finding.message for finding in run.findings)
