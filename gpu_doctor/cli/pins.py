"""`gpu-doctor pins`: exact versions that go together on the GPU, the driver and the Python at hand."""

from __future__ import annotations

import difflib
import os
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from gpu_doctor.cli.fix import Yes
from gpu_doctor.cli.options import Driver, Gpus, Output, Prefix, Python, chosen, given
from gpu_doctor.cli.options import names as split
from gpu_doctor.cli.out import complain, deliver
from gpu_doctor.cli.progress import scanning
from gpu_doctor.cli.prompt import agreed, can_ask

if TYPE_CHECKING:
    from gpu_doctor.model.target import Target
    from gpu_doctor.pins.pinset import PinSet


class As(str, Enum):
    """Name what the set is written as."""

    constraints = "constraints"
    json = "json"
    pyproject = "pyproject"
    command = "command"


def pins(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Packages, installed or not; else those that are installed."),
    ] = None,
    python: Python = None,
    prefix: Prefix = None,
    gpu: Gpus = None,
    driver: Driver = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Pin the whole speech and vision stack, for a new environment.")
    ] = False,
    format: Annotated[As, typer.Option("--format", help="What to write.")] = As.constraints,  # noqa: A002
    output: Output = None,
    write: Annotated[
        str | None,
        typer.Option("--write", metavar="FILE", help="Write them into this pyproject.toml, constraints or other list."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Print exact versions that go together here.

    For the GPUs, the driver and the Python at hand, changing as little as possible of what is installed. Exit code 1
    where a package had to be left out, 3 where there is no such set; the reasons are on stderr. What --write did,
    `gpu-doctor undo` takes back.
    """
    from gpu_doctor import doctor

    given(write=write)
    with scanning() as progress:
        target = chosen(python, prefix, gpu, driver)
        found = doctor.take_pins(target, os.environ, split(names), complete, progress)
    if write is not None and found.pins:
        _write(target, write, found, yes)
    elif found.pins or format is As.json:
        deliver(pins_text(found, format), output)
    for remark in _spoken(found, format):
        complain(remark)
    if found.left_out or not found.pins:
        raise typer.Exit(1 if found.pins else 3)


def _write(target: Target, path: str, found: PinSet, yes: bool) -> None:
    """Write the set into a file after its difference was shown and agreed to."""
    from gpu_doctor import repair
    from gpu_doctor.report.foreign import clean

    def consent(old: str, new: str) -> bool:
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), path, path, lineterm="")
        deliver("\n".join(map(clean, lines)) + "\n")
        if not (yes or can_ask()):
            complain("nobody is here to consent: nothing was changed", "give --yes to write this")
            raise typer.Exit(1)
        return yes or agreed("Write this?")

    requirements = tuple(pin.requirement for pin in found.pins)
    with scanning() as progress:
        written = repair.write_pins(target, os.environ, path, requirements, consent, progress)
    deliver(f"{path}: written (repair {written}).\n" if written else f"{path}: nothing written.\n")


def pins_text(found: PinSet, format: As) -> str:  # noqa: A002 - the option's name
    """Return a set in one of the formats."""
    from gpu_doctor.pins import render

    if format is As.json:
        return render.as_json(found)
    if format is As.pyproject:
        return render.as_pyproject(found)
    return render.as_command(found) if format is As.command else render.as_constraints(found)


def _spoken(found: PinSet, format: As) -> tuple[str, ...]:  # noqa: A002 - the option's name
    """Return what to say aside: a document says all itself, a file all but that something is missing."""
    if format is As.json:
        return ()
    if not found.pins or format is As.command:
        return found.remarks
    return found.remarks[: len(found.left_out)]
