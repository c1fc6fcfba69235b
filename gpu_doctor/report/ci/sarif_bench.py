"""What a SARIF document says of measured workloads, beside the results of rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpu_doctor.model.bench import Bench, speedup
from gpu_doctor.model.case import Case
from gpu_doctor.report.bench.as_comparison import shape
from gpu_doctor.report.bench.figures import REGRESSION, failure, quantities

_HELP = (
    "`gpu-doctor bench --compare` holds figures against earlier ones. One that is worse by more than `--tolerance`, and"
    " by more than twice the spread of either run, is a regression, and so is what ran before and runs no longer."
)
RULE: Mapping[str, Any] = {
    "id": REGRESSION,
    "name": "BenchRegression",
    "shortDescription": {"text": "A measured figure is worse than before"},
    "fullDescription": {"text": _HELP},
    "help": {"text": _HELP, "markdown": _HELP},
    "defaultConfiguration": {"level": "error"},
    "properties": {"tags": ["gpu", "bench"]},
}


def measured(case: Case) -> dict[str, Any] | None:
    """Return the figures of a case as a property, or None where it is not about figures."""
    run, benches = case.bench, case.inventory.benches
    if run is None:
        return None
    return {
        "environment": case.inventory.interpreter.prefix,
        "benches": [_bench(bench, speedup(bench, benches)) for bench in benches],
        "left_out": [{"workload": workload, "reason": reason} for workload, reason in run.left_out],
        "comparisons": [shape(comparison) for comparison in run.comparisons],
    }


def unmeasured(case: Case) -> list[str]:
    """Return in sentences which workloads were left out or did not come to their end."""
    if case.bench is None:
        return []
    ended = [f"{bench.name}: {failure(bench)}" for bench in case.inventory.benches if failure(bench)]
    return [*ended, *(f"Left out: {workload}: {reason}" for workload, reason in case.bench.left_out)]


def _bench(bench: Bench, faster: float | None) -> dict[str, Any]:
    return {
        "name": bench.name,
        "workload": bench.wish.workload,
        "device": bench.wish.device,
        "device_name": bench.device_name,
        "model": bench.model,
        "dtype": bench.dtype,
        "ending": bench.ending,
        "reason": bench.reason,
        "not_comparable": list(bench.not_comparable),
        "figures": [{"name": q.name, "value": q.value, "unit": q.unit} for q in quantities(bench, faster)],
    }
