"""What runs on the driver all the same, what says that it is too old, and what else would run on it."""

from __future__ import annotations

import re

from packaging.version import Version

from gpu_doctor.checks.choices import ort_choice
from gpu_doctor.checks.choices.torch_choice import replacement
from gpu_doctor.checks.drivers import system
from gpu_doctor.checks.shared.live import asked, failures, testimony
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy

_TOO_OLD = re.compile(r"driver on your system is too old|driver version is insufficient for CUDA runtime version")


def runs_on_gpu(inventory: Inventory) -> frozenset[str]:
    """Return the distributions whose kernels were seen to run on this driver, whatever its number is."""
    launched = (probe.trial("launch kernel") for probe in asked(inventory, "torch-gpu"))
    return frozenset({"torch"} if any(trial is not None and trial.outcome == "passed" for trial in launched) else ())


def complaints(inventory: Inventory) -> tuple[Evidence, ...]:
    """Return where the live interpreter was told that the driver is too old."""
    told = [(p, t) for p in asked(inventory, "torch-gpu") for t in failures(p) if _TOO_OLD.search(t.detail)]
    return tuple(row for probe, trial in told for row in testimony(probe, trial))


def builds_that_fit(inventory: Inventory, facts: Facts, driver: Version, names: frozenset[str], needed: str) -> Remedy:
    """Return other builds for this driver where these packages alone are too new, else the driver that they need."""
    # Another build helps where one package is too new, not where its neighbours are as well.
    other = replacement(inventory, facts) if names <= {"torch", "torchvision", "torchaudio"} else None
    if names == {"onnxruntime-gpu"}:
        other = ort_choice.for_driver(inventory, facts, driver)
    return other or system.driver(
        inventory.host, f"Update the NVIDIA driver to {needed} or newer (needs root and a reboot)."
    )
