"""`gpu-doctor archs`: which GPU architectures the libraries carry, and which of them run on a GPU."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gpu_doctor.cli.options import As, Format, Gpus, Output, Prefix, Python, chosen
from gpu_doctor.cli.out import deliver, look
from gpu_doctor.cli.progress import scanning
from gpu_doctor.errors import UsageError


def archs(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Shared libraries; else all of the environment.")
    ] = None,
    python: Python = None,
    prefix: Prefix = None,
    gpu: Gpus = None,
    format: As = Format.text,  # noqa: A002 - the option's name
    output: Output = None,
) -> None:
    """List the GPU architectures that libraries carry.

    Machine code (SASS) and PTX of every library; --gpu says which of them run there.
    """
    if files and (python or prefix):
        raise UsageError("name FILEs or an environment, not both")
    from gpu_doctor import doctor

    target = None
    if files:
        libraries, gpus = doctor.read_archs(files), doctor.assumed_gpus(gpu or ())
    else:
        target = chosen(python, prefix, gpu, None)
        with scanning() as progress:
            libraries, gpus = doctor.take_libraries(target, os.environ, progress)
    if format is Format.json:
        from gpu_doctor.report import as_archs_json

        deliver(as_archs_json.render(libraries, gpus), output)
        return
    from gpu_doctor.report import as_archs

    deliver(as_archs.render(libraries, gpus, target, look(output)), output)
