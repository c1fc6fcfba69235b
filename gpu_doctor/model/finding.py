"""A rule's words, what it found, and how its run ended."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from gpu_doctor.model.probes import Kind
from gpu_doctor.model.remedy import Remedy

Severity = Literal["error", "warning", "note"]
Stage = Literal["host", "packages", "libraries", "gpu-code", "running"]
Status = Literal["passed", "failed", "skipped", "crashed"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
STAGES: tuple[Stage, ...] = ("host", "packages", "libraries", "gpu-code", "running")


@dataclass(frozen=True, slots=True)
class Rule:
    """Name one illness.

    `id` is also the file name, the docs page and the SARIF ruleId. `severity` is the worst the rule reports. `stage`
    orders causes: what is wrong earlier explains what is wrong later. `yields_to` lists the rules whose finding about
    the same seat makes this one a consequence. `symptoms` are regular expressions of error texts that it prints.
    `probes` are the kinds of questions to the live interpreter whose answers it reads.
    """

    id: str
    title: str
    severity: Severity
    stage: Stage
    yields_to: tuple[str, ...] = ()
    symptoms: tuple[str, ...] = ()
    probes: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold one observed value, what it is, and where anyone can look at it again.

    A value of several lines is one that was printed so. `again` is the shell line that shows it again, where one does.
    """

    what: str
    value: str
    where: str
    again: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """State one illness of one subject.

    `seats` name what is ill (distributions, files, variables), so that findings of one cause can be told from findings
    of several. `consequence_of` is the fingerprint of the primary finding that explains this one. `remedy` is the least
    invasive one that heals; `durable` is another one, which survives the next sync or upgrade, where there is one.
    """

    rule: str
    severity: Severity
    subject: str
    message: str
    evidence: tuple[Evidence, ...]
    remedy: Remedy | None = None
    seats: tuple[str, ...] = ()
    consequence_of: str | None = None
    durable: Remedy | None = None

    @property
    def fingerprint(self) -> str:
        """Return 16 hex digits that stay the same for the same illness of the same subject."""
        return hashlib.sha256(f"{self.rule}\0{self.subject}".encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class CheckRun:
    """Say how one rule ended on one inventory; `note` is why it was skipped, what it left open, or how it crashed.

    `applies` is False where it was skipped because the target has nothing that it judges: no loss, unlike a value that
    could not be determined.
    """

    rule: str
    status: Status
    note: str = ""
    findings: tuple[Finding, ...] = ()
    applies: bool = True
