"""`gpu-doctor env`: the variables with which the environment works, for a shell to evaluate."""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import Annotated

import typer

from gpu_doctor.cli.options import Prefix, Python, chosen
from gpu_doctor.cli.out import complain, deliver
from gpu_doctor.cli.streams import talk
from gpu_doctor.errors import DoctorError


class Shell(str, Enum):
    """Name what the variables are written for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    powershell = "powershell"
    dotenv = "dotenv"
    docker = "docker"
    systemd = "systemd"
    jupyter = "jupyter"


def env(
    shell: Annotated[
        Shell | None, typer.Option("--shell", help="Write for this shell or file.", show_default="the one of $SHELL")
    ] = None,
    python: Python = None,
    prefix: Prefix = None,
) -> None:
    """Print the variables with which the environment works as it is.

    Nothing else is printed: eval "$(gpu-doctor env)". Only files are read, and none is changed.
    """
    from gpu_doctor import doctor
    from gpu_doctor.report import as_env

    with talk():
        variables = doctor.variables(chosen(python, prefix, None, None), os.environ)
    text = as_env.render(variables, (shell or _own_shell()).value)
    if not text:
        if sys.stderr.isatty():
            complain("this environment needs no variables")
        return
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError as error:
        raise DoctorError("a value cannot be written in the encoding of stdout") from error
    deliver(text)


def _own_shell() -> Shell:
    name = os.path.basename(os.environ.get("SHELL", ""))
    return Shell(name) if name in ("zsh", "fish") else Shell.bash
