"""What to ask the live interpreter, and how patiently."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.model.probes import KINDS, Kind


@dataclass(frozen=True, slots=True)
class Wish:
    """Say what to ask: these kinds, `deadline` seconds each (None: what suits each), `thorough` for everything."""

    kinds: frozenset[Kind] = frozenset(KINDS)
    deadline: float | None = None
    thorough: bool = False
