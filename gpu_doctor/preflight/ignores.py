"""Take findings out of a report that a project chose to ignore, and say which choices are over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.config import Config, Ignore
from gpu_doctor.model.finding import CheckRun, Finding
from gpu_doctor.model.requirement import Ignored


def apply(report: Report, config: Config, today: date) -> Report:
    """Return the report with ignored findings, and what they explain, moved out of its cases into `ignored`."""
    active = [item for item in config.ignore if not item.expired(today)]
    if not active:
        return report
    pairs = [_without(case, active) for case in report.cases]
    gone = tuple(item for _, ignored in pairs for item in ignored)
    return replace(report, cases=tuple(case for case, _ in pairs), ignored=(*report.ignored, *gone))


def expired(config: Config, today: date) -> tuple[str, ...]:
    """Return a sentence for each choice that is over and ignores nothing any more."""
    return tuple(
        f"{item.where}: {item.rule} is not ignored any more since {item.until}: {item.reason}"
        for item in config.ignore
        if item.expired(today)
    )


def _without(case: Case, active: Sequence[Ignore]) -> tuple[Case, tuple[Ignored, ...]]:
    chosen: dict[Finding, Ignore] = {}
    for finding in case.findings:
        match = next((item for item in active if _matches(item, finding)), None)
        if match is not None:
            chosen[finding] = match
    by_print = {finding.fingerprint: item for finding, item in chosen.items() if finding.consequence_of is None}
    for finding in case.findings:
        cause = by_print.get(finding.consequence_of or "")
        if cause is not None:
            chosen.setdefault(finding, cause)
    if not chosen:
        return case, ()
    left = replace(case, runs=tuple(_left(run, chosen) for run in case.runs))
    return left, tuple(Ignored(f, it.reason, str(it.until or ""), it.where) for f, it in chosen.items())


def _matches(item: Ignore, finding: Finding) -> bool:
    return item.rule == finding.rule and item.subject in ("", finding.subject)


def _left(run: CheckRun, chosen: dict[Finding, Ignore]) -> CheckRun:
    kept = tuple(finding for finding in run.findings if finding not in chosen)
    if len(kept) == len(run.findings):
        return run
    reasons = dict.fromkeys(chosen[finding].reason for finding in run.findings if finding in chosen)
    note = "; ".join(filter(None, (run.note, f"ignored: {', '.join(reasons)}")))
    # A run without findings is no failed one; that something was ignored stays said.
    status = run.status if kept or run.status != "failed" else "passed"
    return replace(run, findings=kept, note=note, status=status)
