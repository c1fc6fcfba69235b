"""One target's whole story, and a report of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from gpu_doctor.model.finding import SEVERITIES, STAGES, CheckRun, Finding, Rule, Severity
from gpu_doctor.model.inventory import UNASKED, Inventory
from gpu_doctor.model.past import PastRepair
from gpu_doctor.model.requirement import Ignored, Judged
from gpu_doctor.model.unknown import Unknown

# Only `fix` and `bench` add these, and a check must not wait for their import.
if TYPE_CHECKING:
    from gpu_doctor.model.bench import Workload
    from gpu_doctor.model.comparison import Comparison
    from gpu_doctor.model.plan import Plan

Verdict = Literal["healthy", "sick", "undetermined"]


@dataclass(frozen=True, slots=True)
class BenchRun:
    """Hold what a run of `bench` tells beside the benchmarks, which are in the case's inventory.

    `comparisons` are those with earlier benchmarks. `left_out` are the workloads that could not run, with the reason.
    """

    comparisons: tuple[Comparison, ...] = ()
    left_out: tuple[tuple[Workload, str], ...] = ()

    @property
    def regressed(self) -> bool:
        """Tell whether anything became worse, or runs no longer."""
        return any(comparison.regressed for comparison in self.comparisons)


@dataclass(frozen=True, slots=True)
class Case:
    """Join a target's inventory with what the rules said of it; `rules` are the rules that ran.

    `repairs` are those that the environment remembers, the latest first. `plan` is what is to be done about the
    findings, where that was asked. `bench` is there where figures were measured, and the findings are those about them.
    """

    inventory: Inventory
    runs: tuple[CheckRun, ...]
    rules: tuple[Rule, ...]
    repairs: tuple[PastRepair, ...] = ()
    plan: Plan | None = None
    bench: BenchRun | None = None

    @property
    def verdict(self) -> Verdict:
        """Return `sick` with an error, `undetermined` where too little could be judged, else `healthy`.

        Too little: a rule crashed, none could judge, or the live interpreter was to be asked and could not be. Of
        figures, a regression is sick as well, and too little is that nothing was measured.
        """
        if any(finding.severity == "error" for finding in self.findings):
            return "sick"
        if self.bench is not None:
            measured = any(bench.ending == "answered" for bench in self.inventory.benches)
            return "sick" if self.bench.regressed else "healthy" if measured else "undetermined"
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

    def telling(self, findings: Collection[Finding]) -> Case:
        """Return the case with no other findings than these, of the rules those that made them and those that broke."""
        runs = [replace(run, findings=tuple(f for f in run.findings if f in findings)) for run in self.runs]
        return replace(self, runs=tuple(run for run in runs if run.findings or run.status == "crashed"))

    def consequences(self, primary: Finding) -> tuple[Finding, ...]:
        """Return the findings that this one explains."""
        return tuple(f for f in self.findings if f.consequence_of == primary.fingerprint)


@dataclass(frozen=True, slots=True)
class Report:
    """Hold the cases of one run, the doctor's version, and the date of its facts.

    `requirements` are those of a preflight. `ignored` are findings that are in no case, because a file says so.
    """

    cases: tuple[Case, ...]
    doctor: str
    facts: str
    requirements: tuple[Judged, ...] = ()
    ignored: tuple[Ignored, ...] = ()

    def fails(self, threshold: Severity | Literal["never"]) -> bool:
        """Tell whether any finding is at or above the threshold."""
        if threshold == "never":
            return False
        limit = SEVERITIES.index(threshold)
        return any(SEVERITIES.index(f.severity) <= limit for case in self.cases for f in case.findings)
