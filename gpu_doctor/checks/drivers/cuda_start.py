"""What the driver said when CUDA was started: which of its calls failed, and with which code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpu_doctor.checks.shared.live import asked, failures, testimony
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe, Trial

# Numbers: cuda.h, enum cudaError_enum.
OUT_OF_MEMORY = 2
SYSTEM_NOT_READY = 802
DRIVER_MISMATCH = 803
COMPAT_NOT_SUPPORTED = 804


@dataclass(frozen=True, slots=True)
class StartFailure:
    """Hold one experiment of CUDA's start that ended badly; `trial` is None where the child did not come to one."""

    probe: Probe
    trial: Trial | None

    @property
    def step(self) -> str:
        """Return what failed: `cuInit`, or a GPU of the program such as `GPU 0: context`."""
        return self.trial.name if self.trial else self.probe.subject

    @property
    def code(self) -> int | None:
        """Return the driver's error code, None where it did not come to one."""
        text = self.trial.value("code") if self.trial else None
        return int(text) if text and text.isdecimal() else None

    @property
    def words(self) -> str:
        """Return the end of a sentence that begins with the step, such as `failed with 999 (CUDA_ERROR_UNKNOWN)`."""
        if self.code is not None and self.trial is not None:
            return f"failed with {self.code} ({self.trial.value('error')})"
        if self.trial is not None and self.trial.outcome != "died":
            return f"failed: {self.trial.detail.partition(': ')[2] or self.trial.detail}"
        return self.probe.reason

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Return what the child saw."""
        return testimony(self.probe, self.trial)


def start_failures(inventory: Inventory) -> tuple[StartFailure, ...]:
    """Return every experiment of CUDA's start that ended badly, in their order."""
    return tuple(failure for probe in asked(inventory, "cuda-init") for failure in _failures(probe))


def failed_with(inventory: Inventory, *codes: int) -> StartFailure | None:
    """Return the first experiment of CUDA's start that ended with one of these codes."""
    return next((failure for failure in start_failures(inventory) if failure.code in codes), None)


def started(inventory: Inventory) -> Probe | None:
    """Return the answer in which cuInit succeeded, so that libcuda and the kernel module are a pair; else None."""
    for probe in asked(inventory, "cuda-init"):
        trial = probe.trial("cuInit")
        if trial is not None and trial.outcome == "passed":
            return probe
    return None


def _failures(probe: Probe) -> Iterator[StartFailure]:
    bad = failures(probe)
    yield from (StartFailure(probe, trial) for trial in bad)
    if not bad and probe.ending not in ("answered", "unrunnable"):
        yield StartFailure(probe, None)
