"""`gpu-doctor preflight`: fail once, early, with the cause, where an environment lacks what is required."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_doctor.cli.options import (
    Driver,
    FailOn,
    Formats,
    Gpus,
    Outputs,
    Prefix,
    Python,
    Redact,
    Settings,
    Static,
    chosen,
    given,
    here,
)
from gpu_doctor.cli.out import complain
from gpu_doctor.cli.progress import scanning
from gpu_doctor.cli.reports import Wish, deliver_report, paired
from gpu_doctor.cli.streams import talk
from gpu_doctor.errors import UsageError

if TYPE_CHECKING:
    from gpu_doctor.cli.reports import Own
    from gpu_doctor.gate import Manner
    from gpu_doctor.model.case import Report
    from gpu_doctor.model.requirement import Requirement
    from gpu_doctor.model.target import Target
    from gpu_doctor.report.formats import Given

_LONGEST = 24 * 3600.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}

Require = Annotated[
    list[str] | None,
    typer.Option("--require", metavar="REQ", help="What must hold, such as torch-cuda,vram>=24GB; repeatable."),
]
Deadline = Annotated[str | None, typer.Option("--deadline", metavar="TIME", help="Be done by then: 30s, 2m, 500ms.")]
Threshold = Annotated[
    FailOn | None, typer.Option("--fail-on", help="The least finding that makes unmet what it concerns.")
]


def preflight(
    require: Require = None,
    config: Settings = None,
    python: Python = None,
    prefix: Prefix = None,
    gpu: Gpus = None,
    driver: Driver = None,
    static: Static = False,
    deadline: Deadline = None,
    fail_on: Threshold = None,
    format: Formats = None,  # noqa: A002 - the option's name
    output: Outputs = None,
    redact: Redact = False,
) -> None:
    """Tell whether an environment has what is required; exit code 0 for yes, 1 for no, 3 for unknown.

    Only what is required is looked at, files first. docs/preflight.md lists what can be required; `[tool.gpu-doctor]`
    in pyproject.toml, or gpu-doctor.toml, may hold it.
    """
    from gpu_doctor import gate
    from gpu_doctor.preflight.ignores import expired
    from gpu_doctor.settings import read_settings

    began = time.monotonic()
    wishes = paired(format, output)
    limit = _seconds(deadline)
    given(config=config, driver=driver)
    with talk():
        settings = read_settings(here(), config)
        required = gate.requirements(require or (), settings)
        target = chosen(python, prefix, gpu or settings.gpu, driver or settings.driver)
        threshold = fail_on.value if fail_on else settings.fail_on or "error"
        manner = gate.Manner(static, limit, threshold, settings)
        report = _looked(target, required, manner)
    for sentence in expired(settings, manner.today):
        complain(sentence)
    deliver_report(report, wishes, static=static, redact=redact, own=_own(report, time.monotonic() - began))
    raise typer.Exit(gate.exit_code(report, manner.fail_on))


def _looked(target: Target, required: Sequence[Requirement], manner: Manner) -> Report:
    from gpu_doctor import gate

    with scanning() as progress:
        return gate.preflight(target, os.environ, required, manner, progress)


def _own(report: Report, seconds: float) -> Own:
    """Return how a preflight is drawn in the formats in which it has a face of its own."""

    def text(_: Wish, given: Given) -> str:
        from gpu_doctor.report import as_preflight

        render = partial(as_preflight.render, look=given.look, seconds=seconds)
        return drawn(FORMATS["text"], report, given, render)

    def json(_: Wish, given: Given) -> str:
        from gpu_doctor.report import as_preflight_json

        return drawn(FORMATS["json"], report, given, as_preflight_json.render)

    from gpu_doctor.report.formats import FORMATS, drawn

    return {"text": text, "json": json}


def _seconds(text: str | None) -> float | None:
    """Read a time such as `30s`, `2m` or `500ms`."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?(ms|s|m|)", text.strip(), re.ASCII)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= _LONGEST:
        raise UsageError(f"--deadline {text!r} is no time of more than 0 and at most a day", "write it like 30s or 2m")
    return seconds
