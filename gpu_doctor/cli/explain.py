"""`gpu-doctor explain`: what a rule finds, why it matters, what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from gpu_doctor.cli.options import complete_rule
from gpu_doctor.cli.out import deliver, look
from gpu_doctor.cli.streams import talk


def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="A rule's id.", autocompletion=complete_rule)],
) -> None:
    """Explain a rule: what it finds, why it matters, what to do."""
    from gpu_doctor import doctor
    from gpu_doctor.report import as_rules

    with talk():
        loaded = doctor.explain(rule)
    deliver(as_rules.explained(loaded.rule, loaded.doc, loaded.broken, look()))
