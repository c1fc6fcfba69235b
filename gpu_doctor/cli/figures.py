"""What `bench` writes, and where: figures in the formats of a check, speech, and the history."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from gpu_doctor.cli.options import ReportFormat, given
from gpu_doctor.cli.out import deliver, look
from gpu_doctor.cli.reports import Wish, deliver_report, paired, private
from gpu_doctor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpu_doctor.measure import Measured
    from gpu_doctor.model.bench import Workload
    from gpu_doctor.model.case import Report
    from gpu_doctor.model.comparison import Comparison
    from gpu_doctor.model.target import Target
    from gpu_doctor.report.formats import Given


class As(str, Enum):
    """Name what the figures are written as: what a check is, and `svg` for the history."""

    text = "text"
    json = "json"
    sarif = "sarif"
    junit = "junit"
    github = "github"
    gitlab = "gitlab"
    markdown = "markdown"
    prometheus = "prometheus"
    html = "html"
    svg = "svg"


def outputs(
    formats: Sequence[As] | None, places: Sequence[str] | None, workloads: tuple[Workload, ...]
) -> tuple[tuple[Wish, ...], str | None]:
    """Return what is written where, and where speech is kept, after a look whether all that can be written.

    The figures come minutes later.
    """
    if As.svg in (formats or ()):
        raise UsageError("--format svg is for `bench history`")
    for path in places or ():
        given(output=path)
    speech = [path for path in places or () if path.lower().endswith(".wav")]
    if len(speech) > 1:
        raise UsageError(f"speech is kept in one file, not in both {speech[0]} and {speech[1]}")
    if speech and "xtts" not in workloads:
        hint = f"figures go to a file whose name does not end as {speech[0]} does"
        raise UsageError("--output keeps speech, which xtts alone makes", hint)
    named = [ReportFormat(one.value) for one in formats or (As.text,)]
    wishes = paired(named, [path for path in places or () if path not in speech])
    for path in (*speech, *(wish.output for wish in wishes if wish.output is not None)):
        _require_writable(path)
    return wishes, os.path.abspath(speech[0]) if speech else None


def _require_writable(path: str) -> None:
    """Refuse a folder, and a file whose folder takes none; what is no file, such as a pipe, is written as it is."""
    place = os.path.realpath(path)
    special = os.path.exists(place) and not os.path.isfile(place) and not os.path.isdir(place)
    if not special and (os.path.isdir(place) or not os.access(os.path.dirname(place), os.W_OK)):
        raise UsageError(f"cannot write {path}")


def report_of(found: Measured, comparisons: tuple[Comparison, ...]) -> Report:
    """Return the figures and what the rules say of them, for the formats of `check`."""
    from gpu_doctor import __version__
    from gpu_doctor.model.case import BenchRun, Report

    case = replace(found.case.telling(found.findings), bench=BenchRun(comparisons, found.left_out))
    return Report((case,), __version__, found.place.facts.date)


def deliver_figures(found: Measured, report: Report, wishes: Sequence[Wish], redact: bool) -> None:
    """Write the figures; text and JSON have a face of their own."""
    from gpu_doctor.report.formats import FORMATS, drawn

    (case,) = report.cases
    comparisons = case.bench.comparisons if case.bench else ()
    told = (found.case, found.benches, found.findings, found.left_out, comparisons)

    def text(_: Wish, given: Given) -> str:
        from gpu_doctor.report.bench import as_bench

        return drawn(FORMATS["text"], told, given, lambda it: as_bench.render(*it[:4], given.look, it[4]))

    def json(_: Wish, given: Given) -> str:
        from gpu_doctor.report.bench import as_bench_json

        return drawn(FORMATS["json"], told, given, lambda it: as_bench_json.render(*it))

    deliver_report(report, wishes, redact=redact, own={"text": text, "json": json})


def show_history(target: Target, formats: Sequence[As] | None, places: Sequence[str] | None, redact: bool) -> None:
    """Write what was measured before, in one format to one place."""
    from gpu_doctor import measure
    from gpu_doctor.report.bench import as_bench_history as history

    format, output = _of_history(formats or (As.text,), places or ())  # noqa: A001 - the option's name
    past = measure.saved_benches(target, os.environ)
    benches = tuple(one.bench for one in past.saved)
    if redact:
        from gpu_doctor.report.redact import redacted

        benches = redacted(benches, private())
    if format is As.text:
        text = history.render(benches, look(output), past.skipped)
    elif format is As.json:
        text = history.render_json(benches, past.skipped)
    else:
        text = history.render_svg(benches) if format is As.svg else history.render_html(benches, skipped=past.skipped)
    deliver(text, output)


def _of_history(formats: Sequence[As], places: Sequence[str]) -> tuple[As, str | None]:
    """Return the one format of the history and where it goes; refuse those that are for figures."""
    known = (As.text, As.json, As.svg, As.html)
    wrong = next((one.value for one in formats if one not in known), None)
    if wrong is not None:
        raise UsageError(f"--format {wrong} is for figures, not for `bench history`", "it has text, json, svg and html")
    if len(formats) > 1 or len(places) > 1:
        raise UsageError("`bench history` writes one --format to one --output")
    place = places[0] if places else None
    given(output=place)
    return formats[0], place
