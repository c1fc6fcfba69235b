"""`gpu-doctor snapshot`: everything that was observed, in a file that may be given away."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gpu_doctor.cli.options import (
    Driver,
    Gpus,
    Output,
    Prefix,
    ProbeTimeout,
    Python,
    Static,
    Thorough,
    asking,
    chosen,
    here,
)
from gpu_doctor.cli.out import deliver
from gpu_doctor.cli.progress import scanning
from gpu_doctor.cli.reports import private
from gpu_doctor.cli.streams import talk

if TYPE_CHECKING:
    from gpu_doctor.between import Place


def snapshot(
    python: Python = None,
    prefix: Prefix = None,
    gpu: Gpus = None,
    driver: Driver = None,
    static: Static = False,
    probe_timeout: ProbeTimeout = None,
    thorough: Thorough = False,
    output: Output = None,
) -> None:
    """Save everything that was observed, without secrets and private names.

    `check --from FILE` finds in it, on any machine, what `check` finds here; `diff` compares it. Two snapshots of an
    unchanged environment are the same bytes.
    """
    from gpu_doctor import between

    with talk(), scanning() as progress:
        target, how = chosen(python, prefix, gpu, driver), asking(static, probe_timeout, thorough)
        text = between.snapshot(target, place(), how, progress)
    deliver(text, output)


def place() -> Place:
    """Return where words are read, and who must not be named in what is written."""
    from gpu_doctor.between import Place
    from gpu_doctor.report import redact

    known = private()
    return Place(os.environ, here(), lambda document: redact.plain(document, known), getattr(sys.stdin, "buffer", None))
