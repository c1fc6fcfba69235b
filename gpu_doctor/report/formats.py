"""What a report can be written as: one table, and one function that draws.

A format's module is imported when it is drawn, and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from gpu_doctor.report.paper import Look

if TYPE_CHECKING:
    from gpu_doctor.model.case import Report
    from gpu_doctor.report.redact import Private

_Noun = TypeVar("_Noun")


@dataclass(frozen=True, slots=True)
class Given:
    """Hold what formats need besides the report; each takes its own part.

    `look` is how text is drawn, `static` says that only files were wished for, `docs` are the rules' words by id,
    `base` is the folder that paths are relative to, `now` the time in seconds since 1970. `private` is what must not be
    told where a format is redacted, as all are with `redact`.
    """

    look: Look = field(default_factory=Look)
    static: bool = False
    docs: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    now: float = 0.0
    private: Private | None = None
    redact: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """Describe one format: its module in this room, how its files end, and what it takes of `Given`.

    `redacted` says that it is for strangers, and never drawn with secrets and names in it. `shell` says that people
    copy commands out of it.
    """

    name: str
    suffix: str
    module: str
    takes: tuple[str, ...] = ()
    redacted: bool = False
    shell: bool = False


FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format("text", ".txt", "as_text", ("look", "static"), shell=True),
        Format("json", ".json", "as_json"),
        Format("sarif", ".sarif", "ci.as_sarif", ("docs", "base")),
        Format("junit", ".xml", "ci.as_junit"),
        Format("github", ".log", "ci.as_github", ("base",)),
        Format("gitlab", ".json", "ci.as_gitlab", ("base",)),
        Format("markdown", ".md", "ci.as_markdown", redacted=True, shell=True),
        Format("prometheus", ".prom", "ci.as_prometheus", ("now",)),
        Format("html", ".html", "html.as_html"),
    )
}


def draw(name: str, report: Report, given: Given) -> str:
    """Return the report in the format of this name, redacted where the format or the user wants it so."""
    one = FORMATS[name]
    module = import_module(f"gpu_doctor.report.{one.module}")
    render: Callable[..., str] = module.render
    return drawn(one, report, given, lambda told: render(told, **{part: getattr(given, part) for part in one.takes}))


def drawn(one: Format, noun: _Noun, given: Given, render: Callable[[_Noun], str]) -> str:
    """Return what `render` makes of a report, or of a tuple of nouns, which is redacted first where that is wanted."""
    if not one.redacted and not given.redact:
        return render(noun)
    from gpu_doctor.report import redact

    text = render(redact.redacted(noun, given.private or redact.NOBODY))
    return redact.unquoted(text) if one.shell else text


def summary(report: Report, given: Given) -> str:
    """Return the Markdown for the page of a GitHub workflow's run, always redacted: whoever sees the run sees it."""
    from gpu_doctor.report.ci.as_github import step_summary

    return drawn(FORMATS["markdown"], report, given, step_summary)
