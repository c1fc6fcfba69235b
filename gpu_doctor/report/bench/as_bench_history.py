"""The benchmarks that an environment remembers: text, JSON (`gpu-doctor/bench-history/1`), SVG and HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from gpu_doctor.model.bench import Bench
from gpu_doctor.report.bench.series import Measured, Series, changed_words, day, series_of
from gpu_doctor.report.heading import counted
from gpu_doctor.report.paper import Look, Paper

SCHEMA = "gpu-doctor/bench-history/1"

_BARS, _ASCII_BARS = "▁▂▃▄▅▆▇█", "_.-=+*%#"
_DIED = "×"
_WIDEST_PLOT = 40
_WIDEST_NAME = 24
# What the longest words after a plot need: `1234 TFLOP/s, best 1234 TFLOP/s on 2026-11-20`.
_WORDS = 34
_SHOWN_MEASURES = 12
_SHOWN_CHANGES = 5


def render(benches: Sequence[Bench], look: Look, skipped: int = 0) -> str:
    """Return each series with a bar for each run, the latest last; `skipped` lines of the memory could not be read."""
    paper = Paper(look)
    if not benches:
        paper.prose("No benchmark is saved here; `gpu-doctor bench … --save` saves one.")
    for number, series in enumerate(series_of(benches)):
        if number:
            paper.blank()
        _write_series(paper, series)
    if skipped:
        paper.blank()
        paper.prose((f"{counted(skipped, 'line')} of the memory could not be read", "yellow"))
    return paper.text()


def render_json(benches: Sequence[Bench], skipped: int = 0) -> str:
    """Return the series as an indented JSON document, ASCII only."""
    series = [_shape(one) for one in series_of(benches)]
    return json.dumps({"schema": SCHEMA, "skipped": skipped, "series": series}, indent=2) + "\n"


def render_svg(benches: Sequence[Bench]) -> str:
    """Return one SVG document with a plot for each quantity of each series."""
    from gpu_doctor.report.bench.chart import chart

    panels = [(series, measured) for series in series_of(benches) for measured in series.measures]
    return chart(panels, "Benchmarks over time", "benchmarks") + "\n"


def render_html(benches: Sequence[Bench], title: str = "Benchmarks over time", skipped: int = 0) -> str:
    """Return one HTML page that needs nothing else: for each series its plots and a table of its runs."""
    from gpu_doctor.report.bench.page import page

    return page(series_of(benches), title, skipped)


def _write_series(paper: Paper, series: Series) -> None:
    about = f" · {series.about}" if series.about else ""
    paper.prose((series.name, "bold"), about)
    label = min(_WIDEST_NAME, max((len(one.name) for one in series.measures), default=0))
    plots = max(8, min(_WIDEST_PLOT, len(series.runs), paper.look.width - label - 6 - _WORDS))
    for measured in series.measures[:_SHOWN_MEASURES]:
        plot = bars(measured.values[-plots:], unicode=paper.look.unicode)
        name = _shortened(measured.name, label, "…" if paper.look.unicode else "...")
        columns = [(name, label, ""), (plot, min(plots, len(series.runs)), "cyan")]
        paper.prose(*_latest(measured, series), indent=2, columns=columns)
    left = len(series.measures) - _SHOWN_MEASURES
    if left > 0:
        paper.prose((f"… and {counted(left, 'more figure')}: --format json", "dim"), indent=2)
    paper.prose((_counts(series), "dim"), indent=2)
    for number, changed in series.changes[-_SHOWN_CHANGES:]:
        paper.prose(changed_words(changed), indent=2, columns=[(day(series.runs[number].at), 10, "")])
    earlier = len(series.changes) - _SHOWN_CHANGES
    if earlier > 0:
        paper.prose((f"… and {counted(earlier, 'earlier change')} of versions: --format json", "dim"), indent=2)


def _shortened(name: str, width: int, mark: str) -> str:
    """Return a name that fits, without its middle: what tells figures of one workload apart stands at the end."""
    if len(name) <= width:
        return name
    begin = (width - len(mark)) // 2
    return name[:begin] + mark + name[len(name) - (width - len(mark) - begin) :]


def bars(values: Sequence[float | None], *, unicode: bool) -> str:
    """Return a bar for each value, `×` for none.

    The lowest and the highest bar are at least a quarter apart, so that noise looks flat.
    """
    marks = _BARS if unicode else _ASCII_BARS
    known = [value for value in values if value is not None]
    low = min(known, default=0.0)
    span = max(max(known, default=0.0) - low, 0.25 * abs(low))

    def bar(value: float) -> str:
        return marks[round((value - low) / span * (len(marks) - 1))] if span else marks[0]

    return "".join(_DIED if value is None else bar(value) for value in values)


def _latest(measured: Measured, series: Series) -> Iterator[tuple[str, str]]:
    latest, best = measured.latest, measured.best
    yield measured.words(latest) or "no value", "bold"
    if latest is not None and latest == best:
        yield ", the best" if len(series.runs) > 1 else "", "green"
    elif best is not None:
        yield f", best {measured.words(best)} on {day(series.runs[best].at)}", ""


def _counts(series: Series) -> str:
    """Return how many runs there are, and how many of them say less than the others."""
    first, last = day(series.runs[0].at), day(series.runs[-1].at)
    words = [counted(len(series.runs), "run") + (f" on {first}" if first == last else f" from {first} to {last}")]
    unfair = sum(bool(run.not_comparable) for run in series.runs)
    died = sum(run.ending != "answered" for run in series.runs)
    if unfair:
        words.append(f"{unfair} not comparable")
    if died:
        words.append(f"{died} did not come to {'its' if died == 1 else 'their'} end")
    return "; ".join(words)


def _shape(series: Series) -> dict[str, Any]:
    first = next((run for run in series.runs if run.ending == "answered"), series.runs[0])
    return {
        "workload": first.wish.workload,
        "device": first.wish.device,
        "device_name": first.device_name,
        "model": first.model,
        "dtype": first.dtype,
        "weights": first.wish.weights,
        "runs": [_run(run, series, number) for number, run in enumerate(series.runs)],
        "measures": [_measure(measured, series) for measured in series.measures],
    }


def _run(run: Bench, series: Series, number: int) -> dict[str, Any]:
    changed = {one.name: {"from": one.baseline or None, "to": one.now or None} for one in series.changed(number)}
    return {
        "at": run.at,
        "ending": run.ending,
        "reason": run.reason,
        "not_comparable": list(run.not_comparable),
        "seconds": run.seconds,
        "variance": run.variance,
        "rtf": run.rtf,
        "load_seconds": run.load_seconds,
        "first_chunk_seconds": run.first_chunk_seconds,
        "tokens_per_second": run.tokens_per_second,
        "peak_vram_bytes": run.peak_vram_bytes,
        "peak_rss_bytes": run.peak_rss_bytes,
        "versions": {one.name: one.value for one in run.versions},
        "changed": changed,
    }


def _measure(measured: Measured, series: Series) -> dict[str, Any]:
    def point(number: int | None) -> dict[str, Any] | None:
        return None if number is None else {"at": series.runs[number].at, "value": measured.values[number]}

    return {
        "name": measured.name,
        "unit": "" if measured.unit == "rtf" else measured.unit,
        "better": measured.aim,
        "values": list(measured.values),
        "latest": point(measured.latest),
        "best": point(measured.best),
    }
