"""Batches for Whisper: estimated by memory, measured where a sweep was saved."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.advice.batches import item, weights
from gpu_doctor.model.advice import WhisperAdvice
from gpu_doctor.model.unknown import Unknown
from tests.advice.kit import CT2, GIB, advised, batch, bench
from tests.checks.judge import FACTS
from tests.kit import gpu

SIZES = {fact.size: fact for fact in FACTS.advice.whisper}


def whisper(free: float, **changes: Any) -> dict[str, WhisperAdvice]:
    found = advised(CT2, gpus=(gpu(free_bytes=int(free * GIB)),), **changes).whisper
    assert not isinstance(found, Unknown)
    return {item.size: item for item in found}


@pytest.mark.parametrize("free", [2, 4, 6, 8, 11, 16, 24, 80])
def test_a_batch_leaves_a_fifth_of_the_memory_and_twice_as_many_would_not(free: float) -> None:
    for advice in whisper(free).values():
        room = 0.8 * free * GIB - advice.weights_bytes - 500 * 2**20
        assert advice.batch * advice.item_bytes <= max(room, 0)
        assert advice.batch == 64 or 2 * advice.batch * advice.item_bytes > room or advice.batch == 0


def test_larger_models_take_smaller_batches() -> None:
    found = [advice.batch for advice in whisper(8).values()]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1] > 0


def test_a_small_gpu_gets_a_shorter_format_where_it_has_one() -> None:
    assert (whisper(4)["large-v3"].dtype, whisper(4)["tiny"].dtype) == ("int8_float16", "float16")
    newest = advised(CT2, gpus=(gpu("NVIDIA GeForce RTX 5050", (12, 0), free_bytes=4 * GIB),)).whisper
    assert not isinstance(newest, Unknown)
    assert (newest[-1].batch, newest[-1].dtype) == (0, "float16")


def test_what_does_not_fit_is_zero_and_programs_get_one() -> None:
    assert whisper(1)["large-v3"].batch == 0
    assert advised(CT2, gpus=(gpu(free_bytes=GIB),)).batch_size("large-v3") == 1


def test_the_parts_of_the_estimate() -> None:
    tiny = SIZES["tiny"]
    assert weights(tiny, "float16") == 2 * tiny.parameters
    assert item(tiny, "float16") == 2 * (6 * 1500**2 + 1500 * 4 * 384 + 2 * 4 * 384 * (1500 + 5 * 224))
    assert item(tiny, "float32") == 2 * item(tiny, "float16")


def test_a_sweep_of_this_gpu_replaces_the_estimate() -> None:
    batches = (batch(4, 10.0, 4), batch(8, 16.0, 8), batch(16, 17.0, 23))
    sweep = bench("whisper", "cuda:0", 1.0, size="large-v3", batches=batches, total_vram_bytes=24 * GIB)
    found = whisper(24, benches=(sweep,))
    assert (found["large-v3"].batch, found["large-v3"].basis) == (8, "measured")
    assert (found["large-v2"].basis, whisper(24)["large-v3"].basis) == ("estimated", "estimated")
    assert whisper(24)["large-v3"].batch != 8


def test_a_sweep_of_another_gpu_does_not() -> None:
    sweep = bench("whisper", "cuda:0", 1.0, size="tiny", batches=(batch(1, 1.0, 1), batch(2, 2.0, 1)), device_name="T4")
    assert whisper(24, benches=(sweep,))["tiny"].basis == "estimated"


def test_a_gpu_whose_memory_nobody_knows() -> None:
    assert isinstance(advised(CT2, gpus=(gpu(memory_bytes=None),)).whisper, Unknown)


def test_the_cpu_takes_one_at_a_time() -> None:
    found = advised(CT2, gpus=(), driver=None).whisper
    assert not isinstance(found, Unknown)
    assert {(item.batch, item.dtype) for item in found} == {(1, "int8")}
