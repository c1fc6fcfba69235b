"""`gpu-doctor rules`: list what the doctor can find."""

from __future__ import annotations

from gpu_doctor.cli.out import deliver, look
from gpu_doctor.cli.streams import talk


def rules() -> None:
    """List what the doctor can find.

    A rule that cannot be loaded is shown as broken, never left out.
    """
    from gpu_doctor import doctor
    from gpu_doctor.report import as_rules

    with talk():
        known = doctor.all_rules()
    deliver(as_rules.listed([(loaded.rule, loaded.broken) for loaded in known], look()))
