"""Measured workloads as a page shows them: plots, figures, and what became worse."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.model.bench import Bench, speedup
from gpu_doctor.model.case import Case
from gpu_doctor.report.bench.chart import chart
from gpu_doctor.report.bench.figures import regressions, table
from gpu_doctor.report.bench.series import Series, series_of
from gpu_doctor.report.heading import counted
from gpu_doctor.report.html.words import line

_SERIES, _CHARTS, _RUNS = 12, 2, 200


@dataclass(frozen=True, slots=True)
class Plotted:
    """Hold one series of benchmarks: its name, the picture, and each figure with its latest and its best value.

    `rows` are all that one run measured, where the page is about that run.
    """

    name: str
    about: str
    picture: str
    figures: tuple[tuple[str, str, str], ...]
    rows: tuple[tuple[str, str], ...]
    remark: str
    died: bool


def plots(case: Case, key: str) -> tuple[Plotted, ...]:
    """Return the series of what was just measured, or the latest of what was saved; `key` begins the ids in them."""
    benches = case.inventory.benches
    if case.bench is not None:
        told = [(one, _rows(one.runs[-1], benches)) for one in series_of(benches)]
    else:
        told = [(one, ()) for one in series_of(benches[-_RUNS:])[-_SERIES:]]
    return tuple(_plot(one, known, f"{key}-bench-{number}") for number, (one, known) in enumerate(told, 1))


def worse(case: Case) -> tuple[str, ...]:
    """Return in sentences what became worse, or runs no longer."""
    return tuple(line(one.message) for one in regressions(case))


def left_out(case: Case) -> tuple[tuple[str, str], ...]:
    """Return each workload that could not run, with the reason."""
    return tuple((line(name), line(why)) for name, why in case.bench.left_out) if case.bench else ()


def outcome(case: Case) -> str:
    """Return in a sentence what came of measuring."""
    answered = sum(bench.ending == "answered" for bench in case.inventory.benches)
    became = f", {counted(len(worse(case)), 'figure')} worse than before" if worse(case) else ""
    return f"{answered} of {counted(len(case.inventory.benches), 'workload')} measured{became}."


def _rows(bench: Bench, benches: tuple[Bench, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((line(label), line(words)) for label, words in table(bench, speedup(bench, benches)))


def _plot(series: Series, told: tuple[tuple[str, str], ...], key: str) -> Plotted:
    panels = [(series, measured) for measured in series.measures[:_CHARTS]]
    last = series.runs[-1]
    remark = f"{last.ending}: {last.reason}" if last.ending != "answered" else "; ".join(last.not_comparable)
    return Plotted(
        name=line(series.name),
        about=line(series.about),
        picture=chart(panels, series.title, key, headed=False) if panels else "",
        figures=tuple(
            (line(one.name), line(one.words(one.latest)), line(one.words(one.best))) for one in series.measures
        ),
        rows=told,
        remark=line(remark),
        died=last.ending != "answered",
    )
