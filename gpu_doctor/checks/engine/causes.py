"""Tell primary findings from their consequences, so that one illness is one alarm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gpu_doctor.model.finding import CheckRun, Finding, Rule


def relate(runs: tuple[CheckRun, ...], rules: tuple[Rule, ...]) -> tuple[CheckRun, ...]:
    """Mark each finding whose rule yields to another finding about the same seat as its consequence.

    A consequence keeps its words and evidence and becomes a note: the primary finding carries the severity.
    """
    yields_to = {rule.id: rule.yields_to for rule in rules}
    findings = [finding for run in runs for finding in run.findings]
    return tuple(replace(run, findings=tuple(_related(f, findings, yields_to) for f in run.findings)) for run in runs)


def _related(finding: Finding, findings: list[Finding], yields_to: dict[str, tuple[str, ...]]) -> Finding:
    if finding.severity == "note":
        return finding
    root, seen = finding, {finding.fingerprint}
    while True:
        cause = next((f for f in _causes(root, findings, yields_to) if f.fingerprint not in seen), None)
        if cause is None:
            break
        seen.add(cause.fingerprint)
        root = cause
    if root is finding:
        return finding
    return replace(finding, severity="note", consequence_of=root.fingerprint)


def _causes(finding: Finding, findings: list[Finding], yields_to: dict[str, tuple[str, ...]]) -> Iterator[Finding]:
    for rule in yields_to.get(finding.rule, ()):
        for other in findings:
            # A mere note is no illness, so it cannot explain one.
            if other.rule == rule and other.severity != "note" and set(other.seats) & set(finding.seats):
                yield other
