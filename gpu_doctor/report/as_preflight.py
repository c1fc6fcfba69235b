"""The face of `preflight`: one line where all is met; else what is unmet first, with its cause and what heals it."""

from __future__ import annotations

from dataclasses import replace

from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.remedy import command
from gpu_doctor.model.requirement import STANDINGS, Judged, Standing
from gpu_doctor.report.heading import counted, write_heading
from gpu_doctor.report.paper import Column, Look, Paper
from gpu_doctor.report.words import fix_line, ignored_words

_LABELS: dict[Standing, Column] = {
    "unmet": ("UNMET", 0, "bold red"),
    "undetermined": ("UNDETERMINED", 0, "bold yellow"),
    "met": ("met", 0, "green"),
}
_CAUSES = 4
_EVIDENCE = 4


def render(report: Report, look: Look, *, seconds: float) -> str:
    """Return the preflight as text; `seconds` is how long it took."""
    paper = Paper(look)
    groups = {standing: [j for j in report.requirements if j.standing == standing] for standing in STANDINGS}
    _write_end(paper, groups, seconds)
    if groups["unmet"] or groups["undetermined"]:
        for case in report.cases:
            write_heading(paper, case.inventory)
    for standing in ("unmet", "undetermined"):
        for judged in groups[standing]:
            paper.blank()
            _write_judged(paper, report.cases[0], judged)
    if groups["met"] and (groups["unmet"] or groups["undetermined"]):
        paper.blank()
        met = ", ".join(judged.requirement.text for judged in groups["met"])
        paper.prose((f"met: {met}", "dim"))
    for ignored in report.ignored:
        paper.prose((ignored_words(ignored), "dim"))
    return paper.text()


def _write_end(paper: Paper, groups: dict[Standing, list[Judged]], seconds: float) -> None:
    """Write the verdict, in the one line that many a log shows alone."""
    met = len(groups["met"])
    if not groups["unmet"] and not groups["undetermined"]:
        paper.prose(f"{counted(met, 'requirement')} met in {seconds:.1f} s", columns=[("READY", 0, "bold green")])
        return
    words = [f"{len(group)} {standing}" for standing, group in groups.items() if group]
    label = ("NOT READY", 0, "bold red") if groups["unmet"] else ("UNDETERMINED", 0, "bold yellow")
    total = counted(sum(len(group) for group in groups.values()), "requirement")
    paper.prose(f"{', '.join(words)} of {total}, in {seconds:.1f} s", columns=[label])


def _write_judged(paper: Paper, case: Case, judged: Judged) -> None:
    requirement = judged.requirement
    asked = "" if requirement.where == "--require" else f" ({requirement.where})"
    paper.prose((requirement.text, "bold"), (asked, "dim"), columns=[_LABELS[judged.standing]])
    paper.prose(judged.message, indent=2)
    if requirement.name == "kernels":
        # The command must heal for the GPU that was asked about, not for the one that is here.
        target = replace(case.inventory.target, gpus=(requirement.subject,))
        case = replace(case, inventory=replace(case.inventory, target=target))
    for cause in judged.causes[:_CAUSES]:
        _write_cause(paper, case, cause, said=cause.message.rstrip(".") == judged.message.rstrip("."))
    left = len(judged.causes) - _CAUSES
    if left > 0:
        paper.prose((f"… and {counted(left, 'more cause')}: --format json", "dim"), indent=4)
    if not judged.causes:
        for row in judged.evidence[:_EVIDENCE]:
            paper.prose(f"{row.what}: ", (row.value, "bold"), (f" ({row.where})" if row.where else "", "dim"), indent=4)
            if row.again:
                paper.command(row.again, indent=6)


def _write_cause(paper: Paper, case: Case, cause: Finding, *, said: bool) -> None:
    if not said:
        paper.prose(cause.message, indent=4)
    paper.prose((f"{cause.rule} · {cause.subject}", "dim"), indent=4)
    remedy = cause.remedy
    if remedy is None:
        return
    paper.prose(remedy.summary.rstrip("."), indent=4, columns=[("Remedy", 0, "bold green")])
    lines = [command(step) for step in remedy.steps] if remedy.by_hand else [fix_line(case, cause)]
    for line in lines:
        paper.command(line, indent=6)
