"""How to run diffusion models on this much GPU memory and RAM.

The estimate: weights of what is on the GPU at a time, the CUDA context, and the larger of what a denoising step takes
(an estimate for 1024 pixels a side, less for fewer) and what decoding the picture takes (pixels × 256 channels × 4 live
tensors; with tiling, of one tile of 512 pixels a side). With model offload the largest part alone is on the GPU, with
sequential offload a twentieth of it, and RAM holds all weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.advice.hardware import budget, gib
from gpu_doctor.facts.advice import AdviceFacts, DiffusionFact
from gpu_doctor.model.advice import DiffusionAdvice, Offload
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.unknown import Unknown

SHARE = 0.9
HOST_SHARE = 0.8
_TILE = 512
_CHANNELS = 256
_LIVE = 4
_LAYERS = 20


@dataclass(frozen=True, slots=True)
class _Way:
    offload: Offload
    tiling: bool
    words: str


_WAYS = (
    _Way("none", False, "all of it fits"),
    _Way("none", True, "it fits when the picture is decoded in tiles"),
    _Way("model", False, "one part at a time fits"),
    _Way("model", True, "one part at a time fits when the picture is decoded in tiles"),
    _Way("sequential", True, "one layer at a time fits, slowly"),
)


def diffusion(
    gpu: Gpu | None, host: int | None, dtype: str, facts: AdviceFacts
) -> tuple[DiffusionAdvice, ...] | Unknown:
    """Choose offload, slicing and tiling for each well-known model; Unknown without a GPU whose memory is known."""
    if gpu is None:
        return Unknown("on a CPU there is nothing to offload")
    memory = budget(gpu)
    if memory is None:
        return Unknown(f"how much memory {gpu.name} has is not known")
    return tuple(_one(fact, memory, host, _bytes(dtype), dtype, facts) for fact in facts.diffusion)


def needed(fact: DiffusionFact, offload: Offload, tiling: bool, number: int, facts: AdviceFacts) -> int:
    """Return the GPU memory at its peak, for numbers of this many bytes."""
    largest = max(fact.denoiser, fact.text)
    resident = {"none": fact.parameters, "model": largest, "sequential": largest // _LAYERS}[offload] * number
    step = facts.overhead_bytes("denoising") * fact.side**2 // 1024**2
    side = min(_TILE, fact.side) if tiling else fact.side
    decode = side**2 * _CHANNELS * _LIVE * (4 if fact.upcast else number)
    return resident + facts.overhead_bytes("context") + max(step, decode)


def _one(
    fact: DiffusionFact, memory: int, host: int | None, number: int, dtype: str, facts: AdviceFacts
) -> DiffusionAdvice:
    limit = int(memory * SHARE)
    all_of_it = fact.parameters * number
    for way in _WAYS:
        need = needed(fact, way.offload, way.tiling, number, facts)
        kept = 0 if way.offload == "none" else all_of_it
        if need > limit or (kept and host is not None and kept > host * HOST_SHARE):
            continue
        words = f"{way.words}: {gib(need)} of {gib(memory)}"
        words += f", and {gib(kept)} of RAM" if kept else ""
        slicing = way.tiling or way.offload != "none"
        return DiffusionAdvice(fact.model, way.offload, slicing, way.tiling, dtype, need, kept, words)
    least = needed(fact, "sequential", True, number, facts)
    words = f"even layer by layer it takes {gib(least)} of {gib(memory)}, and {gib(all_of_it)} of RAM"
    words += f" of {gib(host)}" if host is not None else ""
    return DiffusionAdvice(fact.model, None, True, True, dtype, least, all_of_it, words)


def _bytes(dtype: str) -> int:
    return 4 if dtype == "float32" else 2
