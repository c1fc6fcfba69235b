"""One target's whole story, and a report of many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from gpu_doctor.model.finding import SEVERITIES, STAGES, CheckRun, Finding, Rule, Severity
from gpu_doctor.model.inventory import UNASKED, Inventory
from gpu_doctor.model.past import PastRepair
from gpu_doctor.model.unknown import Unknown

Verdict = Literal["healthy", "sick", "undetermined"]


@dataclass(frozen=True, slots=True)
class Case:
    """Join a target's inventory with what the rules said of it; `rules` are the rules that ran.

    `repairs` are those that the environment remembers, the latest first.
    """

    inventory: Inventory
    runs: tuple[CheckRun, ...]
    rules: tuple[Rule, ...]
    repairs: tuple[PastRepair, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Return `sick` with an error, `undetermined` where too little could be judged, else `healthy`.

        Too little: a rule crashed, none could judge, or the live interpreter was to be asked and could not be.
        """
        if any(finding.severity == "error" for finding in self.findings):
            return "sick"
        statuses = {run.status for run in self.runs}
        if "crashed" in statuses or not statuses & {"passed", "failed"} or self.unaskable:
            return "undetermined"
        return "healthy"

    @property
    def live(self) -> bool:
        """Tell whether any question was put to the live interpreter."""
        probes = self.inventory.probes
        return not isinstance(probes, Unknown) and any(probe.ending != "skipped" for probe in probes)

    @property
    def unaskable(self) -> str:
        """Return why the live interpreter could not be asked, or nothing where it was, or was not to be."""
        probes = self.inventory.probes
        if isinstance(probes, Unknown):
            return "" if probes == UNASKED else probes.reason
        return next((probe.reason for probe in probes if probe.ending == "unrunnable"), "")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return all findings, the primary cause first: worst severity, earliest stage, most consequences."""
        stages = {rule.id: STAGES.index(rule.stage) for rule in self.rules}

        everything = tuple(f for run in self.runs for f in run.findings)
        effects = Counter(f.consequence_of for f in everything)

        def rank(finding: Finding) -> tuple[bool, int, int, int, str, str]:
            return (
                finding.consequence_of is not None,
                SEVERITIES.index(finding.severity),
                stages.get(finding.rule, len(STAGES)),
                -effects[finding.fingerprint],
                finding.rule,
                finding.subject,
            )

        return tuple(sorted(everything, key=rank))

    def healed_before(self, finding: Finding) -> PastRepair | None:
        """Return the latest repair that healed this illness and was not taken back, so that something else undid it."""
        same = (finding.rule, finding.subject)
        kept = (repair for repair in self.repairs if repair.ending == "kept")
        return next((r for r in kept if any((t.rule, t.subject) == same and t.kept for t in r.treatments)), None)

    def consequences(self, primary: Finding) -> tuple[Finding, ...]:
        """Return the findings that this one explains."""
        return tuple(f for f in self.findings if f.consequence_of == primary.fingerprint)


@dataclass(frozen=True, slots=True)
class Report:
    """Hold the cases of one run, the doctor's version, and the date of its facts."""

    cases: tuple[Case, ...]
    doctor: str
    facts: str

    def fails(self, threshold: Severity | Literal["never"]) -> bool:
        """Tell whether any finding is at or above the threshold."""
        if threshold == "never":
            return False
        limit = SEVERITIES.index(threshold)
        return any(SEVERITIES.index(f.severity) <= limit for case in self.cases for f in case.findings)
