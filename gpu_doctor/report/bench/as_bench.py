"""The face of `bench`: a block for each workload and device, the figure that matters first, then what to make of it."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_doctor.model.bench import Bench, Workload, speedup
from gpu_doctor.model.case import Case
from gpu_doctor.model.comparison import Comparison
from gpu_doctor.model.finding import Finding
from gpu_doctor.report.as_text import write_findings
from gpu_doctor.report.bench import as_comparison
from gpu_doctor.report.bench.figures import about, failure, rows
from gpu_doctor.report.heading import hardware, write_heading
from gpu_doctor.report.paper import Look, Paper

_LABEL = 14


def render(
    case: Case,
    benches: tuple[Bench, ...],
    findings: Sequence[Finding],
    left_out: Sequence[tuple[Workload, str]],
    look: Look,
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return what was measured, what the rules say of it, what was left out with the reason, and the comparisons."""
    paper = Paper(look)
    write_heading(paper, case.inventory)
    paper.prose((f"hardware: {hardware(case.inventory)}", "dim"), indent=2)
    for bench in benches:
        paper.blank()
        _write_bench(paper, bench, speedup(bench, benches))
    write_findings(paper, case, findings)
    if left_out:
        paper.blank()
    for workload, why in left_out:
        paper.prose((f"left out: {workload}: {why}", "dim"))
    return "\n".join((paper.text(), *(as_comparison.render(one, look) for one in comparisons)))


def _write_bench(paper: Paper, bench: Bench, faster: float | None) -> None:
    paper.prose(about(bench), columns=[(bench.name, 0, "bold")])
    if bench.ending != "answered":
        paper.prose(failure(bench), indent=2, columns=[("NOT MEASURED", 0, "bold red")])
    for label, words in rows(bench, faster):
        paper.prose(words, indent=2, columns=[(label, _LABEL, "")])
    for why in bench.not_comparable:
        paper.prose(why, indent=2, columns=[("not comparable", _LABEL, "bold yellow")])
