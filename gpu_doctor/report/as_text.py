"""The face of `check`: verdict and primary cause first, then evidence, then the one command that heals."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import CheckRun, Evidence, Finding
from gpu_doctor.model.remedy import command
from gpu_doctor.report.asked import write_asked
from gpu_doctor.report.heading import counted, hardware, write_heading
from gpu_doctor.report.paper import Column, Look, Paper
from gpu_doctor.report.words import SAFETY, fix_line, ignored_words, primaries, relapse, tally, why_undetermined

_SICK = ("SICK", 0, "bold red")
_SEVERITY = {
    "error": ("ERROR", 0, "bold red"),
    "warning": ("WARNING", 0, "bold yellow"),
    "note": ("NOTE", 0, "bold blue"),
}
_EVIDENCE = 8
_OBSERVATIONS = 3
_LINES = 5


def render(report: Report, look: Look, *, static: bool = False) -> str:
    """Return the report as text; `static` says that the user wished for files only."""
    paper = Paper(look)
    for number, case in enumerate(report.cases):
        if number:
            paper.blank()
        _write_case(paper, case, static)
    for one in report.ignored:
        paper.prose((ignored_words(one), "dim"))
    return paper.text()


def _write_case(paper: Paper, case: Case, static: bool) -> None:
    write_heading(paper, case.inventory)
    own = primaries(case)
    if case.verdict == "healthy":
        _write_health(paper, case, own)
    elif case.verdict == "undetermined":
        why = why_undetermined(case, "; --static asks for no more")
        paper.prose(why, columns=[("UNDETERMINED", 0, "bold yellow")])
    else:
        paper.prose((f"hardware: {hardware(case.inventory)}", "dim"), indent=2)
    _write_cut_off(paper, case)
    _write_primaries(paper, case, own)
    if own:
        paper.blank()
    _write_crashes(paper, case)
    _write_quiet_end(paper, case, write_asked(paper, case, static=static))


def write_findings(paper: Paper, case: Case, findings: Sequence[Finding]) -> None:
    """Write these findings of a case, each with its evidence, its remedy and what it explains."""
    causes = {finding.fingerprint for finding in findings if finding.consequence_of is None}
    _write_primaries(paper, case, [finding for finding in findings if finding.consequence_of not in causes])


def _write_primaries(paper: Paper, case: Case, own: Sequence[Finding]) -> None:
    for number, finding in enumerate(own):
        paper.blank()
        sick = finding.severity == "error" and number == 0
        label = _SICK if sick else _SEVERITY[finding.severity]
        _write_finding(paper, finding, label)
        _write_relapse(paper, case, finding)
        _write_remedy(paper, case, finding, own[:number])
        _write_effects(paper, case.consequences(finding))


def _write_health(paper: Paper, case: Case, findings: Sequence[Finding]) -> None:
    passed = sum(run.status == "passed" for run in case.runs)
    words = f"{counted(passed, 'rule')} passed; hardware: {hardware(case.inventory)}"
    if findings:
        words += f"; {tally(findings)}"
    paper.prose(words + ".", columns=[("HEALTHY", 0, "bold green")])


def _write_finding(paper: Paper, finding: Finding, label: Column) -> None:
    paper.prose((finding.message, "bold"), columns=[label])
    paper.prose((f"{finding.rule} · {finding.subject}", "dim"), indent=2)
    if finding.evidence:
        paper.blank()
        _write_evidence(paper, finding)


def _write_evidence(paper: Paper, finding: Finding) -> None:
    paper.verbatim("Evidence", indent=2)
    commands: set[str] = set()
    for item in finding.evidence[:_EVIDENCE]:
        _write_value(paper, item)
        if item.where:
            paper.prose((item.where, "dim"), indent=6)
        if item.again not in commands | {""}:
            paper.command(item.again, indent=6)
            commands.add(item.again)
    left = len(finding.evidence) - _EVIDENCE
    if left > 0:
        paper.verbatim(f"… and {left} more: --format json", "dim", indent=4)


def _write_value(paper: Paper, item: Evidence) -> None:
    lines = item.value.split("\n")
    if len(lines) == 1:
        paper.prose(f"{item.what}: ", (item.value, "bold"), indent=4)
        return
    paper.prose(f"{item.what}:", indent=4)
    for line in lines[-_LINES:]:
        paper.prose((line.lstrip(), "bold"), indent=6)


def _write_cut_off(paper: Paper, case: Case) -> None:
    for repair in case.repairs:
        if repair.ending is None:
            words = f"the repair {repair.id} was cut off: `gpu-doctor undo` takes it back, `gpu-doctor fix` goes on"
            paper.prose((words, "yellow"), indent=2)


def _write_relapse(paper: Paper, case: Case, finding: Finding) -> None:
    """Write that this was healed before: whoever repairs it the same way again will be here again."""
    words = relapse(case, finding)
    if words:
        paper.prose((words, "yellow"), indent=4)


def _write_remedy(paper: Paper, case: Case, finding: Finding, earlier: Sequence[Finding]) -> None:
    remedy = finding.remedy
    if remedy is None:
        return
    paper.blank()
    columns = [("Remedy", 0, "bold green")]
    if remedy.steps and any(other.remedy and other.remedy.steps == remedy.steps for other in earlier):
        paper.prose("the same as above", indent=2, columns=columns)
        return
    paper.prose(remedy.summary.rstrip("."), (f" ({SAFETY[remedy.safety]})", "dim"), indent=2, columns=columns)
    if not remedy.by_hand:
        paper.command(fix_line(case, finding), indent=4)
    else:
        for step in remedy.steps:
            paper.command(command(step), indent=4)
    if finding.durable is not None and not finding.durable.by_hand:
        price = f"; this one: {remedy.price.rstrip('.')}" if remedy.price else ""
        words = f"--prefer durable: {_begun(finding.durable.summary)}{price}"
        paper.prose((words, "dim"), indent=4)


def _begun(sentence: str) -> str:
    """Return a sentence as a clause: without its full stop, and with a small letter where a common word begins it."""
    text = sentence.rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _write_effects(paper: Paper, effects: Sequence[Finding]) -> None:
    if effects:
        paper.blank()
        paper.verbatim("Explained by this", indent=2)
    for effect in effects:
        paper.prose(f"{effect.message} ", (f"[{effect.rule}]", "dim"), indent=4)


def _write_crashes(paper: Paper, case: Case) -> None:
    for run in case.runs:
        if run.status == "crashed":
            paper.prose(
                f"the rule {run.rule} broke, so the verdict lacks it: {run.note}. Please report this.",
                columns=[("CRASHED", 0, "bold red reverse")],
            )


def _write_quiet_end(paper: Paper, case: Case, said: frozenset[str]) -> None:
    """Write what was not judged and not read, one quiet paragraph each; reasons that were said are not said again.

    A rule that does not apply is no loss and not mentioned.
    """
    missed = [run for run in case.runs if run.status == "skipped" and run.applies and run.note not in said]
    _write_reasons(paper, "not judged", missed)
    _write_reasons(paper, "judged in part", [r for r in case.runs if r.note and r.status in ("passed", "failed")])
    for seen in case.inventory.observations[:_OBSERVATIONS]:
        paper.prose((f"not read: {seen.where}: {seen.what}", "dim"))
    left = len(case.inventory.observations) - _OBSERVATIONS
    if left > 0:
        paper.prose((f"not read: {left} more, see `gpu-doctor inventory`", "dim"))


def _write_reasons(paper: Paper, what: str, runs: Sequence[CheckRun]) -> None:
    """Write the rules of these runs, grouped by the reason in their note."""
    reasons: dict[str, list[str]] = {}
    for run in runs:
        reasons.setdefault(run.note, []).append(run.rule)
    if reasons:
        groups = "; ".join(f"{', '.join(rules)} ({reason})" for reason, rules in reasons.items())
        paper.prose((f"{what}: {groups}", "dim"))
