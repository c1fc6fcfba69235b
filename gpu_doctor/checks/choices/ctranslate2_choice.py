"""Choose a CTranslate2 release that carries no cuDNN of its own, where the packages that use it allow one."""

from __future__ import annotations

from packaging.version import Version

from gpu_doctor.checks.shared.placed import placed_again
from gpu_doctor.checks.shared.requirements import holding
from gpu_doctor.checks.shared.stack import install, release
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow, Unknown

# From here on `import ctranslate2` imports no torch, and with it no cuBLAS.
_FIRST_WITHOUT_TORCH = Version("4.8.2")


def upgrade(inventory: Inventory, facts: Facts, *, together: bool = False) -> Remedy | None:
    """Return the upgrade that removes the bundled cuDNN for good, or None where a pin forbids it.

    With `together`, the packages that pin CTranslate2 are upgraded with it.
    """
    first = facts.first_ctranslate2_without_cudnn()
    installed = inventory.distribution("ctranslate2")
    try:
        if installed is None or release(installed) >= first:
            return None
    except CannotKnow:
        return None
    pinning = holding(inventory, "ctranslate2", first)
    if not _has_wheel(inventory, facts, first) or (pinning and not together):
        return None
    last = _FIRST_WITHOUT_TORCH if inventory.distribution("torch") else first.major + 1
    step = install(inventory, f"ctranslate2>={first},<{last}", *pinning)
    reason = (
        f", together with {' and '.join(pinning)}, which hold{'s' * (len(pinning) == 1)} it back" if pinning else ""
    )
    summary = f"Upgrade ctranslate2 to {first} or newer, which bundles no cuDNN{reason}."
    # The links to cuDNN go with the old release and are needed no more; those to other libraries are.
    steps = (step, *placed_again(inventory, "ctranslate2", but="libcudnn"))
    price = f"changes ctranslate2 {installed.version} and downloads the new one; a sync to an older pin takes it back"
    return Remedy(summary, "ask", steps, price)


def _has_wheel(inventory: Inventory, facts: Facts, version: Version) -> bool:
    row, python = facts.ctranslate2(version), inventory.interpreter.version
    return row is None or isinstance(python, Unknown) or row.pythons[0].release[:2] <= python.release[:2]
