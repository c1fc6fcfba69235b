"""Words about a case that several formats say alike, before each makes them fit its own form."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from gpu_doctor.model.case import Case, Verdict
from gpu_doctor.model.finding import SEVERITIES, Finding
from gpu_doctor.model.remedy import Safety
from gpu_doctor.model.requirement import Ignored
from gpu_doctor.report.heading import counted

SAFETY: Mapping[Safety, str] = {
    "safe": "safe: changes no package, can be undone",
    "ask": "changes packages",
    "manual": "by hand",
}
_MEASURED: Mapping[Verdict, str] = {"healthy": "measured", "sick": "failed", "undetermined": "not measured"}


def verdict_word(case: Case) -> str:
    """Return the verdict in a word; of figures, what it says of them, for they are no proof of health."""
    return case.verdict if case.bench is None else _MEASURED[case.verdict]


def primaries(case: Case) -> list[Finding]:
    """Return the findings that stand for themselves; one whose cause is not in this case is never swallowed."""
    causes = {finding.fingerprint for finding in case.findings if finding.consequence_of is None}
    return [finding for finding in case.findings if finding.consequence_of not in causes]


def why_undetermined(case: Case, hint: str = "") -> str:
    """Return in a sentence why there is no verdict; `hint` follows where the live interpreter could not be asked."""
    judged = sum(run.status in ("passed", "failed") for run in case.runs)
    if judged and case.unaskable:
        passed = f"By the files alone {counted(sum(run.status == 'passed' for run in case.runs), 'rule')} passed"
        return f"The live interpreter cannot be asked: {case.unaskable}. {passed}{hint}."
    if judged:
        return f"Only {counted(judged, 'rule')} could judge."
    # Most rules stop for one reason, such as that no GPU package is installed; the others say little beside it.
    reasons = [run.note for run in case.runs if run.status == "skipped" and not run.applies]
    reason = f": {max(reasons, key=reasons.count)}" if reasons else ""
    return f"No rule could judge this environment{reason}."


def relapse(case: Case, finding: Finding) -> str:
    """Return in a clause that this was healed before, or nothing: the same repair would lead here again."""
    repair = case.healed_before(finding)
    if repair is None:
        return ""
    return f"healed before, on {repair.at[:10]} (repair {repair.id}): what was installed since took that away"


def tally(findings: Iterable[Finding]) -> str:
    """Return `2 errors, 1 warning`; what there is none of is left out."""
    found = [finding.severity for finding in findings]
    return ", ".join(counted(found.count(severity), severity) for severity in SEVERITIES if severity in found)


def ignored_words(one: Ignored) -> str:
    """Return which finding is ignored, until when, by whom and why."""
    until = f" until {one.until}" if one.until else ""
    where = f"{one.where}: " if one.where else ""
    return f"ignored{until}: {one.finding.rule} · {one.finding.subject} ({where}{one.reason})"


def fix_line(case: Case, finding: Finding) -> str:
    """Return the command line that heals a finding of this case."""
    target = case.inventory.target
    named = target.chosen_by.startswith("--")
    python = case.inventory.interpreter.executable or target.python or ""
    place = ("--python", python) if target.python else ("--prefix", target.prefix or "")
    gpus = [word for gpu in target.gpus for word in ("--gpu", gpu)]
    driver = ["--driver", target.driver] if target.driver else []
    return shlex.join(("gpu-doctor", "fix", finding.rule, *(place if named else ()), *gpus, *driver))
