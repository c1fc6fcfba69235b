"""Findings as a page shows them: evidence, remedies with their price, and what each explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Evidence, Finding, Severity
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.report.html.words import line, lines, shell
from gpu_doctor.report.plans import deed
from gpu_doctor.report.words import SAFETY, fix_line, primaries, relapse

_EVIDENCE = 8
_LINES = 8


@dataclass(frozen=True, slots=True)
class Shown:
    """Hold one piece of evidence: what was seen, where, and the shell line that shows it again."""

    what: str
    value: tuple[str, ...]
    where: str
    again: str


@dataclass(frozen=True, slots=True)
class Cure:
    """Hold one remedy; `does` are its steps as shell lines, where the doctor runs them behind `commands`."""

    label: str
    summary: str
    safety: str
    price: str
    commands: tuple[str, ...]
    does: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """Hold a finding that another one explains."""

    key: str
    message: str
    rule: str
    shown: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Illness:
    """Hold one finding that stands for itself; `same_as` names an earlier one that the same remedy heals."""

    key: str
    severity: Severity
    message: str
    rule: str
    subject: str
    shown: tuple[Shown, ...]
    more: tuple[Shown, ...]
    cures: tuple[Cure, ...]
    same_as: str
    relapse: str
    effects: tuple[Effect, ...]


def illnesses(case: Case, key: str) -> tuple[Illness, ...]:
    """Return the findings that stand for themselves, the primary cause first; `key` begins their ids."""
    own = primaries(case)
    return tuple(_illness(case, finding, own[:number], key) for number, finding in enumerate(own))


def anchor(finding: Finding, key: str) -> str:
    """Return the id of a finding on the page."""
    return f"{key}-{finding.fingerprint}"


def shown(evidence: Sequence[Evidence]) -> tuple[Shown, ...]:
    """Return pieces of evidence; a shell line that was shown with one of them is not repeated."""
    known: set[str] = set()
    rows = []
    for item in evidence:
        again = "" if item.again in known else shell(item.again)
        known.add(item.again)
        rows.append(Shown(line(item.what), lines(item.value, _LINES), line(item.where), again))
    return tuple(rows)


def first_cure(case: Case, finding: Finding) -> Cure | None:
    """Return the least invasive remedy of a finding, if it has one."""
    return None if finding.remedy is None else _cure(case, finding, finding.remedy, durable=False)


def _illness(case: Case, finding: Finding, earlier: Sequence[Finding], key: str) -> Illness:
    evidence = shown(finding.evidence)
    same = next((other for other in earlier if _same_remedy(other, finding)), None)
    return Illness(
        key=anchor(finding, key),
        severity=finding.severity,
        message=line(finding.message),
        rule=line(finding.rule),
        subject=line(finding.subject),
        shown=evidence[:_EVIDENCE],
        more=evidence[_EVIDENCE:],
        cures=() if same else _cures(case, finding),
        same_as=anchor(same, key) if same else "",
        relapse=_relapse(case, finding),
        effects=tuple(
            Effect(anchor(effect, key), line(effect.message), line(effect.rule), shown(effect.evidence))
            for effect in case.consequences(finding)
        ),
    )


def _same_remedy(one: Finding, other: Finding) -> bool:
    mine, theirs = one.remedy, other.remedy
    return bool(mine and theirs and mine.steps and mine.steps == theirs.steps)


def _cures(case: Case, finding: Finding) -> tuple[Cure, ...]:
    first = first_cure(case, finding)
    if first is None:
        return ()
    if finding.durable is None:
        return (first,)
    return first, _cure(case, finding, finding.durable, durable=True)


def _cure(case: Case, finding: Finding, remedy: Remedy, *, durable: bool) -> Cure:
    by_hand = remedy.by_hand
    steps = tuple(shell(deed(step)) for step in remedy.steps)
    own = fix_line(case, finding) + (" --prefer durable" if durable else "")
    label = "The durable way" if durable else "The least change" if finding.durable else "Remedy"
    return Cure(
        label=label,
        summary=line(remedy.summary.rstrip(".")),
        safety=SAFETY[remedy.safety],
        price=line(remedy.price.rstrip(".")),
        commands=steps if by_hand else (shell(own),),
        does=() if by_hand else steps,
    )


def _relapse(case: Case, finding: Finding) -> str:
    words = relapse(case, finding)
    return line(f"{words[:1].upper()}{words[1:]}.") if words else ""
