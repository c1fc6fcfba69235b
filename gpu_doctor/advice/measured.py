"""What saved benchmarks say of this GPU; a figure that is not comparable decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpu_doctor.model.advice import Engine
from gpu_doctor.model.bench import Batch, Bench
from gpu_doctor.model.hardware import Gpu

# The workloads that stand for an engine's real work.
_WORK: dict[Engine, tuple[str, ...]] = {
    "torch": ("xtts",),
    "ctranslate2": ("whisper",),
    "onnxruntime": ("onnx",),
}


def slower_gpu(benches: Sequence[Bench], engine: Engine, gpu: Gpu) -> str:
    """Return the words for a GPU that was measured to be slower than the CPU at an engine's real work, or nothing."""
    for workload in _WORK[engine]:
        here = [bench for bench in benches if bench.wish.workload == workload and bench.seconds]
        on_gpu = [bench for bench in here if _ran_on_gpu(bench) and _is(bench, gpu) and not bench.not_comparable]
        on_cpu = [bench for bench in here if bench.wish.device == "cpu" and on_gpu and _same(bench, on_gpu[-1])]
        if on_gpu and on_cpu:
            slow, fast, unit = _costs(on_gpu[-1], on_cpu[-1])
            if slow > fast:
                return f"{workload} was measured at {slow:.3g} {unit} on {gpu.name} and {fast:.3g} on the CPU"
    return ""


def _costs(one: Bench, other: Bench) -> tuple[float, float, str]:
    """Return what both took for an equal amount of work, and its unit: runs of random weights differ in length."""
    if one.rtf and other.rtf:
        return one.rtf, other.rtf, "s for a second of audio"
    if one.tokens_per_second and other.tokens_per_second:
        return 1 / one.tokens_per_second, 1 / other.tokens_per_second, "s a token"
    return one.seconds or 0.0, other.seconds or 0.0, "s"


def measured_batch(benches: Sequence[Bench], size: str, gpu: Gpu) -> tuple[Batch, Bench] | None:
    """Return the recommended batch of the latest sweep of a Whisper size on this GPU, and the sweep; None without."""
    for bench in reversed(tuple(_sweeps(benches, gpu))):
        best = bench.recommended_batch
        if bench.wish.model_size == size and best is not None:
            return best, bench
    return None


def _sweeps(benches: Sequence[Bench], gpu: Gpu) -> Iterator[Bench]:
    for bench in benches:
        whisper = bench.wish.workload == "whisper" and len(bench.batches) > 1
        if whisper and _ran_on_gpu(bench) and _is(bench, gpu) and not bench.not_comparable:
            yield bench


def _ran_on_gpu(bench: Bench) -> bool:
    return bench.wish.device.startswith("cuda") and not bench.ran_on.lower().startswith("cpu")


def _is(bench: Bench, gpu: Gpu) -> bool:
    return _plain(bench.device_name) == _plain(gpu.name)


def _plain(name: str) -> str:
    return name.lower().replace("nvidia", "").replace("geforce", "").strip()


def _same(one: Bench, other: Bench) -> bool:
    """Tell whether two measurements did the same work: the same model, weights and text or audio."""
    keys = ("weights", "model_size", "text", "audio", "language")
    return all(getattr(one.wish, key) == getattr(other.wish, key) for key in keys) and one.model == other.model
