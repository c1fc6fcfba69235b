"""Builders of benchmarks, so that a rule's test names only what matters to it."""

from __future__ import annotations

from typing import Any

from gpu_doctor.model.bench import Audio, Bench, BenchWish, Figure, GpuState, Reload, Workload
from gpu_doctor.model.hardware import GpuProcess

MIB = 2**20
AT = "2026-11-29T12:00:00Z"


def bench(workload: Workload, device: str, *runs: float, **changes: Any) -> Bench:
    """A benchmark that came to its end; `wish={"weights": "/opt/app/model"}` changes what was asked."""
    wish = BenchWish(workload, device, **changes.pop("wish", {}))
    return Bench(
        wish,
        **{"at": AT, "ending": "answered", "ran_on": device, "runs": runs, "again": "gpu-doctor bench …", **changes},
    )


def figure(value: float, peak: float | None = 100.0, kind: str = "float16", **changes: Any) -> Figure:
    return Figure(
        **{"name": f"matmul {kind} 8192", "value": value, "unit": "TFLOP/s", "kind": kind, "peak": peak, **changes}
    )


def rounds(*rss: float, vram: tuple[float, ...] = (), failed: str = "") -> tuple[Reload, ...]:
    """What was held after each round, in MiB; `failed` is why the last one ended."""
    held: list[int | None] = [int(value * MIB) for value in vram] or [None] * len(rss)
    return tuple(
        Reload(1.0, int(value * MIB), gpu, failed if at == len(rss) else "")
        for at, (value, gpu) in enumerate(zip(rss, held, strict=True), 1)
    )


def spoken(*problems: str, **changes: Any) -> Audio:
    values = {"rate": 24000, "channels": 1, "bits": 16, "seconds": 2.0, "peak": 0.5, "rms": 0.1, "clipped": 0.0}
    return Audio(**{"path": "out.wav", **values, **changes}, problems=problems)


QUIET = GpuState(clock=1980, highest_clock=1980, temperature=60, busy=99)
SHARED = GpuState(clock=1980, highest_clock=1980, others=(GpuProcess(4711, "vllm", 2**30),))
THROTTLED = GpuState(clock=900, highest_clock=1980, throttled=("its power limit",))
