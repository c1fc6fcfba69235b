"""What is not the same on two sides: rules whose verdict turned, and things that differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu_doctor.model.case import Verdict
from gpu_doctor.model.finding import Severity

Area = Literal["driver", "gpu", "gpu package", "library", "variable", "interpreter", "host", "package"]
Kind = Literal["snapshot", "environment", "image"]
Turning = Literal["fails", "says otherwise", "passes", "open"]

AREAS: tuple[Area, ...] = ("driver", "gpu", "gpu package", "library", "variable", "interpreter", "host", "package")
"""The areas, what can explain a symptom best first; the first six are the GPU's, the last two its surroundings."""

TURNINGS: tuple[Turning, ...] = ("fails", "says otherwise", "passes", "open")


@dataclass(frozen=True, slots=True)
class Side:
    """Name one of two things that are compared; `verdict` is None where it was not judged."""

    name: str
    kind: Kind
    python: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Say how the verdict of one rule turned from left to right.

    `fails`: it fails on the right alone. `says otherwise`: it fails on both, with other findings. `passes`: it fails on
    the left alone. `open`: it fails on the left, and could not judge on the right. `left` and `right` are the messages
    of its findings; `note` is why it could not judge on the side where it did not.
    """

    rule: str
    title: str
    severity: Severity
    kind: Turning
    left: tuple[str, ...]
    right: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Differing:
    """Name one thing that differs; an empty value is one that is absent there. `detail` adds what the values hide."""

    area: Area
    subject: str
    left: str
    right: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Uncompared:
    """Name what was not compared, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Contrast:
    """Hold two sides against each other: turns and differences, ranked, then what is equal and what is not compared."""

    left: Side
    right: Side
    turns: tuple[Turn, ...] = ()
    differing: tuple[Differing, ...] = ()
    equal: tuple[str, ...] = ()
    uncompared: tuple[Uncompared, ...] = ()

    @property
    def same(self) -> bool:
        """Tell whether nothing that was compared differs."""
        return not self.turns and not self.differing

    def of(self, area: Area) -> tuple[Differing, ...]:
        """Return what differs in one area."""
        return tuple(one for one in self.differing if one.area == area)
