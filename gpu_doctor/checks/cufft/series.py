"""Gather what was seen of cuFFT on one GPU: the question that failed, and the experiments that followed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_doctor.checks.gpus.gpu_trials import TRANSFORMS, owned
from gpu_doctor.checks.shared.live import asked, failures, testimony
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe, Trial


@dataclass(frozen=True, slots=True)
class Series:
    """Join the `torch-gpu` question of one GPU (None: not asked) with the experiments on it, by name.

    `first` are the transforms of that question that ended badly and that no other rule explains.
    """

    gpu: str
    origin: Probe | None
    experiments: Mapping[str, Probe]
    first: tuple[Trial, ...] = ()

    @property
    def works(self) -> bool:
        """Tell whether transforms were seen to work, and none to fail."""
        if self.first or self.bad("fresh process"):
            return False
        trials = self.origin.trials if self.origin else ()
        passed = any(trial.name in TRANSFORMS and trial.outcome == "passed" for trial in trials)
        return passed or self.well("fresh process")

    @property
    def words(self) -> str:
        """Return with which words transforms failed, in the first question and in a fresh process."""
        return "\n".join(trial.detail for trial in (*self.first, *self.bad("fresh process")))

    @property
    def code(self) -> str:
        """Return the first error code among these words, such as `CUFFT_INTERNAL_ERROR`, or nothing."""
        match = re.search(r"CUFFT_\w+|out of memory", self.words)
        return match[0] if match else ""

    def bad(self, name: str, trial: str = "") -> tuple[Trial, ...]:
        """Return what went wrong in an experiment, or in its trials whose name begins like this."""
        probe = self.experiments.get(name)
        return tuple(item for item in failures(probe) if item.name.startswith(trial)) if probe else ()

    def well(self, name: str, trial: str = "") -> bool:
        """Tell whether an experiment, or its trials whose name begins like this, was made and nothing went wrong."""
        probe = self.experiments.get(name)
        passed = probe and any(t.outcome == "passed" and t.name.startswith(trial) for t in probe.trials)
        return bool(passed) and not self.bad(name, trial)

    def value(self, name: str, value: str) -> str | None:
        """Return what an experiment measured under this name, as a whole or in one of its trials."""
        probe = self.experiments.get(name)
        if probe is None:
            return None
        found = (probe.value(value), *(trial.value(value) for trial in probe.trials))
        return next((item for item in found if item is not None), None)

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what failed with its words, then the names of the experiments that passed and of those not made."""
        rows = [row for trial in self.first if self.origin for row in testimony(self.origin, trial)]
        for name, probe in self.experiments.items():
            rows += [row for trial in self.bad(name) for row in testimony(probe, trial)]
        rows += self._alike()
        passed = [name for name in self.experiments if self.well(name)]
        other = {name: probe for name, probe in self.experiments.items() if not self.well(name) and not self.bad(name)}
        if passed:
            rows.append(Evidence(f"passed on {self.gpu}", "; ".join(passed), ""))
        if other:
            rows.append(
                Evidence(f"not made on {self.gpu}", "; ".join(f"{n} ({_why(p)})" for n, p in other.items()), "")
            )
        return tuple(rows)

    def _alike(self) -> list[Evidence]:
        """Return which experiments that passed gave the same error code, as a healthy cuFFT may."""
        found = {
            f"{name}, {trial.name}": measure.value
            for name, probe in self.experiments.items()
            for trial in probe.trials
            for measure in trial.measured
            if self.code and self.code in measure.value
        }
        return [Evidence(f"the same error, as expected: {what}", words, "") for what, words in found.items()]


def every_series(inventory: Inventory) -> tuple[Series, ...]:
    """Return one series for each GPU that was asked, in their order."""
    origins = {probe.subject: probe for probe in asked(inventory, "torch-gpu")}
    made: dict[str, dict[str, Probe]] = {subject: {} for subject in origins}
    for probe in asked(inventory, "cufft"):
        gpu, _, name = probe.subject.partition(": ")
        made.setdefault(gpu, {})[name] = probe
    return tuple(_series(inventory, gpu, origins.get(gpu), experiments) for gpu, experiments in made.items())


def _series(inventory: Inventory, gpu: str, origin: Probe | None, experiments: Mapping[str, Probe]) -> Series:
    if origin is None:
        return Series(gpu, None, experiments)
    wrong = tuple(trial for trial in origin.trials if trial.outcome == "wrong")
    # Where products are wrong as well, the GPU is, and not its Fourier transform.
    mine = wrong if all(trial.name in TRANSFORMS for trial in wrong) else ()
    return Series(gpu, origin, experiments, (*owned(inventory, origin, "cufft-failure"), *mine))


def _why(probe: Probe) -> str:
    skipped = next((trial.detail for trial in probe.trials if trial.outcome == "skipped"), "")
    return probe.reason or skipped or "nothing was measured"
