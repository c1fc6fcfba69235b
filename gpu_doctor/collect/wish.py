"""What to ask the live interpreter, and how patiently."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.model.probes import KINDS, Kind
from gpu_doctor.probe.limit import Limit


@dataclass(frozen=True, slots=True)
class Wish:
    """Say what to ask: these kinds, `deadline` seconds each (None: what suits each), `thorough` for everything.

    `limit` is when all of it must be done.
    """

    kinds: frozenset[Kind] = frozenset(KINDS)
    deadline: float | None = None
    thorough: bool = False
    limit: Limit | None = None
