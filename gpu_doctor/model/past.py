"""The repairs that an environment remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
