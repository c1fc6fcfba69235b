"""`gpu-doctor history`: which repairs an environment remembers."""

from __future__ import annotations

import os

from gpu_doctor.cli.options import As, Format, Prefix, Python, chosen
from gpu_doctor.cli.out import deliver, look


def history(
    python: Python = None,
    prefix: Prefix = None,
    format: As = Format.text,  # noqa: A002 - the option's name
) -> None:
    """List the repairs that an environment remembers, the latest first."""
    from gpu_doctor import repair
    from gpu_doctor.report import as_history

    target = chosen(python, prefix, None, None)
    repairs = repair.history(target, os.environ)
    if format is Format.json:
        deliver(as_history.render_json(repairs))
        return
    deliver(as_history.render(repairs, target.prefix or target.python or "this environment", look()))
