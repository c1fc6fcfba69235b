"""Loading, running and freeing a model again and again takes more memory each time, or fails after a while.

What it finds. `gpu-doctor bench … --reload N` loads, runs and frees N times in one process and notes what is held after
each round. Memory that grows in every round after the first is a leak: over 64 MiB or 5 % a round of the process, over
8 MiB of the GPU. A round that fails after earlier ones succeeded is worse: the process's CUDA or cuFFT state is broken.

Why it matters. A server that swaps models dies after hours, far from the cause. With cuFFT it is known: plans that were
kept across a reset of the context give CUFFT_INTERNAL_ERROR on the second load of XTTS, and only then.

What to do. Load once and keep the model; where models must be swapped, give each a process of its own and end that. In
the program, drop every reference (hooks, caches, exceptions that hold a frame), then `gc.collect()` and
`torch.cuda.empty_cache()`. Measure again: fewer rounds than four tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.benches.growth import FEWEST, MIB, Growth, rss_growth, vram_growth
from gpu_doctor.checks.benches.measured import benches, seats, subject
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.bench import Bench, GpuState
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import DoesNotApply, Unknown

RULE = Rule(
    id="memory-leak",
    title="Reloading a model leaks memory or breaks the process",
    severity="error",
    stage="running",
    yields_to=("cufft-failure", "gpu-out-of-memory"),
)

_OWN_PROCESS = Remedy("Load the model once, or give each load a process of its own that ends with it.", "manual")


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Judge what each benchmark held after its rounds, and how the rounds ended."""
    found = [bench for bench in benches(inventory) if bench.reloads]
    if not found:
        raise DoesNotApply("nothing was reloaded: --reload was not asked for")
    for bench in found:
        failed = next((at for at, one in enumerate(bench.reloads) if one.reason), None)
        if failed is not None and (failed or bench.runs):
            yield _broken(inventory, bench, failed)
        whole = [one for one in bench.reloads if not one.reason]
        if len(whole) < FEWEST:
            if failed is None or not (failed or bench.runs):
                yield Unknown(f"{bench.name}: too few rounds to tell a leak ({len(whole)}; {FEWEST} are needed)")
            continue
        growth = rss_growth([one.rss_bytes for one in whole])
        if growth is not None:
            yield _leak(inventory, bench, growth, "the process")
        held = [one.vram_bytes for one in whole if one.vram_bytes is not None]
        growth = vram_growth(held) if len(held) == len(whole) else None
        if growth is not None and _shared(bench):
            yield Unknown(f"{bench.name}: the GPU's memory grew, and other processes used it, too")
        elif growth is not None:
            yield _leak(inventory, bench, growth, "the GPU")


def _shared(bench: Bench) -> bool:
    return any(isinstance(state, GpuState) and state.others for state in (bench.before, bench.after))


def _leak(inventory: Inventory, bench: Bench, growth: Growth, whose: str) -> Finding:
    message = f"{bench.name} leaks: after each reload {whose} holds {growth.step / MIB:.0f} MiB more, without end."
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=f"{subject(bench)}: memory of {whose}",
        message=message,
        evidence=(Evidence("rounds of loading, running, freeing", str(len(bench.reloads)), bench.at), _held(bench)),
        remedy=_OWN_PROCESS,
        seats=seats(inventory, bench),
    )


def _broken(inventory: Inventory, bench: Bench, failed: int) -> Finding:
    why = bench.reloads[failed].reason
    message = (
        f"{bench.name} worked, and fails in round {failed + 1} of reloading in the same process: {why.rstrip('.')}."
    )
    rows = (Evidence(f"round {failed + 1}", why, bench.at, bench.again), _held(bench))
    return Finding(RULE.id, "error", subject(bench), message, rows, _OWN_PROCESS, seats(inventory, bench))


def _held(bench: Bench) -> Evidence:
    """Return what was held after each round, one line each."""
    lines = []
    for at, one in enumerate(bench.reloads, 1):
        vram = f", GPU {one.vram_bytes / MIB:.0f} MiB" if one.vram_bytes is not None else ""
        lines.append(f"round {at}: process {one.rss_bytes / MIB:.0f} MiB{vram}")
    return Evidence("held after each round", "\n".join(lines[-12:]), bench.at, bench.again)
