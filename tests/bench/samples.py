"""Builders of benchmarks that name only what matters to a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpu_doctor.model.bench import Bench, BenchWish
from gpu_doctor.model.probes import Measure

RTX = "NVIDIA GeForce RTX 4090"


def wish(**changes: Any) -> BenchWish:
    return replace(BenchWish("whisper", "cuda:0", model_size="small"), **changes)


def bench(day: int = 1, seconds: float = 2.0, **changes: Any) -> Bench:
    """Whisper on an RTX 4090 in November; ten seconds of audio, three runs of the same time.

    `versions={"torch": "2.8.0"}` are those of packages; what changes in the wish is given as `wish=wish(…)`.
    """
    versions = changes.pop("versions", {"torch": "2.8.0", "ctranslate2": "4.6.1"})
    base = Bench(
        wish=wish(),
        at=f"2026-11-{day:02}T10:00:00Z",
        ending="answered",
        device_name=RTX,
        ran_on="cuda:0",
        model="whisper small",
        dtype="float16",
        versions=tuple(Measure(name, version) for name, version in versions.items()),
        load_seconds=1.5,
        runs=(seconds,) * 3,
        audio_seconds=10.0,
        tokens=100,
        peak_vram_bytes=2**30,
        peak_rss_bytes=2**31,
    )
    return replace(base, **changes)
