"""Which figures of a GPU can be held to the facts' floors, and why others cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpu_doctor.checks.benches.measured import ran_elsewhere
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.bench import Bench, Figure
from gpu_doctor.model.hardware import Gpu

_SLICE = re.compile(r"\bMIG\b")


def hindrance(bench: Bench, gpu: Gpu | None, facts: Facts) -> str:
    """Return why a benchmark's figures say nothing of its GPU, or nothing."""
    if ran_elsewhere(bench):
        return "it was computed by the CPU"
    if gpu is None:
        return "which GPU that is, is not known"
    if _SLICE.search(gpu.name) or _SLICE.search(bench.device_name):
        return "a slice of a GPU (MIG) has only a part of its multiprocessors"
    if bench.not_comparable:
        return f"not comparable, {bench.not_comparable[0]}"
    figures = [figure for figure in bench.figures if figure.kind and not figure.reason]
    if figures and all(figure.peak is None for figure in figures):
        return f"the theoretical peak of {gpu.name} is not known: the driver does not tell its clocks, or it is new"
    if not figures:
        return "no figure with a known limit was measured"
    if not any(judged(bench, gpu, facts)):
        return f"the facts of {facts.date} have no floor for {gpu.label}"
    return ""


def judged(bench: Bench, gpu: Gpu, facts: Facts) -> Iterator[tuple[Figure, float]]:
    """Yield the figures that have a peak and a floor, with that."""
    for figure in bench.figures:
        floor = facts.floor(figure.kind, gpu.capability, gpu.name)
        if floor is not None and figure.fraction is not None and not figure.reason:
            yield figure, floor
