"""How many segments of speech Whisper should take at a time.

The estimate, for one segment of 30 s, in numbers of the computation's format: the encoder's scores, heads × 1500 ×
1500; its widest layer, 1500 × 4 × width; keys and values of all decoder layers, 2 × layers × width × (1500 + 5 beams ×
224 tokens). It leans to the safe side: not every answer is 224 tokens long.
"""

from __future__ import annotations

from gpu_doctor.advice.hardware import budget, gib
from gpu_doctor.advice.measured import measured_batch
from gpu_doctor.advice.precision import BYTES
from gpu_doctor.facts.advice import AdviceFacts, WhisperFact
from gpu_doctor.model.advice import EngineAdvice, WhisperAdvice
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

SHARE = 0.8
_FRAMES = 1500
_TOKENS = 224
_BEAMS = 5
_MOST = 64  # nobody has seen more pay off without measuring it


def batches(
    inventory: Inventory, gpu: Gpu | None, engine: EngineAdvice, facts: AdviceFacts
) -> tuple[WhisperAdvice, ...] | Unknown:
    """Recommend a batch for each size of Whisper: measured where a sweep was saved, else estimated."""
    if gpu is None or engine.index is None:
        why = "a CPU works on one segment at a time with all its cores"
        dtype = engine.dtype.value
        return tuple(
            WhisperAdvice(fact.size, 1, dtype, weights(fact, dtype), item(fact, dtype), why, "estimated")
            for fact in facts.whisper
        )
    memory = budget(gpu)
    found = tuple(_one(inventory, gpu, engine, fact, facts, memory) for fact in facts.whisper)
    known = tuple(advice for advice in found if advice is not None)
    return known if known else Unknown(f"how much memory {gpu.name} has is not known")


def weights(fact: WhisperFact, dtype: str) -> int:
    """Return the bytes of a size's weights in a format."""
    return fact.parameters * BYTES[dtype]


def item(fact: WhisperFact, dtype: str) -> int:
    """Return the bytes that one segment takes beside the weights."""
    number = 4 if dtype in ("float32", "int8_float32", "int8") else 2
    scores = fact.heads * _FRAMES**2
    widest = _FRAMES * 4 * fact.width
    kept = 2 * fact.layers * fact.width * (_FRAMES + _BEAMS * _TOKENS)
    return number * (scores + widest + kept)


def _one(
    inventory: Inventory, gpu: Gpu, engine: EngineAdvice, fact: WhisperFact, facts: AdviceFacts, memory: int | None
) -> WhisperAdvice | None:
    dtype = engine.dtype.value
    held, each = weights(fact, dtype), item(fact, dtype)
    measured = measured_batch(inventory.benches, fact.size, gpu)
    if measured is not None:
        best, bench = measured
        why = f"measured on {bench.at[:10]}: {best.items_per_second:.3g} segments a second, below 80 % of the memory"
        return WhisperAdvice(fact.size, best.size, bench.dtype or dtype, held, each, why, "measured")
    if memory is None:
        return None
    short = _shorter(dtype, gpu, facts)
    batch = _batch(memory, held, each, facts)
    if batch == 0 and short is not None:
        dtype, held, each = short, weights(fact, short), item(fact, short)
        batch = _batch(memory, held, each, facts)
    why = f"80 % of {gib(memory)} less {gib(held)} of weights, at {gib(each)} a segment"
    return WhisperAdvice(fact.size, batch, dtype, held, each, why, "estimated")


def _shorter(dtype: str, gpu: Gpu, facts: AdviceFacts) -> str | None:
    return (
        "int8_float16"
        if dtype == "float16" and facts.formats.has("ctranslate2", "int8_float16", gpu.capability)
        else None
    )


def _batch(memory: int, held: int, each: int, facts: AdviceFacts) -> int:
    """Return the largest power of two that fits into the share of the memory, 0 where not even one does."""
    left = int(memory * SHARE) - held - facts.overhead_bytes("context")
    fits = min(left // each, _MOST)
    return 1 << (fits.bit_length() - 1) if fits > 0 else 0
