"""Tell by a second look whether a treatment healed, and whether it broke something else; pure."""

from __future__ import annotations

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import SEVERITIES, CheckRun, Finding

# What it finds depends on which other programs run at the moment, not on the environment.
_FICKLE = frozenset({"gpu-out-of-memory"})


def proven(finding: Finding, after: Case) -> bool:
    """Tell whether a finding is gone: its rule ran, without a crash, and finds no more than a note of it.

    A rule that cannot judge any more proves nothing.
    """
    run = _run(after, finding.rule)
    if run is None or run.status == "crashed" or (run.status == "skipped" and run.applies):
        return False
    return all(
        f.fingerprint != finding.fingerprint or (f.severity == "note" and not f.consequence_of) for f in run.findings
    )


def worse(before: Case, after: Case) -> tuple[Finding, ...]:
    """Return what is found now by a rule that could judge before and did not find it, or found less of it.

    A rule that could not be judged before may fail now: that is progress, and the next finding. So is what was the
    consequence of something that is healed.
    """
    known = {f.fingerprint: 0 if f.consequence_of else SEVERITIES.index(f.severity) for f in before.findings}
    found = []
    for run in after.runs:
        earlier = _run(before, run.rule)
        if earlier is None or earlier.status not in ("passed", "failed") or run.rule in _FICKLE:
            continue
        # What was judged in part may have been there already; so may be what hid behind a failure of the same rule.
        whole = earlier.status == "passed" and not earlier.note
        counts = ("error", "warning") if whole else ("error",)
        new = (f for f in run.findings if SEVERITIES.index(f.severity) < known.get(f.fingerprint, len(SEVERITIES)))
        found += [f for f in new if f.severity in counts]
    return tuple(found)


def _run(case: Case, rule: str) -> CheckRun | None:
    return next((run for run in case.runs if run.rule == rule), None)
