"""`gpu-doctor run`: a command with the variables with which the environment works."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gpu_doctor.cli.options import Prefix, Python, chosen
from gpu_doctor.cli.out import complain
from gpu_doctor.cli.streams import talk
from gpu_doctor.errors import UsageError

# What follows the first word that is no option of ours belongs to the command, options included.
SETTINGS = {"allow_interspersed_args": False}

_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


def run(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="What to run, with its arguments.")],
    python: Python = None,
    prefix: Prefix = None,
) -> None:
    """Run a command with the variables with which the environment works.

    gpu-doctor run -- python train.py. The command takes this process's place: its output, signals and exit code are its
    own; 127 means that it was not found, 126 that it cannot be executed.
    """
    from gpu_doctor import doctor
    from gpu_doctor.probe.handover import become

    if not command[0]:
        raise UsageError("COMMAND is empty: name a program")
    environ = dict(os.environ)
    with talk():
        variables = doctor.variables(chosen(python, prefix, None, None), os.environ)
    for step in variables:
        if step.value is None:
            environ.pop(step.name, None)
        else:
            environ[step.name] = step.value
    try:
        become(command, environ)
    except (FileNotFoundError, NotADirectoryError) as error:
        complain(_why_not_found(command[0]))
        raise typer.Exit(_NOT_FOUND) from error
    except OSError as error:
        complain(f"{command[0]} cannot be executed: {error.strerror or error}")
        raise typer.Exit(_NOT_EXECUTABLE) from error


def _why_not_found(program: str) -> str:
    if os.path.dirname(program) and os.path.exists(program):
        return f"{program} names an interpreter that does not exist"
    where = "" if os.path.dirname(program) else " on PATH"
    return f"there is no {program!r}{where}"
