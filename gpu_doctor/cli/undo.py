"""`gpu-doctor undo`: take a repair back, byte for byte, without the network."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gpu_doctor.cli.fix import Yes
from gpu_doctor.cli.options import Prefix, Python, chosen
from gpu_doctor.cli.out import complain, deliver, look
from gpu_doctor.cli.progress import scanning
from gpu_doctor.cli.prompt import agreed, can_ask


def undo(
    repair_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A repair's id from `gpu-doctor history`; else the latest.")
    ] = None,
    python: Python = None,
    prefix: Prefix = None,
    yes: Yes = False,
) -> None:
    """Take a repair back, byte for byte.

    Also what a repair that was cut off left in between. It needs no network.

    Exit codes: 0 taken back, or nothing to take back; 1 not done; 2 usage; 4 it could not be undone whole.
    """
    from gpu_doctor import repair
    from gpu_doctor.report import as_history

    target = chosen(python, prefix, None, None)
    found = repair.candidate(target, os.environ, repair_id)
    if found is None:
        deliver("Nothing to take back.\n")
        return
    if not yes:
        deliver(as_history.render([found], "", look()))
        if not can_ask():
            complain("nobody is here to consent: nothing was changed", "give --yes to take this back")
            raise typer.Exit(1)
        if not agreed("Take this back?"):
            raise typer.Exit(1)
    with scanning() as progress:
        done = repair.undo(target, os.environ, found.id, progress)
    deliver(f"{done.id if done else found.id}: {as_history.how(done or found)}.\n")
