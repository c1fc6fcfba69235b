"""What is to be done about which findings, and what is left to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu_doctor.model.finding import Finding
from gpu_doctor.model.remedy import Remedy, Step

Prefer = Literal["minimal", "durable"]
Allow = Literal["safe", "ask"]


@dataclass(frozen=True, slots=True)
class Wish:
    """Say what to heal and how far to go.

    `names` are topics and rule ids (empty: everything). `prefer` chooses between a finding's two remedies, `allow` is
    the least safe kind of remedy that may be applied.
    """

    names: tuple[str, ...] = ()
    prefer: Prefer = "minimal"
    allow: Allow = "ask"


@dataclass(frozen=True, slots=True)
class Treatment:
    """Hold one illness, the remedy that was chosen for it, and the steps in the order in which they are done.

    `steps` are the remedy's, and what keeps the packages' RECORDs true. `instead` is the remedy that was not chosen.
    """

    finding: Finding
    remedy: Remedy
    steps: tuple[Step, ...]
    instead: Remedy | None = None


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Hold one illness that the doctor does not treat, why, and the remedy that a person may apply, if any."""

    finding: Finding
    remedy: Remedy | None
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """List what is to be done, worst illness first, and what was held back."""

    treatments: tuple[Treatment, ...]
    held_back: tuple[HeldBack, ...]
