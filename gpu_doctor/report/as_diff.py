"""Two sides against each other as text: what can explain a symptom first, what is equal in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpu_doctor.model.case import Verdict
from gpu_doctor.model.difference import Area, Contrast, Differing, Side, Turn, Turning
from gpu_doctor.report.heading import counted
from gpu_doctor.report.paper import Look, Paper

_VERDICTS: dict[Verdict, str] = {"healthy": "bold green", "sick": "bold red", "undetermined": "bold yellow"}
_TURNINGS: dict[Turning, tuple[str, str]] = {
    "fails": ("FAILS", "bold red"),
    "says otherwise": ("CHANGED", "bold yellow"),
    "passes": ("PASSES", "bold green"),
    "open": ("OPEN", "bold yellow"),
}
_WIDEST = max(len(word) for word, _ in _TURNINGS.values())
_BLOCKS: tuple[tuple[str, tuple[Area, ...]], ...] = (
    ("driver and GPU", ("driver", "gpu")),
    ("GPU packages", ("gpu package",)),
    ("GPU libraries", ("library",)),
    ("variables", ("variable",)),
    ("interpreter", ("interpreter",)),
    ("host", ("host",)),
)
_NOUNS: dict[Area, str] = {"gpu package": "GPU package", "library": "GPU library", "variable": "variable"}
_NAME = 28
_OTHERS = 6
_ABSENT = "-"


def render(contrast: Contrast, look: Look) -> str:
    """Return the comparison; A is the left side, B the right one."""
    paper = Paper(look)
    _write_sides(paper, contrast)
    paper.blank()
    if contrast.same:
        paper.prose("Nothing that was compared differs.", columns=[("EQUAL", 0, "bold green")])
    else:
        paper.prose(f"{', '.join(_tally(contrast))}.", columns=[("DIFFERENT", 0, "bold yellow")])
    _write_turns(paper, contrast.turns)
    for title, areas in _BLOCKS:
        _write_block(paper, title, [one for area in areas for one in contrast.of(area)])
    _write_others(paper, contrast.of("package"))
    _write_end(paper, contrast)
    return paper.text()


def _write_sides(paper: Paper, contrast: Contrast) -> None:
    for letter, side in (("A", contrast.left), ("B", contrast.right)):
        verdict = (side.verdict, _VERDICTS[side.verdict]) if side.verdict else ("not judged", "dim")
        paper.prose((side.name, "bold"), f" ({', '.join(_side(side))}): ", verdict, columns=[(letter, 1, "bold")])


def _side(side: Side) -> Iterator[str]:
    yield side.kind
    if side.python:
        yield f"Python {side.python}"


def _tally(contrast: Contrast) -> Iterator[str]:
    """Yield in words how much differs of what matters."""
    fails = sum(turn.kind == "fails" for turn in contrast.turns)
    if fails:
        yield f"{counted(fails, 'rule')} {'fail' if fails > 1 else 'fails'} in B alone"
    passes = sum(turn.kind == "passes" for turn in contrast.turns)
    if passes:
        yield f"{counted(passes, 'rule')} {'fail' if passes > 1 else 'fails'} in A alone"
    other = len(contrast.turns) - fails - passes
    if other:
        yield f"{counted(other, 'verdict')} changed"
    if driver := len(contrast.of("driver")) + len(contrast.of("gpu")):
        yield f"{counted(driver, 'difference')} of driver and GPU"
    for area, noun in _NOUNS.items():
        count = sum(1 if area != "library" else len(one.subject.split(", ")) for one in contrast.of(area))
        if count:
            yield f"{counted(count, noun)} {'differ' if count > 1 else 'differs'}"
    rest = len(contrast.of("interpreter")) + len(contrast.of("host"))
    if rest:
        yield f"{counted(rest, 'difference')} of interpreter and host"
    others = len(contrast.of("package"))
    if others:
        yield f"{counted(others, 'other package')} {'differ' if others > 1 else 'differs'}"


def _write_turns(paper: Paper, turns: Sequence[Turn]) -> None:
    if turns:
        paper.blank()
        paper.prose(("rules, from A to B", "bold"))
    for turn in turns:
        word, style = _TURNINGS[turn.kind]
        paper.prose((turn.rule, "bold"), f": {turn.title}", indent=2, columns=[(word, _WIDEST, style)])
        for letter, messages in (("A", turn.left), ("B", turn.right)):
            for message in messages:
                paper.prose(message, indent=2 + _WIDEST + 2, columns=[(letter, 1, "dim")])
        if turn.note:
            letter = "A" if turn.kind == "fails" else "B"
            paper.prose((f"not judged: {turn.note}", "dim"), indent=2 + _WIDEST + 2, columns=[(letter, 1, "dim")])


def _write_block(paper: Paper, title: str, rows: Sequence[Differing]) -> None:
    if not rows:
        return
    paper.blank()
    paper.prose((title, "bold"))
    width = min(_NAME, max(len(row.subject) for row in rows))
    for row in rows:
        detail = f" ({row.detail})" if row.detail else ""
        if len(row.subject) > _NAME:
            paper.prose(row.subject, f": {_values(row)}", (detail, "dim"), indent=2)
        else:
            paper.prose(_values(row), (detail, "dim"), indent=2, columns=[(row.subject, width, "")])


def _values(row: Differing) -> str:
    if row.left == row.right:
        return row.left
    return f"{row.left or _ABSENT} -> {row.right or _ABSENT}"


def _write_others(paper: Paper, rows: Sequence[Differing]) -> None:
    """Write how many other packages differ, and the first few."""
    if not rows:
        return
    paper.blank()
    paper.prose((f"{counted(len(rows), 'other package')}", "bold"))
    shown = "; ".join(f"{row.subject} {_values(row)}" for row in rows[:_OTHERS])
    left = len(rows) - _OTHERS
    paper.prose(shown + (f"; and {left} more: --format json" if left > 0 else ""), indent=2)


def _write_end(paper: Paper, contrast: Contrast) -> None:
    paper.blank()
    if contrast.equal:
        paper.prose((f"equal: {', '.join(contrast.equal)}", "dim"))
    for one in contrast.uncompared:
        paper.prose((f"not compared: {one.what} ({one.why})", "dim"))
