"""Whether a model fits, and in which number format."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.advice import ModelAdvice
from gpu_doctor.model.checkpoint import Checkpoint, Part, Shape, Tensors
from tests.advice.kit import CT2, GIB, TORCH, advised
from tests.kit import gpu, host

LLAMA = Shape(4096, 32, 8, 128, 32, 131072, 128256, "bfloat16")
T4 = gpu("Tesla T4", (7, 5), free_bytes=15 * GIB)


def checkpoint(
    billions: float = 8.03, shape: Shape | None = LLAMA, stored: str = "BF16", kind: Any = "transformers"
) -> Checkpoint:
    count = round(billions * 1e9)
    width = {"F32": 4, "I8": 1}.get(stored, 2)
    return Checkpoint(
        "/opt/app/model", kind, "LlamaForCausalLM", (Part("", (Tensors(stored, count, width * count),), shape),)
    )


def judged(model: Checkpoint, vram: float = 24, ram: float = 64, **changes: Any) -> ModelAdvice:
    changes.setdefault("gpus", (gpu(free_bytes=int(vram * GIB)),))
    found = advised(TORCH, CT2, model=model, host=host(memory_bytes=int(ram * GIB)), **changes).model
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("vram", "ram", "fit"),
    [(24, 64, "fits"), (8, 64, "fits with offload"), (8, 8, "does not fit"), (1, 64, "does not fit")],
)
def test_verdicts(vram: float, ram: float, fit: str) -> None:
    memory = judged(checkpoint(), vram, ram).memory
    assert memory.fit == fit
    assert memory.needed_bytes == sum(
        (memory.weights_bytes, memory.cache_bytes, memory.activation_bytes, memory.overhead_bytes)
    )


def test_the_parts_of_the_estimate() -> None:
    memory = judged(checkpoint()).memory
    assert memory.weights_bytes == 2 * 8_030_000_000
    assert memory.cache_bytes == 2 * 32 * 8 * 128 * 4096 * 2
    assert memory.activation_bytes == 16 * 4096 * 4096 * 2
    assert memory.formula.startswith("weights in bfloat16, keys and values")


def test_without_a_shape_a_fifth_of_the_weights_is_added() -> None:
    memory = judged(checkpoint(1.0, None)).memory
    assert (memory.cache_bytes, memory.activation_bytes) == (0, memory.weights_bytes // 5)


def test_bfloat16_on_a_t4_becomes_float16_and_is_said() -> None:
    model = judged(checkpoint(1.0), gpus=(T4,))
    assert model.dtype.value == "float16"
    (problem,) = model.problems
    assert problem == "The model is stored for bfloat16, which sm_75 does not compute in: load it with float16."
    assert judged(checkpoint(1.0)).problems == ()


def test_float32_weights_are_halved_on_a_gpu() -> None:
    shape = Shape(4096, 32, 8, 128, 32, 4096, 128256, "float32")
    model = judged(checkpoint(1.0, shape, "F32"))
    assert (model.dtype.value, model.memory.weights_bytes) == ("bfloat16", 2_000_000_000)


def test_a_model_in_float16_stays_float16() -> None:
    assert judged(checkpoint(1.0, None, "F16")).dtype.value == "float16"


def test_quantized_weights_keep_their_size() -> None:
    packed = Shape(4096, 32, 8, 128, 32, 4096, 128256, "float16", "gptq")
    assert judged(checkpoint(1.0, packed, "I8")).memory.weights_bytes == 1_000_000_000


def test_on_the_cpu_ram_decides() -> None:
    nothing: dict[str, Any] = {"gpus": (), "driver": None}
    assert judged(checkpoint(1.0), ram=64, **nothing).memory.fit == "fits"
    small = judged(checkpoint(1.0), ram=4, **nothing).memory
    assert (small.fit, small.overhead_bytes) == ("does not fit", 0)


def test_memory_that_nobody_knows() -> None:
    assert judged(checkpoint(), gpus=(gpu(memory_bytes=None),)).memory.fit == "unknown"


def test_ctranslate2_models_take_its_own_format() -> None:
    assert judged(checkpoint(1.0, None, "F16", kind="ctranslate2")).dtype.value == "float16"
    own = checkpoint(1.0, None, "as stored", kind="ctranslate2")
    assert judged(own, gpus=(), driver=None).dtype.value == "int8"


def test_problems_of_the_model_itself_are_kept() -> None:
    from dataclasses import replace

    assert judged(replace(checkpoint(1.0), problems=("Its width is odd.",))).problems == ("Its width is odd.",)
