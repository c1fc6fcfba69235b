"""The report as metrics in the text format of Prometheus, for the textfile collector of its node exporter.

What is measured has metrics of its own, because the collector refuses two files that hold the same series: the figures
of `bench` may lie beside the verdict of `check`.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from gpu_doctor.model.bench import speedup
from gpu_doctor.model.case import BenchRun, Case, Report
from gpu_doctor.model.finding import SEVERITIES, Status
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.bench.figures import quantities, regressions
from gpu_doctor.report.foreign import clean

# Every metric, in the order in which they are written: all samples of one stand together.
_HELP = {
    "info": "The doctor that wrote this and the date of its facts.",
    "healthy": "1 where the environment was found healthy, else 0.",
    "verdict": "1 for the verdict of the environment, 0 for the others.",
    "findings": "How many findings of this severity there are; consequences of others are notes.",
    "rule_findings": "How many findings this rule has.",
    "rules": "How many rules ended so.",
    "gpu_info": "A GPU that was judged for.",
    "gpu_memory_bytes": "The memory of the GPU.",
    "driver_info": "The NVIDIA driver that was judged for.",
    "planned_repairs": "How many repairs are planned.",
    "planned_steps": "How many steps they have.",
    "held_back": "How many findings the plan leaves to a person.",
    "requirement_met": "1 where the requirement is met, else 0.",
    "requirement_undetermined": "1 where it could not be told whether the requirement is met.",
    "last_run_timestamp_seconds": "When the environment was examined.",
    "bench_answered": "1 where the workload came to its end, else 0.",
    "bench_comparable": "1 where the figures are those of this device alone, 0 where it was shared or throttled.",
    "bench_figure": "What was measured, in the unit of the label.",
    "bench_regressions": "How many figures are worse than in an earlier run, or are no longer there.",
    "bench_findings": "How many findings of this severity the figures gave rise to.",
    "bench_left_out": "1 for a workload that could not run here.",
    "bench_last_run_timestamp_seconds": "When the workload was measured.",
}
_VERDICTS = ("healthy", "sick", "undetermined")
_STATUSES: tuple[Status, ...] = ("passed", "failed", "skipped", "crashed")

_Sample = tuple[str, dict[str, str], float]


def render(report: Report, now: float) -> str:
    """Return the report as metrics; `now` is the time of the run in seconds since 1970."""
    samples = list(_samples(report, now))
    lines = []
    for name, words in _HELP.items():
        # A series must not be given twice, as by a requirement that was written twice.
        series = {_labels(labels): value for metric, labels, value in samples if metric == name}
        if series:
            lines += [f"# HELP gpu_doctor_{name} {words}", f"# TYPE gpu_doctor_{name} gauge"]
            lines += [f"gpu_doctor_{name}{labels} {value:.15g}" for labels, value in series.items()]
    return "\n".join(lines) + "\n"


def _samples(report: Report, now: float) -> Iterator[_Sample]:
    names = Counter[str]()
    for case in report.cases:
        prefix = case.inventory.interpreter.prefix
        names[prefix] += 1
        environment = prefix if names[prefix] == 1 else f"{prefix} ({names[prefix]})"
        told = _of_case(case, report, now) if case.bench is None else _of_figures(case, case.bench, now)
        for metric, labels, value in told:
            yield metric, {"environment": environment, **labels}, value
    where = {"environment": report.cases[0].inventory.interpreter.prefix} if report.cases else {}
    for one in report.requirements:
        asked = {**where, "requirement": one.requirement.text}
        yield "requirement_met", asked, one.standing == "met"
        yield "requirement_undetermined", asked, one.standing == "undetermined"


def _of_case(case: Case, report: Report, now: float) -> Iterator[_Sample]:
    yield "info", {"version": report.doctor, "facts": report.facts}, 1
    yield "last_run_timestamp_seconds", {}, now
    yield "healthy", {}, case.verdict == "healthy"
    for verdict in _VERDICTS:
        yield "verdict", {"verdict": verdict}, case.verdict == verdict
    severities = Counter(finding.severity for finding in case.findings)
    for severity in SEVERITIES:
        yield "findings", {"severity": severity}, severities[severity]
    for (rule, severity), count in sorted(Counter((f.rule, f.severity) for f in case.findings).items()):
        yield "rule_findings", {"rule": rule, "severity": severity}, count
    statuses = Counter(run.status for run in case.runs)
    for status in _STATUSES:
        yield "rules", {"status": status}, statuses[status]
    if case.plan is not None:
        yield "planned_repairs", {}, len(case.plan.treatments)
        yield "planned_steps", {}, sum(len(treatment.steps) for treatment in case.plan.treatments)
        yield "held_back", {}, len(case.plan.held_back)
    yield from _hardware(case)


def _of_figures(case: Case, run: BenchRun, now: float) -> Iterator[_Sample]:
    benches, worse = case.inventory.benches, [one.bench for one in regressions(case)]
    for bench in benches:
        work = {"workload": bench.wish.workload, "device": bench.wish.device}
        yield "bench_last_run_timestamp_seconds", work, now
        yield "bench_answered", work, bench.ending == "answered"
        yield "bench_comparable", work, not bench.not_comparable
        yield "bench_regressions", work, worse.count(bench)
        for one in quantities(bench, speedup(bench, benches)):
            yield "bench_figure", {**work, "model": bench.model, "figure": one.name, "unit": one.unit}, one.value
    for workload, _ in run.left_out:
        yield "bench_left_out", {"workload": workload}, 1
    severities = Counter(finding.severity for finding in case.findings)
    for severity in SEVERITIES:
        yield "bench_findings", {"severity": severity}, severities[severity]


def _hardware(case: Case) -> Iterator[_Sample]:
    gpus, driver = case.inventory.gpus, case.inventory.driver
    for number, gpu in enumerate(() if isinstance(gpus, Unknown) else gpus):
        assumed = str(gpu.assumed).lower()
        yield "gpu_info", {"gpu": str(number), "name": gpu.name, "architecture": gpu.sm, "assumed": assumed}, 1
        if gpu.memory_bytes is not None:
            yield "gpu_memory_bytes", {"gpu": str(number)}, gpu.memory_bytes
    if driver is not None and not isinstance(driver, Unknown):
        newest = "" if isinstance(driver.driver_cuda, Unknown) else str(driver.driver_cuda)
        yield "driver_info", {"version": driver.label, "cuda": newest, "assumed": str(driver.assumed).lower()}, 1


def _labels(labels: Mapping[str, str]) -> str:
    listed = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{listed}}}" if listed else ""


def _escaped(value: str) -> str:
    return clean(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
