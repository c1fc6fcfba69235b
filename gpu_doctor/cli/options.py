"""The options that several commands share, and what they mean together."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_doctor.cli.streams import talk
from gpu_doctor.errors import UsageError

if TYPE_CHECKING:
    from gpu_doctor.doctor import Asking
    from gpu_doctor.model.target import Target

_LONGEST = 24 * 3600


class Format(str, Enum):
    """Name what a report is written as."""

    text = "text"
    json = "json"


class ReportFormat(str, Enum):
    """Name what the report of a check is written as; `report.formats` says how."""

    text = "text"
    json = "json"
    sarif = "sarif"
    junit = "junit"
    github = "github"
    gitlab = "gitlab"
    markdown = "markdown"
    prometheus = "prometheus"
    html = "html"


class FailOn(str, Enum):
    """Name the least severity that makes the exit code 1."""

    error = "error"
    warning = "warning"
    never = "never"


def complete_rule(incomplete: str) -> list[tuple[str, str]]:
    """Return the rule ids that begin like this, with their titles, for the shell."""
    from gpu_doctor import doctor

    done, comma, start = incomplete.rpartition(",")
    with talk():
        rules = [loaded.rule for loaded in doctor.all_rules()]
    return [(f"{done}{comma}{rule.id}", rule.title) for rule in rules if rule.id.startswith(start)]


Python = Annotated[str | None, typer.Option("--python", metavar="PATH", help="The environment's interpreter.")]
Prefix = Annotated[str | None, typer.Option("--prefix", metavar="DIR", help="The environment's folder.")]
Gpus = Annotated[
    list[str] | None,
    typer.Option(
        "--gpu", metavar="WORDS", help='Judge for this GPU ("RTX 5090", sm_120), not the ones here; repeatable.'
    ),
]
Driver = Annotated[
    str | None, typer.Option("--driver", metavar="VERSION", help="Judge for this driver, such as 570.86.")
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="RULE", help="Run only these rules.", autocompletion=complete_rule),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="RULE", help="Leave these rules out.", autocompletion=complete_rule),
]
Static = Annotated[bool, typer.Option("--static", help="Read files only; start no interpreter of the target.")]
ProbeTimeout = Annotated[
    float | None,
    typer.Option("--probe-timeout", metavar="SECONDS", help="Give each live question this long, not what suits it."),
]
Thorough = Annotated[
    bool, typer.Option("--thorough", help="Make every experiment, not only those that a failure calls for.")
]
As = Annotated[Format, typer.Option("--format", help="What to write.")]
Formats = Annotated[
    list[ReportFormat] | None, typer.Option("--format", help="What to write, text if nothing is said; repeatable.")
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="Write here, not to stdout (`-`); repeatable, by the endings or in the order of --format.",
    ),
]
Redact = Annotated[
    bool,
    typer.Option("--redact", help="Take secrets, user, host and home folder out (markdown and snapshots: always)."),
]
Settings = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="Read settings here, not from the project above.")
]
Output = Annotated[str | None, typer.Option("--output", metavar="FILE", help="Write here, not to stdout.")]


def chosen(python: str | None, prefix: str | None, gpus: Iterable[str] | None, driver: str | None) -> Target:
    """Return the target that these options, the variables and the folder we stand in name."""
    from gpu_doctor import doctor

    given(python=python, prefix=prefix, driver=driver)
    return doctor.choose(python, prefix, os.environ, here(), tuple(gpus or ()), driver)


def here() -> str:
    """Return the folder that we stand in; raise UsageError where it was removed meanwhile."""
    try:
        return str(Path.cwd())
    except FileNotFoundError as error:
        raise UsageError("the current folder does not exist any more", "cd to one that does") from error


def asking(static: bool = False, probe_timeout: float | None = None, thorough: bool = False) -> Asking:
    """Return how to ask the live interpreter; refuse options that contradict each other."""
    from gpu_doctor.doctor import Asking

    if static and (probe_timeout is not None or thorough):
        raise UsageError("--static asks nothing, so --probe-timeout and --thorough make no sense with it")
    if probe_timeout is not None and not 0 < probe_timeout <= _LONGEST:
        raise UsageError(f"--probe-timeout must be more than 0 and at most {_LONGEST} seconds, not {probe_timeout:g}")
    return Asking(static, probe_timeout, thorough)


def given(**options: str | None) -> None:
    """Refuse options whose value is empty: a script's unset variable must not mean "no such wish"."""
    for name, value in options.items():
        if value is not None and not value.strip():
            raise UsageError(f"--{name} is empty")


def names(values: Iterable[str] | None) -> tuple[str, ...]:
    """Split repeated and comma-separated names, in the order given."""
    return tuple(name.strip() for value in values or () for name in value.split(",") if name.strip())


def chosen_rules(select: Iterable[str] | None, ignore: Iterable[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the rules to run and to leave out; refuse a `--select` that names none."""
    selected = names(select)
    if select and not selected:
        raise UsageError("--select names no rule", "`gpu-doctor rules` lists them.")
    return selected, names(ignore)
