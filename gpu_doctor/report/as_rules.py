"""The list of rules, and one rule explained."""

from __future__ import annotations

from collections.abc import Iterable

from gpu_doctor.model.finding import Rule
from gpu_doctor.report.foreign import clean_block
from gpu_doctor.report.paper import Look, Paper

_STYLES = {"error": "red", "warning": "yellow", "note": "blue"}


def listed(rules: Iterable[tuple[Rule, str]], look: Look) -> str:
    """Return one paragraph per rule: id, worst severity, title; a rule that does not load says why.

    A rule that also reads what the live interpreter answers is marked `live`.
    """
    paper = Paper(look)
    pairs = list(rules)
    column = max((len(rule.id) for rule, _ in pairs), default=0)
    for rule, broken in pairs:
        name = (rule.id, column, "bold")
        if broken:
            paper.prose((broken, "red"), columns=[name, ("BROKEN", 7, "bold red")])
        else:
            live = ("live" if rule.probes else "", 4, "dim")
            paper.prose(rule.title, columns=[name, (rule.severity, 7, _STYLES[rule.severity]), live])
    return paper.text()


def explained(rule: Rule, doc: str, broken: str, look: Look) -> str:
    """Return a rule's words: id, severity, stage, then its documentation as its author wrote it."""
    paper = Paper(look)
    asks = f"; asks live: {', '.join(rule.probes)}" if rule.probes else ""
    paper.prose((rule.id, "bold"), f" ({rule.severity} at worst; stage: {rule.stage}{asks})")
    if broken:
        paper.prose((f"this rule cannot be loaded: {broken}", "bold red"))
    for paragraph in clean_block(doc).split("\n\n"):
        paper.blank()
        lines = paragraph.splitlines()
        # Prose is wrapped anew; a list or an example keeps its lines.
        for line in lines if any(line.startswith((" ", "-", "*")) for line in lines) else [paragraph]:
            paper.prose(line.strip(), indent=len(line) - len(line.lstrip(" ")))
    return paper.text()
