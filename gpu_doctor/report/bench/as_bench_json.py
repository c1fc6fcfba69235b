"""What `bench` measured, as JSON, `gpu-doctor/bench/1`; its schema is docs/schema/bench-1.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gpu_doctor import __version__
from gpu_doctor.model import plain
from gpu_doctor.model.bench import Batch, Bench, Workload, speedup
from gpu_doctor.model.case import Case
from gpu_doctor.model.comparison import Comparison
from gpu_doctor.model.finding import Finding
from gpu_doctor.report.as_json import shape_finding
from gpu_doctor.report.bench.as_comparison import shape as shape_comparison

SCHEMA = "gpu-doctor/bench/1"


def render(
    case: Case,
    benches: tuple[Bench, ...],
    findings: Sequence[Finding],
    left_out: Sequence[tuple[Workload, str]],
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return what was measured as an indented JSON document, ASCII only."""
    python = case.inventory.interpreter
    document = {
        "schema": SCHEMA,
        "doctor": __version__,
        "prefix": python.prefix,
        "python": python.executable,
        "benches": [shape(bench, benches) for bench in benches],
        "findings": [shape_finding(finding) for finding in findings],
        "left_out": [{"workload": workload, "reason": reason} for workload, reason in left_out],
        "comparisons": [shape_comparison(one) for one in comparisons],
    }
    return json.dumps(document, indent=2) + "\n"


def shape(bench: Bench, benches: tuple[Bench, ...]) -> dict[str, Any]:
    """Return one bench with what follows from its fields."""
    return {
        "name": bench.name,
        "workload": bench.wish.workload,
        "device": bench.wish.device,
        "rtf": bench.rtf,
        "seconds": bench.seconds,
        "speedup": speedup(bench, benches),
        "tokens_per_second": bench.tokens_per_second,
        "variance": bench.variance,
        "recommended_batch": _batch(bench.recommended_batch),
        "largest_batch": _batch(bench.largest_batch),
        "not_comparable": list(bench.not_comparable),
        **plain.bench_to_plain(bench),
    }


def _batch(batch: Batch | None) -> dict[str, Any] | None:
    return None if batch is None else asdict(batch)
