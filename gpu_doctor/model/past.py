"""What an environment remembers, in a folder of its own: repairs and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu_doctor.model.bench import Bench

HOME = ".gpu-doctor"
"""The folder, below the environment's prefix, that remembers."""

Ending = Literal["kept", "rolled back", "undone"]


@dataclass(frozen=True, slots=True)
class PastTreatment:
    """Hold what a journal says of one treatment; `kept` is None where it was cut off before that was decided."""

    rule: str
    subject: str
    message: str
    summary: str
    kept: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class PastRepair:
    """Hold one repair that an environment's journal tells of; `ending` is None where it was cut off."""

    id: str
    at: str
    asked: str
    doctor: str
    journal: str
    treatments: tuple[PastTreatment, ...]
    ending: Ending | None
    undoing: bool = False

    @property
    def can_be_undone(self) -> bool:
        """Tell whether something of it is, or may be, in the environment."""
        return self.ending in (None, "kept")


@dataclass(frozen=True, slots=True)
class Setting:
    """Hold what surrounded a benchmark, empty where it is not known.

    `doctor` and `python` are versions, `driver` is NVIDIA's spelling of its own; `gpu` and `uuid` name the GPU.
    """

    doctor: str = ""
    python: str = ""
    driver: str = ""
    gpu: str = ""
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class PastBench:
    """Hold one benchmark that was saved, and what surrounded it."""

    bench: Bench
    setting: Setting = Setting()


@dataclass(frozen=True, slots=True)
class PastBenches:
    """Hold the saved benchmarks, the latest last; `skipped` counts lines that could not be read."""

    saved: tuple[PastBench, ...] = ()
    skipped: int = 0
