"""`gpu-doctor lock`: write down the GPU stack of an environment that is known to be good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gpu_doctor.cli.options import Prefix, ProbeTimeout, Python, Static, asking, chosen
from gpu_doctor.cli.out import complain, deliver
from gpu_doctor.cli.progress import scanning
from gpu_doctor.cli.snapshot import place
from gpu_doctor.cli.streams import talk

if TYPE_CHECKING:
    from gpu_doctor.model.case import Case


def lock(
    python: Python = None,
    prefix: Prefix = None,
    static: Static = False,
    probe_timeout: ProbeTimeout = None,
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Write here (`-`: stdout).")
    ] = "gpu-doctor.lock",
    force: Annotated[bool, typer.Option("--force", help="Lock it although it was not found healthy.")] = False,
) -> None:
    """Record the GPU stack of a healthy environment: packages with their builds and files, libraries, driver.

    `gpu-doctor drift` compares the environment, or another one, with it.

    Exit codes: 0 written; 1 the environment is sick; 2 usage; 3 its health, or what it holds, cannot be told.
    """
    from gpu_doctor import between
    from gpu_doctor.report import as_lock

    with talk(), scanning() as progress:
        target, how = chosen(python, prefix, None, None), asking(static, probe_timeout)
        locked, case = between.take_lock(target, place(), how, progress)
    if case.verdict != "healthy" and not force:
        complain(*_refusal(case))
        raise typer.Exit(1 if case.verdict == "sick" else 3)
    deliver(as_lock.render(locked), output)


def _refusal(case: Case) -> tuple[str, str]:
    hint = "`gpu-doctor check` tells more; --force locks it nevertheless"
    if case.verdict == "sick":
        return f"not locked, because it is sick: {case.findings[0].message}", hint
    return f"not locked, because it is not known to be healthy{f': {case.unaskable}' if case.unaskable else ''}", hint
