"""`gpu-doctor inventory`: show or save everything that was observed."""

from __future__ import annotations

import os

from gpu_doctor.cli.options import (
    As,
    Driver,
    Format,
    Gpus,
    Output,
    Prefix,
    ProbeTimeout,
    Python,
    Static,
    Thorough,
    asking,
    chosen,
)
from gpu_doctor.cli.out import deliver, look
from gpu_doctor.cli.progress import scanning


def inventory(
    python: Python = None,
    prefix: Prefix = None,
    gpu: Gpus = None,
    driver: Driver = None,
    static: Static = False,
    probe_timeout: ProbeTimeout = None,
    thorough: Thorough = False,
    format: As = Format.text,  # noqa: A002 - the option's name
    output: Output = None,
) -> None:
    """Show what is installed and what could be seen of the machine.

    `--format json --output FILE` saves it for `gpu-doctor check --from FILE`, on any machine.
    """
    from gpu_doctor import doctor

    with scanning() as progress:
        target, how = chosen(python, prefix, gpu, driver), asking(static, probe_timeout, thorough)
        seen = doctor.take_inventory(target, os.environ, how, progress)
    if format is Format.json:
        from gpu_doctor.model import plain

        deliver(plain.dumps(seen), output)
        return
    from gpu_doctor.report import as_inventory

    deliver(as_inventory.render(seen, look(output)), output)
