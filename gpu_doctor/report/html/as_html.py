"""The report as one page that needs no network, no other file, and works without its few lines of script."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from gpu_doctor.model.case import Report
from gpu_doctor.model.requirement import STANDINGS
from gpu_doctor.report.html.case import demands, page, silenced
from gpu_doctor.report.html.words import settled
from gpu_doctor.report.words import verdict_word

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_ORDER = {"sick": 0, "undetermined": 1, "healthy": 2}
_OPTION = re.compile(r"(?<!\S)(-\S{1,40})(?!\S)")


def render(report: Report) -> str:
    """Return the page; foreign text is escaped by the template or, in the pictures, by the XML writer."""
    environment = _environment()
    cases = tuple(page(case, f"case-{number}") for number, case in enumerate(report.cases, 1))
    wishes = demands(report)
    worst = min((case.verdict for case in cases), key=_ORDER.__getitem__, default="undetermined")
    # The page lets this one script run and no other, whatever a text smuggles in.
    script = environment.get_template("report.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = environment.get_template("report.html").render(
        title=_title(report, worst),
        cases=cases,
        demands=wishes,
        standings=tuple((kind, sum(one.standing == kind for one in wishes)) for kind in STANDINGS),
        ignored=tuple(map(silenced, report.ignored)),
        doctor=report.doctor,
        facts=report.facts,
        script=_trusted(script),
        digest=digest,
    )
    return f"{text}\n"


def _title(report: Report, worst: str) -> str:
    if len(report.cases) == 1:
        (case,) = report.cases
        return f"{verdict_word(case).capitalize()}: {case.inventory.interpreter.prefix}"
    return f"{worst.capitalize()}: {len(report.cases)} environments"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gpu_doctor.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_settle,
    )
    environment.filters["broken"] = _broken
    environment.filters["options"] = _options
    return environment


def _settle(value: Any) -> Any:
    """Make whatever a template prints harmless, should it not be so already; markup is the template's own."""
    return settled(value) if type(value) is str else value


def _broken(path: str) -> Markup:
    """Return a path that may be broken after each of its parts; a sentence breaks at its spaces."""
    from markupsafe import Markup, escape

    if " " in path:
        return escape(settled(path))
    return Markup("/<wbr>").join(map(escape, settled(path).split("/")))


def _options(words: str) -> Markup:
    """Return words in which no line ends inside `--option`, as it else could after each of its hyphens."""
    from markupsafe import Markup

    parts = _OPTION.split(settled(words))
    # What the pattern caught stands at the odd places.
    return Markup("").join(
        Markup('<span class="option">{}</span>').format(p) if n % 2 else p for n, p in enumerate(parts)
    )


def _trusted(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)
