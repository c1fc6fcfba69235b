"""What a benchmark was asked to do, and what it measured; seconds, bytes and hertz throughout."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from gpu_doctor.model.hardware import GpuProcess
from gpu_doctor.model.probes import Ending, Measure
from gpu_doctor.model.unknown import Unknown

Workload = Literal["xtts", "whisper", "onnx", "stft", "matmul", "conv", "attention", "copy", "diffusion"]

WORKLOADS: tuple[Workload, ...] = (
    *("xtts", "whisper", "onnx", "stft", "matmul"),
    *("conv", "attention", "copy", "diffusion"),
)
SIZES = ("tiny", "base", "small", "medium", "large-v2", "large-v3")
"""Whisper's sizes, the smallest first."""


def _statistics() -> ModuleType:
    """Return the module, whose import takes longer than reading an inventory in which nothing was measured."""
    import statistics

    return statistics


@dataclass(frozen=True, slots=True)
class BenchWish:
    """Say what to measure, on one device.

    `weights` is `random`, a path, or a name of the model hub; `download` is the consent to fetch such a one. `batches`
    are the sizes to try (one: that alone). `reload` is how often to load, run and free in one process, 0 for not.
    `output` is where to write what was synthesized.
    """

    workload: Workload
    device: str
    weights: str = "random"
    download: bool = False
    text: str | None = None
    speaker_wav: str | None = None
    audio: str | None = None
    language: str = "en"
    model_size: str = "tiny"
    batches: tuple[int, ...] = (1,)
    reload: int = 0
    repeat: int = 3
    seed: int = 0
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Say what a user wants measured: `devices` is `auto`, `cpu`, `cuda`, `cuda:N` or `both`.

    The device of `wish` is filled in from it, and so is the workload, of those that are listed. `weights` None means
    those that are on this machine, else random ones. `sweep` tries doubled batches. `deadline` is in seconds, for each
    workload on each device.
    """

    workloads: tuple[Workload, ...]
    devices: str
    wish: BenchWish
    weights: str | None = None
    sweep: bool = False
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Say how one batch size ran: `items_per_second` is its throughput; `reason` is empty where it ran."""

    size: int
    seconds: float | None = None
    items_per_second: float | None = None
    peak_vram_bytes: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reload:
    """Say what one round of loading, running and freeing took, and what was held after it."""

    seconds: float
    rss_bytes: int
    vram_bytes: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """Hold one figure of a micro-benchmark, such as `matmul float16 8192`: 612 TFLOP/s.

    `kind` names what limits it: `float32`, `tf32`, `float16`, `bfloat16`, `fp8`, `memory`, or empty for nothing that
    has a known limit. `peak` is the theoretical limit of this GPU in the same unit, where the facts know one.
    """

    name: str
    value: float
    unit: str
    kind: str = ""
    peak: float | None = None
    reason: str = ""

    @property
    def fraction(self) -> float | None:
        """Return the share of the theoretical limit."""
        return self.value / self.peak if self.peak else None


@dataclass(frozen=True, slots=True)
class Audio:
    """Describe synthesized speech: `peak` and `rms` of full scale 1, `clipped` the share of samples at full scale.

    `problems` say, each in a clause, what makes it invalid.
    """

    path: str
    rate: int
    channels: int
    bits: int
    seconds: float
    peak: float
    rms: float
    clipped: float
    not_finite: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GpuState:
    """Hold how a GPU stood at one moment; clocks in MHz, temperature in °C, `busy` the percentage of time it worked.

    `throttled` are NVML's reasons, in words. `others` are processes that are not the benchmark's.
    """

    clock: int | None = None
    highest_clock: int | None = None
    highest_memory_clock: int | None = None
    bus_bits: int | None = None
    temperature: int | None = None
    busy: int | None = None
    used_bytes: int | None = None
    throttled: tuple[str, ...] = ()
    others: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True, slots=True)
class Bench:
    """Hold what one workload measured on one device, or how it ended instead.

    `ran_on` is where the work really was done. `runs` are the seconds of each repetition after the first, whose excess
    is `jit_seconds`. `rtf` and the rest of the properties follow from the fields.
    """

    wish: BenchWish
    at: str
    ending: Ending
    reason: str = ""
    stage: str = ""
    log: str = ""
    again: str = ""
    device_name: str = ""
    ran_on: str = ""
    model: str = ""
    dtype: str = ""
    versions: tuple[Measure, ...] = ()
    load_seconds: float | None = None
    first_chunk_seconds: float | None = None
    jit_seconds: float | None = None
    runs: tuple[float, ...] = ()
    audio_seconds: float | None = None
    tokens: int | None = None
    peak_vram_bytes: int | None = None
    peak_rss_bytes: int | None = None
    figures: tuple[Figure, ...] = ()
    batches: tuple[Batch, ...] = ()
    reloads: tuple[Reload, ...] = ()
    audio: Audio | None = None
    heard: str | None = None
    word_error_rate: float | None = None
    total_vram_bytes: int | None = None
    before: GpuState | Unknown | None = None
    after: GpuState | Unknown | None = None

    @property
    def name(self) -> str:
        """Return the workload and its device, such as `xtts on cuda:0`."""
        return f"{self.wish.workload} on {self.wish.device}"

    @property
    def seconds(self) -> float | None:
        """Return the median of the repetitions, or None where none came to its end."""
        return _statistics().median(self.runs) if self.runs else None

    @property
    def variance(self) -> float | None:
        """Return the spread of the repetitions (standard deviation over mean), or None for fewer than two."""
        if len(self.runs) < 2:
            return None
        return float(_statistics().stdev(self.runs) / _statistics().mean(self.runs))

    @property
    def rtf(self) -> float | None:
        """Return the real-time factor: seconds of work for a second of audio; below 1 is faster than speech."""
        return self.seconds / self.audio_seconds if self.seconds and self.audio_seconds else None

    @property
    def tokens_per_second(self) -> float | None:
        """Return how many tokens a second of work generates."""
        return self.tokens / self.seconds if self.tokens and self.seconds else None

    @property
    def recommended_batch(self) -> Batch | None:
        """Return the batch of the best throughput that stays below 80 % of the GPU's memory, or None."""
        limit = None if self.total_vram_bytes is None else 0.8 * self.total_vram_bytes
        fit = [b for b in self.batches if b.items_per_second and (not limit or (b.peak_vram_bytes or 0) < limit)]
        return max(fit, key=lambda batch: batch.items_per_second or 0.0, default=None)

    @property
    def largest_batch(self) -> Batch | None:
        """Return the largest batch that ran, or None."""
        return max((b for b in self.batches if not b.reason), key=lambda batch: batch.size, default=None)

    @property
    def not_comparable(self) -> tuple[str, ...]:
        """Return why the figures say nothing about this GPU alone: shared, throttled, or not watched."""
        said: list[str] = []
        for when, state in (("before", self.before), ("afterwards", self.after)):
            if isinstance(state, Unknown):
                said.append(f"the GPU's state {when} is not known: {state.reason}")
            elif state is not None:
                said += [f"throttled {when}: {why}" for why in state.throttled]
                said += [f"shared {when} with {one.name or 'process'} {one.pid}" for one in state.others]
        return tuple(dict.fromkeys(said))


def speedup(bench: Bench, benches: tuple[Bench, ...]) -> float | None:
    """Return how many times faster a GPU was than the CPU at the same work, or None where one of them is missing."""
    if bench.wish.device == "cpu" or not bench.seconds:
        return None
    same = (b for b in benches if b.wish.workload == bench.wish.workload and b.wish.device == "cpu")
    cpu = next((b.seconds for b in same if b.seconds and b.model == bench.model), None)
    return cpu / bench.seconds if cpu else None
