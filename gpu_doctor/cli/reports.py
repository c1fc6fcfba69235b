"""Reports in several formats at once: which goes where, and what each needs of this process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpu_doctor.cli.options import ReportFormat
from gpu_doctor.cli.out import append, complain, deliver, look
from gpu_doctor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpu_doctor.model.case import Report
    from gpu_doctor.report.formats import Given
    from gpu_doctor.report.redact import Private

    Own = Mapping[str, Callable[["Wish", Given], str]]

_STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Wish:
    """Say what to write, and where: a file, or None for stdout."""

    format: str
    output: str | None = None


def paired(formats: Sequence[ReportFormat] | None, outputs: Sequence[str] | None) -> tuple[Wish, ...]:
    """Return each format with its output: files by their endings, else in order; the one that has none goes to stdout.

    Raise UsageError where two would be written to the same place, or an output has no format.
    """
    names = [one.value for one in formats or (ReportFormat.text,)]
    places = [None if place == _STDOUT else place for place in outputs or ()]
    if "" in places:
        raise UsageError("--output is empty: name a file")
    if len(places) > len(names):
        raise UsageError(f"--output {places[len(names)] or _STDOUT} has no --format", "give one --format for each")
    wishes = tuple(map(Wish, names, _by_ending(names, places) or [*places, *[None] * (len(names) - len(places))]))
    _require_places(wishes)
    if len(wishes) > 1:
        _require_endings(wishes)
    return wishes


def deliver_report(
    report: Report, wishes: Iterable[Wish], *, static: bool = False, redact: bool = False, own: Own | None = None
) -> None:
    """Draw all that is wished for, then write it, stdout last; what GitHub shows of a step is written as well.

    `own` draws the formats in which the command has a face of its own.
    """
    from gpu_doctor.report import formats

    texts = []
    for wish in wishes:
        given, render = _given(wish, static, redact), (own or {}).get(wish.format)
        texts.append((wish, render(wish, given) if render else formats.draw(wish.format, report, given)))
    for wish, text in sorted(texts, key=lambda pair: pair[0].output is None):
        if wish.format == "github":
            _summarize(report)
        deliver(text, wish.output)


def private() -> Private:
    """Return what this process knows that strangers need not: its user, machine, home folder and secrets."""
    from gpu_doctor.report.redact import Private

    home = os.path.expanduser("~")
    known = Private.of(os.environ, _user(), os.uname().nodename, home)
    # A path may be written through the link that the home folder is, or without it.
    return known.also_at(os.path.realpath(home))


def _require_places(wishes: Sequence[Wish]) -> None:
    taken: dict[str, str] = {}
    for wish in wishes:
        place = _STDOUT if wish.output is None else _real(wish.output)
        if place in taken and place != os.devnull:
            where = "stdout" if wish.output is None else wish.output
            hint = "give each --format its own --output FILE, in the same order"
            raise UsageError(f"{taken[place]} and {wish.format} would both be written to {where}", hint)
        taken[place] = wish.format


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except OSError:  # the folder that we stand in is gone
        return path


def _by_ending(names: Sequence[str], places: Sequence[str | None]) -> list[str | None]:
    """Return a place for each format where every file ends like one of them and no other, else nothing.

    So `--format text --format sarif --output a.sarif` is what it seems to be.
    """
    if len(names) < 2:
        return []
    from gpu_doctor.report.formats import FORMATS

    endings = [FORMATS[name].suffix for name in names]
    files = {os.path.splitext(place)[1]: place for place in places if place is not None}
    clear = len(files) == sum(place is not None for place in places)
    if not clear or any(endings.count(ending) != 1 for ending in files):
        return []
    return [files.get(ending) for ending in endings]


def _require_endings(wishes: Sequence[Wish]) -> None:
    """Refuse a file that ends like another format of this run: the order of words is not what was meant."""
    from gpu_doctor.report.formats import FORMATS

    for wish in wishes:
        suffix = os.path.splitext(wish.output or "")[1]
        others = [other.format for other in wishes if FORMATS[other.format].suffix == suffix]
        if others and wish.format not in others:
            raise UsageError(
                f"{wish.output} would be written as {wish.format}, not as {others[0]}",
                "the first --output is for the first --format; `--output -` is stdout",
            )


def _given(wish: Wish, static: bool, redact: bool) -> Given:
    """Return what one format needs; what costs time is looked up for those formats alone that take it."""
    from gpu_doctor.report.formats import FORMATS, Given

    one = FORMATS[wish.format]
    return Given(
        look=look(wish.output),
        static=static,
        docs=_docs() if "docs" in one.takes else {},
        base=_here() if "base" in one.takes else "",
        now=time.time(),
        private=private() if redact or one.redacted else None,
        redact=redact,
    )


def _docs() -> Mapping[str, str]:
    from gpu_doctor import doctor

    return {loaded.rule.id: loaded.doc for loaded in doctor.all_rules()}


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # the folder is gone: there is nothing that paths could be relative to
        return ""


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number without a name
        return ""


def _summarize(report: Report) -> None:
    """Append to the page of the workflow's run, where GitHub names one; its loss is no reason to fail."""
    from gpu_doctor.report.formats import Given, summary

    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        append(path, summary(report, Given(private=private())))
    except OSError as error:
        complain(f"cannot write the step's summary to {path}: {error.strerror or error}")
