"""`gpu-doctor diff`: what is not the same on two sides, what can explain a symptom first."""

from __future__ import annotations

from typing import Annotated

import typer

from gpu_doctor.cli.options import As, Format, Output, ProbeTimeout, Static, asking
from gpu_doctor.cli.out import deliver, look
from gpu_doctor.cli.progress import scanning
from gpu_doctor.cli.snapshot import place
from gpu_doctor.cli.streams import talk
from gpu_doctor.errors import UsageError

_SIDE = "A snapshot (`-`: stdin), docker:IMAGE, an image's tar, an environment's folder, or an interpreter."


def diff(
    left: Annotated[str, typer.Argument(metavar="A", help=_SIDE, show_default=False)],
    right: Annotated[str, typer.Argument(metavar="B", help="The same.", show_default=False)],
    static: Static = False,
    probe_timeout: ProbeTimeout = None,
    format: As = Format.text,  # noqa: A002 - the option's name
    output: Output = None,
) -> None:
    """Show what differs between two snapshots, environments or images.

    Rules whose verdict changed come first, then driver and GPU, GPU packages, libraries, variables and the rest.

    Exit codes: 0 nothing differs; 1 something does; 2 usage, or no such side; 3 a side cannot be read.
    """
    from gpu_doctor import between

    if left == right == "-":
        raise UsageError("both sides are stdin, which can be read once")
    how = asking(static, probe_timeout)
    with talk(), scanning() as progress:
        contrast = between.difference(left, right, place(), how, progress)
    if format is Format.json:
        from gpu_doctor.report import as_diff_json

        deliver(as_diff_json.render(contrast), output)
    else:
        from gpu_doctor.report import as_diff

        deliver(as_diff.render(contrast, look(output)), output)
    raise typer.Exit(0 if contrast.same else 1)
