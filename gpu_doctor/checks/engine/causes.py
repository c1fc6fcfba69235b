"""Tell primary findings from their consequences, so that one illness is one alarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gpu_doctor.model.finding import SEVERITIES, CheckRun, Finding, Rule


def relate(runs: tuple[CheckRun, ...], rules: tuple[Rule, ...]) -> tuple[CheckRun, ...]:
    """Mark each finding whose rule yields to another finding about the same seat as its consequence.

    A consequence keeps its words and evidence and becomes a note: the primary finding carries the severity.
    """
    yields_to = {rule.id: rule.yields_to for rule in rules}
    findings = [finding for run in runs for finding in run.findings]
    causes = _causes(findings, yields_to)
    related = iter([_under(finding, findings, causes, at) for at, finding in enumerate(findings)])
    return tuple(replace(run, findings=tuple(next(related) for _ in run.findings)) for run in runs)


def _causes(findings: Sequence[Finding], yields_to: Mapping[str, tuple[str, ...]]) -> dict[int, int]:
    """Return the cause of each finding that has one, by position; no chain of causes leads back to where it began."""
    found: dict[int, int] = {}
    # From the last to the first, so that of two rules that yield to each other the earlier stays an alarm.
    for at in reversed(range(len(findings))):
        for rule in yields_to.get(findings[at].rule, ()):
            fitting = (n for n, other in enumerate(findings) if other.rule == rule and _explains(other, findings[at]))
            cause = next((n for n in fitting if _root(n, found) != at), None)
            if cause is not None:
                found[at] = cause
                break
    return found


def _explains(cause: Finding, finding: Finding) -> bool:
    # A mere note is no illness, and a milder illness is not the reason of a graver one.
    graver = SEVERITIES.index(cause.severity) <= SEVERITIES.index(finding.severity)
    return graver and finding.severity != "note" and bool(set(cause.seats) & set(finding.seats))


def _root(at: int, causes: Mapping[int, int]) -> int:
    while at in causes:
        at = causes[at]
    return at


def _under(finding: Finding, findings: Sequence[Finding], causes: Mapping[int, int], at: int) -> Finding:
    if at not in causes:
        return finding
    return replace(finding, severity="note", consequence_of=findings[_root(at, causes)].fingerprint)
