"""What became of a benchmark since another one: faster or slower, beyond what is noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu_doctor.model.bench import Bench

Verdict = Literal["better", "same", "worse"]
Aim = Literal["lower", "higher"]

TOLERANCE = 0.1
_LOWER = {"s", "ms", "us", "µs", "ns", "bytes", "B", "KiB", "MiB", "GiB", "rtf", "s/image"}
_HIGHER = {"x real time"}


def aim(unit: str) -> Aim | None:
    """Return whether a lower or a higher value of this unit is better; None for a unit that does not tell."""
    if unit.endswith("/s") or unit in _HIGHER:
        return "higher"
    return "lower" if unit in _LOWER else None


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold one quantity of two benchmarks; `tolerance` is the share up to which it counts as the same."""

    name: str
    unit: str
    now: float
    baseline: float
    tolerance: float
    verdict: Verdict

    @property
    def change(self) -> float | None:
        """Return how much it grew, as a share of what it was; None where it was nothing."""
        return self.now / self.baseline - 1 if self.baseline else None


@dataclass(frozen=True, slots=True)
class Changed:
    """Name what is not as it was: a package's version, or where the work was done; empty for absent."""

    name: str
    now: str
    baseline: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Hold a benchmark against an earlier one.

    `lost` says what ran before and does not run now, each in a clause. `not_comparable` says why the two say nothing
    about each other; then there are no differences. `notes` say which quantities were left out, and why.
    """

    now: Bench
    baseline: Bench
    tolerance: float
    differences: tuple[Difference, ...] = ()
    lost: tuple[str, ...] = ()
    not_comparable: tuple[str, ...] = ()
    changed: tuple[Changed, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def regressions(self) -> tuple[Difference, ...]:
        """Return the quantities that became worse beyond their tolerance."""
        return tuple(one for one in self.differences if one.verdict == "worse")

    @property
    def regressed(self) -> bool:
        """Tell whether anything became worse, or runs no longer."""
        return bool(self.regressions or self.lost)
