"""One benchmark against an earlier one: what became worse first, in text and as a part of `gpu-doctor/bench/1`."""

from __future__ import annotations

from typing import Any

from gpu_doctor.model.comparison import Comparison, Difference, Verdict
from gpu_doctor.report.bench.figures import baseline, change, label, percent, values
from gpu_doctor.report.bench.series import changed_words
from gpu_doctor.report.heading import counted
from gpu_doctor.report.paper import Look, Paper

_WORDS: dict[Verdict, tuple[str, str]] = {
    "worse": ("WORSE", "bold red"),
    "better": ("better", "green"),
    "same": ("same", "dim"),
}
_NAME = 26
_LOST = "LOST"


def render(comparison: Comparison, look: Look) -> str:
    """Return the comparison as a block of lines: the verdict, then each quantity, then which versions changed."""
    paper = Paper(look)
    paper.prose((comparison.now.name, "bold"), f" against {baseline(comparison)}: ", _verdict(comparison))
    for why in comparison.not_comparable:
        paper.prose(why, indent=2)
    for words in comparison.lost:
        paper.prose(words, indent=2, columns=[(_LOST, 6, "bold red")])
    rows = _worst_first(comparison)
    names = min(_NAME, max((len(label(one)) for one in rows), default=0))
    for one in rows:
        word, style = _WORDS[one.verdict]
        columns = [(word, 6, style), (label(one), names, "")]
        paper.prose(*_row(one), indent=2, columns=columns)
    noise = max((one.tolerance for one in rows), default=0.0)
    if noise > comparison.tolerance:
        words = f"the repetitions differ among themselves: a time counts as the same up to {percent(noise)}"
        paper.prose((words, "dim"), indent=2)
    for note in comparison.notes:
        paper.prose((note, "dim"), indent=2)
    if comparison.changed:
        paper.prose("changed: ", changed_words(comparison.changed), indent=2)
    return paper.text()


def shape(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON-compatible values, what is worse first."""
    return {
        "name": comparison.now.name,
        "at": comparison.now.at,
        "baseline_at": comparison.baseline.at,
        "tolerance": comparison.tolerance,
        "regressed": comparison.regressed,
        "not_comparable": list(comparison.not_comparable),
        "lost": list(comparison.lost),
        "differences": [_shape(one) for one in _worst_first(comparison)],
        "changed": [{"name": one.name, "now": one.now, "baseline": one.baseline} for one in comparison.changed],
        "notes": list(comparison.notes),
    }


def _shape(one: Difference) -> dict[str, Any]:
    return {
        "name": one.name,
        "unit": "" if one.unit == "rtf" else one.unit,
        "now": one.now,
        "baseline": one.baseline,
        "change": one.change,
        "tolerance": one.tolerance,
        "verdict": one.verdict,
    }


def _verdict(comparison: Comparison) -> tuple[str, str]:
    """Return what the whole comes to, and its style."""
    if comparison.not_comparable:
        return "not comparable", "bold yellow"
    lost, worse = len(comparison.lost), len(comparison.regressions)
    allowed = f" by more than {percent(comparison.tolerance)}"
    if lost or worse:
        parts = [f"{counted(worse, 'figure')} worse{allowed}"] if worse else []
        return ", ".join((*parts, *(["not all runs as before"] if lost else []))), "bold red"
    if not comparison.differences:
        return "they have no figure in common", "bold yellow"
    better = sum(one.verdict == "better" for one in comparison.differences)
    words = f"{counted(better, 'figure')} better, none worse" if better else "nothing better or worse"
    return words + allowed, "bold green"


def _worst_first(comparison: Comparison) -> list[Difference]:
    """Return the differences: worse, better, same; the largest change first, what has no percentage before all."""
    order = {verdict: number for number, verdict in enumerate(_WORDS)}

    def rank(one: Difference) -> tuple[int, float]:
        return order[one.verdict], -(float("inf") if one.change is None else abs(one.change))

    return sorted(comparison.differences, key=rank)


def _row(one: Difference) -> tuple[str, tuple[str, str]]:
    """Return both values, and the change in the colour of its verdict."""
    return values(one), (change(one), _WORDS[one.verdict][1])
