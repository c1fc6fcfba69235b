"""`gpu-doctor check`: examine an environment and name its illness."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_doctor.cli.options import (
    Driver,
    FailOn,
    Formats,
    Gpus,
    Ignore,
    Outputs,
    Prefix,
    ProbeTimeout,
    Python,
    Redact,
    Select,
    Settings,
    Static,
    Thorough,
    asking,
    chosen,
    chosen_rules,
    given,
    here,
)
from gpu_doctor.cli.out import complain
from gpu_doctor.cli.progress import scanning
from gpu_doctor.cli.reports import deliver_report, paired
from gpu_doctor.cli.streams import talk
from gpu_doctor.errors import UsageError

if TYPE_CHECKING:
    from gpu_doctor.doctor import Asking
    from gpu_doctor.model.case import Report
    from gpu_doctor.model.config import Config
    from gpu_doctor.model.inventory import Inventory
    from gpu_doctor.model.target import Target

_LARGEST_INVENTORY = 256 * 2**20


def check(
    python: Python = None,
    prefix: Prefix = None,
    gpu: Gpus = None,
    driver: Driver = None,
    static: Static = False,
    probe_timeout: ProbeTimeout = None,
    thorough: Thorough = False,
    select: Select = None,
    ignore: Ignore = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="The least finding that makes exit code 1; default: `error`."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 where a rule crashed or did not load, whatever is forgiven.")
    ] = False,
    format: Formats = None,  # noqa: A002 - the option's name
    output: Outputs = None,
    redact: Redact = False,
    config: Settings = None,
    from_file: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Judge a saved inventory (`-`: stdin).")
    ] = None,
) -> None:
    """Examine an environment and name what is wrong with it.

    Its files are read, then its interpreter is asked, in child processes that may crash or hang; nothing is changed.

    Without --python or --prefix: $VIRTUAL_ENV, ./.venv, $CONDA_PREFIX, then python3 on PATH.
    """
    how, wishes, settings = asking(static, probe_timeout, thorough), paired(format, output), _settings(config)
    _require_sense(from_file, python or prefix, how)
    selected, ignored = chosen_rules(select or [word.text for word in settings.select], ignore)
    gpus, driver = tuple(gpu or settings.gpu), settings.driver if driver is None else driver
    with talk():
        if from_file is None:
            report = _examined(chosen(python, prefix, gpus, driver), selected, ignored, how)
        else:
            report = _judged(from_file, gpus, driver, selected, ignored)
    report = _without_ignored(report, settings)
    deliver_report(report, wishes, static=static, redact=redact)
    raise typer.Exit(_exit_code(report, fail_on or FailOn(settings.fail_on or "error"), strict))


def _settings(path: str | None) -> Config:
    from gpu_doctor.settings import read_settings

    given(config=path)
    return read_settings(here(), path)


def _require_sense(from_file: str | None, place: str | None, how: Asking) -> None:
    if from_file is not None and place:
        raise UsageError("--from judges a saved inventory, so --python and --prefix make no sense with it")
    if from_file is not None and how != asking():
        raise UsageError("--from judges what was asked before, so options about asking make no sense with it")


def _without_ignored(report: Report, settings: Config) -> Report:
    """Return the report without what the project ignores; an ignore that has expired is said and ignores nothing."""
    if not settings.ignore:
        return report
    from datetime import date

    from gpu_doctor.preflight.ignores import apply, expired

    for words in expired(settings, date.today()):
        complain(words)
    return apply(report, settings, date.today())


def _examined(target: Target, select: tuple[str, ...], ignore: tuple[str, ...], how: Asking) -> Report:
    from gpu_doctor import doctor

    with scanning() as progress:
        return doctor.examine(target, os.environ, select=select, ignore=ignore, asking=how, progress=progress)


def _judged(
    path: str, gpus: tuple[str, ...], driver: str | None, select: tuple[str, ...], ignore: tuple[str, ...]
) -> Report:
    from gpu_doctor import doctor

    given(driver=driver)
    inventory = _saved(path)
    if gpus or driver:
        inventory = doctor.assume(inventory, gpus, driver)
    return doctor.judge([inventory], select=select, ignore=ignore)


def _saved(path: str) -> Inventory:
    from gpu_doctor.model import plain

    try:
        # Standard input as bytes, like a file: its declared encoding is that of a terminal.
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as stream:
            data = stream.read(_LARGEST_INVENTORY + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    if len(data) > _LARGEST_INVENTORY:
        raise UsageError(f"{path} is larger than any inventory ({_LARGEST_INVENTORY >> 20} MiB)")
    # Some editors and shells write a mark in front of UTF-8.
    return plain.loads(data.decode("utf-8-sig", "replace"))


def _exit_code(report: Report, fail_on: FailOn, strict: bool) -> int:
    """Return 1 for findings that count, 3 where a verdict is missing, or with `strict` a rule's, else 0."""
    if report.fails(fail_on.value):
        return 1
    if strict and any(run.status == "crashed" for case in report.cases for run in case.runs):
        return 3
    # A verdict that is missing must not look green, whatever --fail-on forgives.
    return 3 if any(case.verdict == "undetermined" for case in report.cases) else 0
