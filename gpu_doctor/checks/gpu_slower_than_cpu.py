"""The same work takes longer on the GPU than on the CPU.

What it finds. A workload that was measured on both in this environment, and for which the GPU needed more time by more
than the spread of the runs. Compared is what an equal amount of work took: a token, a second of audio, or the rates of
the same operation. It is a warning where few of many operations are slower, where the CPU ends within 20 ms, because
starting kernels may take as long, and where the GPU was shared or throttled, which is then the likely reason.

Why it matters. Nothing fails, and the machine's most expensive part is in the way. Real causes were a GPU that stayed
at its idle clock, code that was compiled anew in every process, a model of which one half still ran on the CPU, and a
number format that the GPU can only imitate.

What to do. Look at clocks and power while it runs; the command is in the finding. Measure again with nothing else on
the GPU, and with another number format. Until then the CPU is the faster device: `gpu-doctor advise` says so, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.benches.measured import benches, gpu_of, seats, state, subject
from gpu_doctor.checks.benches.pairs import Pair, Slower, pairs
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import DoesNotApply, Unknown

RULE = Rule(
    id="gpu-slower-than-cpu",
    title="The GPU is slower than the CPU",
    severity="error",
    stage="running",
    yields_to=("gpu-below-floor", "kernel-image-missing", "silent-cpu-fallback", "gpu-operation-fails"),
)

# Copying is no work that the CPU could do instead.
_NO_RIVAL = ("copy",)
# Within this the start of kernels and of the interpreter outweigh the work.
_SMALL_SECONDS = 0.02
_SHOWN = 3

_LOOK = RunByHand(
    "nvidia-smi -q -d CLOCK,POWER,PERFORMANCE,TEMPERATURE", "while it runs: whether the GPU works at its clock"
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Compare each workload that was measured on the CPU and on a GPU."""
    found = tuple(pair for pair in pairs(benches(inventory)) if pair.gpu.wish.workload not in _NO_RIVAL)
    if not found:
        raise DoesNotApply("nothing was measured on the CPU and on a GPU")
    for pair in found:
        if pair.hindrance:
            yield Unknown(pair.hindrance)
            continue
        slower = pair.slower()
        if slower:
            yield _finding(inventory, pair, slower)


def _finding(inventory: Inventory, pair: Pair, slower: tuple[Slower, ...]) -> Finding:
    gpu, doubts = gpu_of(inventory, pair.gpu), pair.gpu.not_comparable
    device = pair.gpu.wish.device + (f" ({gpu.name})" if gpu else "")
    names = ", ".join(f"{one.name} {one.times:.3g}×" for one in slower[:_SHOWN])
    rates = len(pair.rates())
    small = not rates and (pair.cpu.seconds or 0.0) < _SMALL_SECONDS
    message = f"{pair.gpu.wish.workload} takes longer on {device} than on the CPU ({names})"
    if doubts:
        message += f"; the GPU was {doubts[0]}" if not doubts[0].startswith("the GPU") else f"; {doubts[0]}"
    elif small:
        message += "; it is so little work that starting it may take longer"
    figures = tuple(row for one in slower[:_SHOWN] for row in one.evidence)
    doubted = tuple(Evidence("not comparable", why, pair.gpu.at) for why in doubts)
    return Finding(
        rule=RULE.id,
        severity="warning" if doubts or small or 2 * len(slower) < rates else "error",
        subject=subject(pair.gpu),
        message=f"{message}.",
        evidence=(*figures, *doubted, *state(pair.gpu)),
        remedy=Remedy("Find out what the GPU waits for, and use the CPU until then.", "manual", (_LOOK,)),
        seats=seats(inventory, pair.gpu),
    )
