"""Which file serves a library: the winner, the rule that found it, and what was tried before, as a tree."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_doctor.model.library import Resolution, Tried
from gpu_doctor.model.target import Target
from gpu_doctor.report.heading import write_target
from gpu_doctor.report.paper import Look, Paper

_TRIED = 24


def render(library: str, resolutions: Sequence[Resolution], target: Target, look: Look) -> str:
    """Return one tree per consumer that asks for the library; several consumers may meet different files."""
    paper = Paper(look)
    write_target(paper, target)
    if not resolutions:
        paper.prose(f"nothing in this environment asks for {library}, and no folder of the linker holds it")
    for number, resolution in enumerate(resolutions):
        if number:
            paper.blank()
        _write(paper, resolution)
    return paper.text()


def _write(paper: Paper, resolution: Resolution) -> None:
    verb = "needs" if resolution.how == "needed" else "opens"
    after = f"after import {', '.join(resolution.after)}: " if resolution.after else ""
    who = resolution.consumer.rpartition("/")[2] or "a program"
    package = f" of {resolution.package}" if resolution.package else ""
    paper.prose(f"{after}{who}{package} {verb} ", (" or ".join(resolution.names), "bold"))
    if resolution.found is None:
        style, note = ("yellow", ", which it can do without") if resolution.optional else ("bold red", "")
        paper.prose((f"not found{note}", style), indent=2)
    else:
        paper.verbatim(resolution.found, "bold green", indent=2)
        paper.prose(f"rule: {resolution.rule}", indent=2)
    _write_tried(paper, resolution.tried)


def _write_tried(paper: Paper, tried: Sequence[Tried]) -> None:
    """Write the steps of the search in order, the first ones only where a search was very long."""
    shown = tried[:_TRIED]
    rule = ""
    for number, step in enumerate(shown):
        if step.rule != rule:
            paper.prose((step.rule, "dim"), indent=4)
        rule = step.rule
        last = number + 1 == len(shown) or shown[number + 1].rule != rule
        paper.verbatim(f"{'└─' if last else '├─'} {step.path}: {step.outcome}", "dim", indent=4)
    if len(tried) > _TRIED:
        paper.verbatim(f"… and {len(tried) - _TRIED} more", "dim", indent=4)
