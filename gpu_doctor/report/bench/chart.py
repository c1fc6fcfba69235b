"""Draw benchmarks over time as SVG that stands alone, in light and dark, and can be read aloud.

The runs stand side by side in equal steps: a day without a run is no news, and ten runs of one hour are. Values are
drawn from zero, so that noise looks like noise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from gpu_doctor.report.bench.series import Measured, Series, changed_words, day
from gpu_doctor.report.foreign import clean

Panel = tuple[Series, Measured]

_WIDTH, _PLOT = 760.0, 150.0
_LEFT, _RIGHT, _TOP, _HEAD, _FOOT, _LINE = 64.0, 112.0, 64.0, 22.0, 34.0, 17.0
_TICKS = 6
_NOTES = 6
_LONGEST = 95
# What XML 1.0 has no place for, though it is no control character (https://www.w3.org/TR/xml/#charsets).
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_INK = "text{{fill:{ink}}}.soft{{fill:{soft}}}.grid{{stroke:{grid}}}.axis{{stroke:{soft}}}.mark{{stroke:{soft}}}"
_DRAWN = ".run,.key{{fill:{line}}}.line,.unfair{{stroke:{line}}}.died{{stroke:{bad}}}.paper,.unfair{{fill:{paper}}}"
_COLOURS = _INK + _DRAWN
_LIGHT = _COLOURS.format(ink="#1f2328", soft="#59636e", grid="#d8dee4", line="#0969da", bad="#cf222e", paper="#ffffff")
_DARK = _COLOURS.format(ink="#e6edf3", soft="#9198a1", grid="#30363d", line="#58a6ff", bad="#ff7b72", paper="#0d1117")
_STYLE = (
    "text{font:12px system-ui,sans-serif}.head{font-size:14px;font-weight:600}.value{font-weight:600}"
    ".line{fill:none;stroke-width:1.5}.unfair,.died{stroke-width:1.5}.mark{stroke-dasharray:3 3}"
    f"{_LIGHT}@media screen and (prefers-color-scheme:dark){{{_DARK}}}"
)


def chart(panels: Sequence[Panel], title: str, key: str, *, headed: bool = True) -> str:
    """Return one SVG document with the panels below each other; `key` begins the ids, for a page with many charts.

    `headed` panels say which series they show, which a page does elsewhere.
    """
    above = _TOP if headed else _TOP - _HEAD
    heights = [_height(series, above) for series, _ in panels]
    height = sum(heights) or 60.0
    svg = Xml.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "gpu-doctor",
            "viewBox": f"0 0 {_WIDTH:g} {height:g}",
            "width": f"{_WIDTH:g}",
            "height": f"{height:g}",
            "role": "img",
            "aria-labelledby": f"{key}-title {key}-desc",
        },
    )
    _add(svg, "title", text(title), id=f"{key}-title")
    summary = " ".join(_summary(*panel) for panel in panels) or "No benchmark is saved."
    _add(svg, "desc", text(summary, 4000), id=f"{key}-desc")
    _add(svg, "style", _STYLE)
    _add(svg, "rect", **{"class": "paper", "width": "100%", "height": "100%"})
    top = 0.0
    for (series, measured), used in zip(panels, heights, strict=True):
        drawing = _Drawing(svg, series, measured, top + above)
        if headed:
            drawing.head()
        drawing.draw()
        top += used
    if not panels:
        _add(svg, "text", "No benchmark is saved.", x="24", y="34")
    Xml.indent(svg, " ")
    return Xml.tostring(svg, encoding="unicode")


def text(words: str, limit: int = 2000) -> str:
    """Return foreign text as XML can hold it."""
    return _NOT_XML.sub("\ufffd", clean(words, limit))


class _Drawing:
    """Draw one quantity of one series, the upper edge of its plot at `upper`."""

    def __init__(self, svg: Xml.Element, series: Series, measured: Measured, upper: float) -> None:
        self.series, self.measured = series, measured
        self.upper, self.lower = upper, upper + _PLOT
        self.group = _add(svg, "g")
        self.ticks = _ticks(max((value for value in measured.values if value is not None), default=0.0))

    def head(self) -> None:
        """Write which series this is."""
        self._text(_cut(self.series.title), 24.0, self.upper - 41, "head")

    def draw(self) -> None:
        """Draw the plot, what lies behind first."""
        wanted = {"lower": ", lower is better", "higher": ", higher is better", None: ""}[self.measured.aim]
        unit = "" if self.measured.unit in ("", "rtf") else f" in {self.measured.unit}"
        self._text(f"{self.measured.name}{unit}{wanted}", 24.0, self.upper - 22, "soft")
        self._axes()
        self._changes()
        self._line()
        for number in range(len(self.series.runs)):
            self._run(number)
        self._latest()

    def x(self, number: int) -> float:
        """Return where a run stands."""
        last = len(self.series.runs) - 1
        inner = _WIDTH - _LEFT - _RIGHT - 20
        return round(_LEFT + 10 + (inner * number / last if last else inner / 2), 1)

    def y(self, value: float) -> float:
        """Return how high a value is."""
        return round(self.lower - _PLOT * (value / self.ticks[-1]), 1)

    def _axes(self) -> None:
        for tick in self.ticks:
            at = self.y(tick)
            self._line_between(_LEFT, at, _WIDTH - _RIGHT, at, "grid" if tick else "axis")
            self._text(f"{tick:.4g}", _LEFT - 8, at + 4, "soft", "end")
        runs = self.series.runs
        days = [day(run.at) for run in runs]
        same = len(set(days)) == 1
        last = len(runs) - 1
        for number in range(last, -1, -max(1, math.ceil(last / (_TICKS - 1)))):
            at = self.x(number)
            self._line_between(at, self.lower, at, self.lower + 4, "axis")
            # Of runs of one day the time tells more.
            self._text(runs[number].at[11:16] if same and last else days[number], at, self.lower + 18, "soft", "middle")

    def _changes(self) -> None:
        """Mark the runs before which versions changed, and say below what changed."""
        changes = self.series.changes[-_NOTES:]
        for number, (run, changed) in enumerate(changes, 1):
            at = self.x(run)
            self._line_between(at, self.upper, at, self.lower, "mark")
            self._text(str(number), at, self.upper - 3, "soft", "middle")
            words = f"{number} · {day(self.series.runs[run].at)}: {changed_words(changed)}"
            self._text(_cut(words), _LEFT, self.lower + _FOOT + _LINE * number - 4, "soft")

    def _line(self) -> None:
        known = [(self.x(n), self.y(value)) for n, value in enumerate(self.measured.values) if value is not None]
        if len(known) > 1:
            points = " ".join(f"{x:g},{y:g}" for x, y in known)
            _add(self.group, "polyline", **{"class": "line", "points": points})

    def _run(self, number: int) -> None:
        """Draw a run: a dot, hollow where it is not comparable, a cross on the axis where it has no value."""
        value, run, at = self.measured.values[number], self.series.runs[number], self.x(number)
        if value is None:
            cross = f"M{at - 4:g},{self.lower - 4:g}l8,8m0,-8l-8,8"
            dot = _add(self.group, "path", **{"class": "died", "d": cross})
        else:
            size = "3.5" if len(self.series.runs) <= 100 else "2"
            kind = "unfair" if run.not_comparable else "run"
            dot = _add(self.group, "circle", **{"class": kind, "cx": f"{at:g}", "cy": f"{self.y(value):g}", "r": size})
        words = [run.at, self.measured.words(number) or f"{run.ending}: {run.reason}", *run.not_comparable]
        _add(dot, "title", text("; ".join(words)))

    def _latest(self) -> None:
        number = self.measured.latest
        value = None if number is None else self.measured.values[number]
        if number is not None and value is not None:
            self._text(self.measured.words(number), self.x(number) + 10, self.y(value) + 4, "value")

    def _text(self, words: str, x: float, y: float, kind: str, anchor: str = "start") -> None:
        _add(self.group, "text", text(words), **{"class": kind, "x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor})

    def _line_between(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        _add(self.group, "line", **{"class": kind, "x1": f"{x1:g}", "y1": f"{y1:g}", "x2": f"{x2:g}", "y2": f"{y2:g}"})


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"


def _height(series: Series, above: float) -> float:
    return above + _PLOT + _FOOT + _LINE * min(_NOTES, len(series.changes)) + 10


def _summary(series: Series, measured: Measured) -> str:
    first, last = day(series.runs[0].at), day(series.runs[-1].at)
    latest = measured.words(measured.latest) or "none"
    best = "" if measured.best is None else f", best {measured.words(measured.best)}"
    runs = "1 run" if len(series.runs) == 1 else f"{len(series.runs)} runs"
    return f"{series.title}: {measured.name} of {runs}, {first} to {last}; latest {latest}{best}."


def _ticks(highest: float) -> list[float]:
    """Return round numbers from 0 to beyond the highest value, six at most."""
    if highest < 1e-300:
        return [0.0, 1.0]
    rough = highest / (_TICKS - 2)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    count = math.floor(highest / step) + 1
    return [step * number for number in range(count + 1)]


def _add(parent: Xml.Element, tag: str, words: str | None = None, **attributes: str) -> Xml.Element:
    element = Xml.SubElement(parent, tag, attributes)
    element.text = words
    return element
