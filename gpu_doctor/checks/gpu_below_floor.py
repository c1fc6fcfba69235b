"""A GPU reaches less of its peak than the weakest healthy one of its generation.

What it finds. Figures of `gpu-doctor bench matmul` and `copy` whose share of the theoretical peak (highest
clock, multiprocessors, memory clock and bus as the driver tells them) lies below the facts' floor for GPUs of this
capability, and of this name where more is known. Floors are conservative: half or less of what healthy GPUs reached.

Why it matters. Everything that runs on this GPU is slow by the same factor, and no program says so. Usual causes: a
power cable or slot that gives too little, a power limit, a dirty cooler, a clock that somebody locked, a memory clock
that stays at idle.

What to do. Look at the clocks, the power limit and the reasons for throttling while it works; the command is in the
finding. A figure from a GPU that is shared or throttled is not judged: measure again when it is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.benches.floors import hindrance, judged
from gpu_doctor.checks.benches.measured import answered, gpu_of, seats, state, subject, wants_gpu
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.bench import Bench, Figure
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import DoesNotApply, Unknown

RULE = Rule(
    id="gpu-below-floor",
    title="A GPU is much slower than its kind",
    severity="warning",
    stage="running",
    yields_to=("gpu-out-of-memory", "kernel-image-missing"),
)

_LOOK = RunByHand(
    "nvidia-smi -q -d CLOCK,POWER,PERFORMANCE,TEMPERATURE", "while the benchmark runs: clocks, limits, throttling"
)

# Large products and copies come near the peak on every healthy GPU; of other operations that depends on their shape.
_LIMITED = ("matmul", "copy")


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Compare the figures of each GPU with the floors of its generation."""
    found = [bench for bench in answered(inventory) if bench.wish.workload in _LIMITED and wants_gpu(bench)]
    if not found:
        raise DoesNotApply("no matrix product or copy was measured on a GPU")
    for bench in found:
        gpu = gpu_of(inventory, bench)
        reason = hindrance(bench, gpu, facts)
        if reason or gpu is None:
            yield Unknown(f"{bench.name}: {reason}")
            continue
        low = [(one, floor) for one, floor in judged(bench, gpu, facts) if (one.fraction or 0.0) < floor]
        if low:
            yield _finding(inventory, facts, bench, gpu, low)


def _finding(inventory: Inventory, facts: Facts, bench: Bench, gpu: Gpu, low: list[tuple[Figure, float]]) -> Finding:
    worst, floor = min(low, key=lambda item: (item[0].fraction or 0.0) / item[1])
    rows = [Evidence(f"measured: {f.name} on {bench.wish.device}", _shown(f), bench.at, bench.again) for f, _ in low]
    rows += [
        Evidence(f"floor of {f.kind} on {gpu.sm}", f"{at:.0%} of the peak", f"facts of {facts.date}") for f, at in low
    ]
    return Finding(
        rule=RULE.id,
        severity="warning",
        subject=subject(bench),
        message=f"{gpu.name} reaches {worst.fraction:.1%} of its peak in {worst.name}; {floor:.0%} is the least.",
        evidence=(*dict.fromkeys(rows), *state(bench)),
        remedy=Remedy("Find out what holds the GPU back.", "manual", (_LOOK,)),
        seats=seats(inventory, bench),
    )


def _shown(figure: Figure) -> str:
    return f"{figure.value:.4g} of {figure.peak or 0:.4g} {figure.unit}"
