"""One case as the page shows it: the verdict first, then everything that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpu_doctor.model.case import Case, Report, Verdict
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.requirement import STANDINGS, Ignored, Judged, Standing
from gpu_doctor.report.heading import counted, hardware
from gpu_doctor.report.html.bench import Plotted, left_out, outcome, plots, worse
from gpu_doctor.report.html.coverage import Coverage, coverage
from gpu_doctor.report.html.facts import (
    Fact,
    Unjudged,
    environment,
    machine,
    packages,
    unjudged,
    variables,
)
from gpu_doctor.report.html.findings import Cure, Illness, Shown, anchor, first_cure, illnesses, shown
from gpu_doctor.report.html.libraries import Family, library_map
from gpu_doctor.report.html.plan import Planned, planned
from gpu_doctor.report.html.probes import Asking, asking
from gpu_doctor.report.html.words import line
from gpu_doctor.report.words import primaries, tally, verdict_word, why_undetermined


@dataclass(frozen=True, slots=True)
class Page:
    """Hold what the template shows of one case; `key` begins the ids in it.

    `verdict` colours the page, `word` names it. `planned` is None where no plan was asked for. `figures` says that no
    more than these was judged, so that nothing is said of the rest.
    """

    key: str
    verdict: Verdict
    word: str
    place: str
    chosen_by: str
    hardware: str
    sentence: str
    primary: str
    cure: Cure | None
    tally: str
    cut_off: tuple[str, ...]
    illnesses: tuple[Illness, ...]
    planned: tuple[Planned, ...] | None
    coverage: Coverage | None
    families: tuple[Family, ...]
    asking: Asking
    figures: bool
    plots: tuple[Plotted, ...]
    worse: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    unjudged: Unjudged
    environment: tuple[Fact, ...]
    machine: tuple[Fact, ...]
    variables: tuple[tuple[str, str], ...]
    packages: tuple[tuple[str, str, str], ...]

    @property
    def settled(self) -> tuple[Family, ...]:
        """Return the libraries of which everyone gets the one copy."""
        return tuple(family for family in self.families if not family.contested)

    @property
    def contents(self) -> tuple[tuple[str, str], ...]:
        """Return the id and the name of each part that the page has of this case."""
        asked = self.asking.rows or self.asking.untried or self.asking.unasked
        parts = (
            ("findings", "Findings", self.illnesses),
            ("plan", "Plan", self.planned is not None),
            ("coverage", "GPU code", self.coverage),
            ("libraries", "Library map", self.families),
            ("probes", "Questions", asked and not self.figures),
            ("benches", "Benchmarks", self.plots or self.left_out),
            ("unjudged", "Not judged", not self.figures),
            ("environment", "Environment", True),
        )
        return tuple((part, name) for part, name, there in parts if there)


@dataclass(frozen=True, slots=True)
class Demand:
    """Hold one requirement of a preflight and what became of it; causes are a sentence, a rule and a place here."""

    standing: Standing
    text: str
    message: str
    where: str
    seconds: str
    shown: tuple[Shown, ...]
    causes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Silenced:
    """Hold a finding that a file says to ignore."""

    message: str
    rule: str
    reason: str
    until: str
    where: str


def page(case: Case, key: str) -> Page:
    """Return a case as the template shows it."""
    inventory = case.inventory
    own = primaries(case)
    primary = own[0] if own and case.verdict == "sick" else None
    return Page(
        key=key,
        verdict=case.verdict,
        word=verdict_word(case),
        place=line(inventory.interpreter.prefix),
        chosen_by=line(inventory.target.chosen_by),
        hardware=line(hardware(inventory)),
        sentence=line(primary.message) if primary else _sentence(case),
        primary=anchor(primary, key) if primary else "",
        cure=first_cure(case, primary) if primary else None,
        tally=_tally(case, own),
        cut_off=tuple(line(repair.id) for repair in case.repairs if repair.ending is None),
        illnesses=illnesses(case, key),
        planned=planned(case, key),
        coverage=coverage(inventory),
        families=library_map(inventory),
        asking=asking(case, f"{key}-times"),
        figures=case.bench is not None,
        plots=plots(case, key),
        worse=worse(case),
        left_out=left_out(case),
        unjudged=unjudged(case),
        environment=environment(inventory),
        machine=machine(inventory),
        variables=variables(inventory),
        packages=packages(inventory),
    )


def demands(report: Report) -> tuple[Demand, ...]:
    """Return the requirements, those that are not met first."""
    known = {
        finding.fingerprint: anchor(finding, f"case-{number}")
        for number, case in enumerate(report.cases, 1)
        for finding in case.findings
    }
    ordered = sorted(report.requirements, key=lambda judged: STANDINGS.index(judged.standing))
    return tuple(_demand(judged, known) for judged in ordered)


def silenced(ignored: Ignored) -> Silenced:
    """Return an ignored finding as the template shows it."""
    finding = ignored.finding
    words = (finding.message, finding.rule, ignored.reason, ignored.until, ignored.where)
    return Silenced(*map(line, words))


def _demand(judged: Judged, known: dict[str, str]) -> Demand:
    return Demand(
        standing=judged.standing,
        text=line(judged.requirement.text),
        message=line(judged.message),
        where=line(judged.requirement.where),
        seconds=f"{judged.seconds:.1f} s" if judged.seconds >= 0.05 else "",
        shown=shown(judged.evidence),
        causes=tuple((line(one.message), line(one.rule), known.get(one.fingerprint, "")) for one in judged.causes),
    )


def _sentence(case: Case) -> str:
    if case.bench is not None:
        return outcome(case)
    if case.verdict == "undetermined":
        return line(why_undetermined(case))
    passed = sum(run.status == "passed" for run in case.runs)
    return f"{counted(passed, 'rule')} passed{', with remarks below' if case.findings else ''}."


def _tally(case: Case, own: Sequence[Finding]) -> str:
    """Return how many rules passed, found something, could not judge or broke."""
    if case.bench is not None:
        return tally(own)
    passed = f"{counted(sum(run.status == 'passed' for run in case.runs), 'rule')} passed"
    missed = sum(run.status == "skipped" and run.applies for run in case.runs)
    return " · ".join(filter(None, (tally(own), passed, f"{missed} could not judge" if missed else "")))
