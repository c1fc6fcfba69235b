"""`gpu-doctor advise`: device, number format and settings for this environment on this machine, and why."""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_doctor import __version__
from gpu_doctor.cli.options import Driver, Gpus, Output, Prefix, Python, chosen, given
from gpu_doctor.cli.out import deliver, look
from gpu_doctor.cli.progress import scanning

if TYPE_CHECKING:
    from gpu_doctor.model.advice import Advice
    from gpu_doctor.model.case import Case

NOTHING_KNOWN = 3


class As(str, Enum):
    """Name what the advice is written as."""

    text = "text"
    json = "json"
    python = "python"
    env = "env"


def advise(
    python: Python = None,
    prefix: Prefix = None,
    gpu: Gpus = None,
    driver: Driver = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="PATH", help="A model's folder, .safetensors file or config.json, to estimate."
        ),
    ] = None,
    format: Annotated[As, typer.Option("--format", help="What to write.")] = As.text,  # noqa: A002
    output: Output = None,
) -> None:
    """Say what programs of this environment should use here, and why.

    GPU or CPU, number format, attention, batch sizes, offload, allocator variables, workers, and whether --model fits.
    Only files are read and the driver is asked. `--format env` is for eval, `--format python` for a program. Exit code
    3 where neither a GPU is known nor a framework installed.
    """
    from gpu_doctor import doctor

    given(model=model)
    with scanning() as progress:
        case, advice = doctor.advise_for(chosen(python, prefix, gpu, driver), os.environ, model, progress=progress)
    deliver(_text(case, advice, format, output), output)
    if not any(engine.installed for engine in advice.engines) and not isinstance(case.inventory.gpus, tuple):
        raise typer.Exit(NOTHING_KNOWN)


def _text(case: Case, advice: Advice, format: As, output: str | None) -> str:  # noqa: A002 - the option's name
    if format is As.json:
        from gpu_doctor.report import as_advice_json

        return as_advice_json.render(case, advice, __version__)
    from gpu_doctor.report import as_advice

    if format is As.python:
        return as_advice.as_python(advice)
    return as_advice.as_env(advice) if format is As.env else as_advice.render(case, advice, look(output))
