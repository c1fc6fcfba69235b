"""Put the series of benchmarks on an HTML page that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpu_doctor.model.bench import Bench
from gpu_doctor.report.bench.chart import chart, text
from gpu_doctor.report.bench.series import Measured, Series, changed_words, day, quantity

_COLUMNS = 5
_SHOWN_CHARTS = 24


@dataclass(frozen=True, slots=True)
class _Row:
    """Hold the cells of one run."""

    at: str
    cells: tuple[str, ...]
    best: tuple[bool, ...]
    spread: str
    load: str
    memory: str
    changed: str
    remark: str


@dataclass(frozen=True, slots=True)
class _Section:
    """Hold one series as the template shows it."""

    key: str
    name: str
    about: str
    span: str
    charts: str
    columns: tuple[str, ...]
    rows: tuple[_Row, ...]
    latest: str
    best: str


def page(series: Sequence[Series], title: str, skipped: int) -> str:
    """Return the page; every text that is not ours is escaped by the template or, in the plots, by the XML writer."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gpu_doctor.report.bench", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = environment.get_template("bench_history.html")
    sections = [_section(one, f"series-{number}") for number, one in enumerate(series, 1)]
    return template.render(title=text(title), sections=sections, skipped=skipped)


def _section(series: Series, key: str) -> _Section:
    first, last = day(series.runs[0].at), day(series.runs[-1].at)
    shown = series.measures[:_COLUMNS]
    head = series.measures[0] if series.measures else None
    return _Section(
        key=key,
        name=text(series.name),
        about=text(series.about),
        span=text(first if first == last else f"{first} to {last}"),
        charts=_charts(series, key),
        columns=tuple(text(_heading(one)) for one in shown),
        rows=tuple(_row(series, number, shown) for number in reversed(range(len(series.runs)))),
        latest=text(f"{head.name} {head.words(head.latest)}") if head else "",
        best=text(f"{head.words(head.best)} on {day(series.runs[head.best].at)}")
        if head and head.best is not None
        else "",
    )


def _charts(series: Series, key: str) -> str:
    panels = [(series, measured) for measured in series.measures[:_SHOWN_CHARTS]]
    return chart(panels, series.title, key, headed=False) if panels else ""


def _heading(measured: Measured) -> str:
    return measured.name if measured.unit in ("", "rtf", "s") else f"{measured.name}, {measured.unit}"


def _row(series: Series, number: int, shown: Sequence[Measured]) -> _Row:
    run = series.runs[number]
    return _Row(
        at=text(run.at.replace("T", " ").removesuffix("Z")),
        cells=tuple(text(_cell(measured, number)) for measured in shown),
        best=tuple(measured.best == number for measured in shown),
        spread="" if run.variance is None else f"{run.variance:.1%}",
        load="" if run.load_seconds is None else quantity(run.load_seconds, "s"),
        memory=_memory(run),
        changed=text(changed_words(series.changed(number))),
        remark=text(_remark(run)),
    )


def _cell(measured: Measured, number: int) -> str:
    words = measured.words(number)
    # The heading names the unit once.
    return words.removesuffix(f" {measured.unit}") if measured.unit != "s" else words


def _memory(run: Bench) -> str:
    parts = []
    if run.peak_vram_bytes is not None:
        parts.append(f"{quantity(run.peak_vram_bytes, 'bytes')} GPU")
    if run.peak_rss_bytes is not None:
        parts.append(f"{quantity(run.peak_rss_bytes, 'bytes')} RAM")
    return ", ".join(parts)


def _remark(run: Bench) -> str:
    died = [f"{run.ending}: {run.reason}"] if run.ending != "answered" else []
    unfair = [f"not comparable: {'; '.join(run.not_comparable)}"] if run.not_comparable else []
    return ". ".join((*died, *unfair))
