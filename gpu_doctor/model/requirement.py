"""What a preflight asks of an environment, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu_doctor.model.finding import Evidence, Finding

Standing = Literal["met", "unmet", "undetermined"]

STANDINGS: tuple[Standing, ...] = ("unmet", "undetermined", "met")


@dataclass(frozen=True, slots=True)
class Requirement:
    """Hold one requirement as it was written, and its parts.

    `torch-cuda` has a name alone, `kernels:sm_120` a name and an object, `driver>=570` a name, an operator and a bound,
    `package:torch>=2.8` all of them. `where` says who asks: `--require`, or a file and its line.
    """

    text: str
    name: str
    subject: str = ""
    operator: str = ""
    bound: str = ""
    where: str = "--require"


@dataclass(frozen=True, slots=True)
class Judged:
    """Say whether a requirement is met, in one sentence, with what was seen and the findings that explain it."""

    requirement: Requirement
    standing: Standing
    message: str
    evidence: tuple[Evidence, ...] = ()
    causes: tuple[Finding, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ignored:
    """Hold a finding that somebody chose to ignore, with the reason, until when, and where that is written."""

    finding: Finding
    reason: str
    until: str = ""
    where: str = ""
