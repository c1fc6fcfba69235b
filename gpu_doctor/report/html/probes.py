"""What was asked of the live interpreter: a timeline of the questions, and how each ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as Xml

from gpu_doctor.model.case import Case
from gpu_doctor.model.probes import Measure, Probe
from gpu_doctor.model.spoken import question
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.asked import untried
from gpu_doctor.report.bench.chart import text
from gpu_doctor.report.heading import counted
from gpu_doctor.report.html.words import line, lines, shell

_WIDTH, _RIGHT, _STEP, _BAR, _TOP = 920.0, 190.0, 42.0, 12.0, 30.0
_LONGEST = 110
_TICKS = 5
_BAD = ("wrong", "failed", "died")


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold one question, how it ended, what its experiments said, and the shell line that asks it again."""

    question: str
    ending: str
    kind: str
    reason: str
    trials: tuple[str, ...]
    log: tuple[str, ...]
    seconds: str
    again: str


@dataclass(frozen=True, slots=True)
class Asking:
    """Hold all questions, the picture of them as SVG, and what was not tried, with the reason."""

    rows: tuple[Asked, ...]
    picture: str
    untried: tuple[str, ...]
    unasked: str


def asking(case: Case, key: str) -> Asking:
    """Return what was asked; `key` begins the ids of the picture."""
    probes = case.inventory.probes
    if isinstance(probes, Unknown):
        return Asking((), "", (), line(probes.reason))
    taken = sorted((probe for probe in probes if probe.ending != "skipped"), key=lambda probe: probe.began or 0.0)
    skipped = tuple(line(words) for words in untried(probes).values())
    return Asking(tuple(map(_asked, taken)), _picture(taken, key) if taken else "", skipped, "")


def _asked(probe: Probe) -> Asked:
    good = probe.ending == "answered"
    passed = sum(trial.outcome == "passed" for trial in probe.trials)
    trials = [f"{passed} of {counted(len(probe.trials), 'experiment')} passed"] if probe.trials else []
    trials += [
        f"{trial.name} {trial.outcome}{f': {trial.detail}' if trial.detail else ''}"
        for trial in probe.trials
        if trial.outcome in _BAD
    ]
    trials += [_measure(one) for one in probe.measured]
    return Asked(
        question=line(question(probe)),
        ending=probe.ending,
        kind=_ending(probe)[0],
        reason=line(probe.reason),
        trials=tuple(line(words, 300) for words in trials[:8]),
        log=() if good or not probe.log else lines(probe.log, 8),
        seconds=f"{probe.seconds:.1f} s" if probe.seconds else "",
        again=shell(probe.again),
    )


def _measure(one: Measure) -> str:
    return f"{one.name}: {one.value}"


def _picture(probes: Sequence[Probe], key: str) -> str:
    """Draw a bar for each question, from when it was asked until it ended; where nobody noted when, from 0."""
    height = _TOP + _STEP * len(probes) + 6
    svg = Xml.Element(
        "svg",
        {
            "class": "times",
            "viewBox": f"0 0 {_WIDTH:g} {height:g}",
            "role": "img",
            "aria-labelledby": f"{key}-title {key}-desc",
        },
    )
    _add(svg, "title", "When each question was asked, and how long it took", id=f"{key}-title")
    _add(svg, "desc", text(". ".join(map(_told, probes)) + ".", 4000), id=f"{key}-desc")
    ticks = _ticks(max(_end(probe) for probe in probes))
    for tick in ticks:
        x = _x(tick, ticks[-1])
        _add(svg, "line", **{"class": "rule", "x1": x, "x2": x, "y1": f"{_TOP - 6:g}", "y2": f"{height - 4:g}"})
        anchor = "middle" if tick else "start"
        _add(svg, "text", f"{tick:g} s", **{"class": "tick", "x": x, "y": f"{_TOP - 14:g}", "text-anchor": anchor})
    for number, probe in enumerate(probes):
        _bar(svg, probe, _TOP + _STEP * number, ticks[-1])
    return Xml.tostring(svg, encoding="unicode")


def _bar(svg: Xml.Element, probe: Probe, top: float, longest: float) -> None:
    words = question(probe)
    cut = words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
    _add(svg, "text", text(cut), **{"class": "ask", "x": "0", "y": f"{top + 14:g}"})
    begin, scale = (probe.began or 0.0), (_WIDTH - _RIGHT) / longest
    width = max(scale * probe.seconds, 3)
    kind, ending = _ending(probe)
    bar = {"x": f"{scale * begin:.1f}", "y": f"{top + 21:g}", "width": f"{width:.1f}", "height": f"{_BAR:g}", "rx": "3"}
    _add(svg, "rect", **{"class": kind, **bar})
    said = f"{probe.seconds:.1f} s{ending}"
    _add(
        svg, "text", said, **{"class": f"took {kind}", "x": f"{scale * begin + width + 9:.1f}", "y": f"{top + 31.5:g}"}
    )


def _ending(probe: Probe) -> tuple[str, str]:
    """Return `good`, `part` or `bad`, and in words what was not good."""
    if probe.ending != "answered":
        return "bad", f" · ✕ {probe.ending}"
    bad = sum(trial.outcome in _BAD for trial in probe.trials)
    return ("part", f" · ✕ {bad} of {len(probe.trials)}") if bad else ("good", "")


def _told(probe: Probe) -> str:
    began = "" if probe.began is None else f" asked at {probe.began:.1f} s,"
    return f"{question(probe)}:{began} {probe.ending} after {probe.seconds:.1f} s"


def _end(probe: Probe) -> float:
    return (probe.began or 0.0) + probe.seconds


def _x(seconds: float, longest: float) -> str:
    return f"{(_WIDTH - _RIGHT) * seconds / longest:.1f}"


def _ticks(longest: float) -> list[float]:
    """Return round seconds from 0 to where the last question ended."""
    longest = max(longest, 0.1)
    rough = longest / (_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [round(step * number, 6) for number in range(math.ceil(longest / step - 1e-9) + 1)]


def _add(parent: Xml.Element, tag: str, words: str | None = None, **attributes: str) -> Xml.Element:
    element = Xml.SubElement(parent, tag, attributes)
    element.text = words
    return element
