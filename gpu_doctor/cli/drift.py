"""`gpu-doctor drift`: what of the GPU stack is not as it was locked, and what did it."""

from __future__ import annotations

from typing import Annotated

import typer

from gpu_doctor.cli.options import As, Format, Output, Prefix, Python, chosen
from gpu_doctor.cli.out import deliver, look
from gpu_doctor.cli.progress import scanning
from gpu_doctor.cli.snapshot import place
from gpu_doctor.cli.streams import talk


def drift(
    lockfile: Annotated[
        str, typer.Argument(metavar="LOCKFILE", help="What `gpu-doctor lock` wrote.")
    ] = "gpu-doctor.lock",
    python: Python = None,
    prefix: Prefix = None,
    format: As = Format.text,  # noqa: A002 - the option's name
    output: Output = None,
) -> None:
    """Compare an environment with its lock, and say what replaced what.

    Only files are read. Each drift comes with what did it, as far as the files tell: installer, time, what was asked
    for in the same run. The commands that restore what was locked end the report.

    Exit codes: 0 as locked; 1 drifted; 2 usage, or no such lock; 3 it cannot be told.
    """
    from gpu_doctor import between
    from gpu_doctor.report import as_drift

    with talk(), scanning() as progress:
        found, inventory = between.drifted(lockfile, chosen(python, prefix, None, None), place(), progress)
    if format is Format.json:
        deliver(as_drift.render_json(found, inventory, lockfile), output)
    else:
        deliver(as_drift.render(found, inventory, lockfile, look(output)), output)
    raise typer.Exit(1 if found.drifts else 3 if found.open else 0)
