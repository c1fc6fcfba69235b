"""What a project writes down about its GPU environment, with the line of each word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Threshold = Literal["error", "warning", "never"]

THRESHOLDS: tuple[Threshold, ...] = ("error", "warning", "never")


@dataclass(frozen=True, slots=True)
class Written:
    """Hold one word of a file and where it stands, such as `pyproject.toml:12`."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Ignore:
    """Ask for a rule's findings, or those about one subject, to be ignored, for a reason and perhaps until a day.

    The day itself still counts.
    """

    rule: str
    reason: str
    where: str
    subject: str = ""
    until: date | None = None

    def expired(self, today: date) -> bool:
        """Tell whether it ignores nothing any more."""
        return self.until is not None and today > self.until


@dataclass(frozen=True, slots=True)
class Config:
    """Hold what `[tool.gpu-doctor]` says; `path` is the file, empty where there is none."""

    path: str = ""
    require: tuple[Written, ...] = ()
    select: tuple[Written, ...] = ()
    ignore: tuple[Ignore, ...] = ()
    gpu: tuple[str, ...] = ()
    driver: str | None = None
    fail_on: Threshold | None = None
