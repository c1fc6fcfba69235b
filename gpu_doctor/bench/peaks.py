"""What a GPU could reach at most, from its clocks and what the facts know of its generation."""

from __future__ import annotations

from dataclasses import replace

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.bench import Figure, GpuState
from gpu_doctor.model.hardware import Gpu

# Both edges of the memory's clock carry data, as the driver counts that clock (nvidia-smi's "Memory" clock).
_TRANSFERS = 2


def with_peaks(
    figures: tuple[Figure, ...], gpu: Gpu | None, state: GpuState | None, multiprocessors: int | None, facts: Facts
) -> tuple[Figure, ...]:
    """Return the figures with the theoretical limit of this GPU, where everything for it is known."""
    if gpu is None or state is None:
        return figures
    return tuple(replace(figure, peak=_peak(figure.kind, gpu, state, multiprocessors, facts)) for figure in figures)


def _peak(kind: str, gpu: Gpu, state: GpuState, multiprocessors: int | None, facts: Facts) -> float | None:
    """Return TFLOP/s for a number format, GB/s for `memory`."""
    if kind == "memory":
        if not state.highest_memory_clock or not state.bus_bits:
            return None
        return _TRANSFERS * state.highest_memory_clock * 1e6 * state.bus_bits / 8 / 1e9
    flop = facts.flop_per_clock(gpu.capability, kind) if kind else None
    if not flop or not multiprocessors or not state.highest_clock:
        return None
    return flop * multiprocessors * state.highest_clock * 1e6 / 1e12
