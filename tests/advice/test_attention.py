"""Which attention kernel torch should use."""

from __future__ import annotations

from tests.advice.kit import TORCH, advised
from tests.kit import dist, gpu, lib

FLASH = dist("flash-attn", "2.8.3")
T4 = gpu("Tesla T4", (7, 5))


def test_a_recent_gpu_uses_torchs_flash_kernel() -> None:
    assert advised(TORCH).attention.value == "sdpa flash"


def test_an_installed_flash_attn_is_used_where_it_runs() -> None:
    assert advised(TORCH, FLASH).attention.value == "flash-attn"


def test_a_t4_gets_the_memory_efficient_one_and_a_warning() -> None:
    advice = advised(TORCH, FLASH, gpus=(T4,))
    assert (advice.attention.value, advice.kwargs("transformers")["attn_implementation"]) == ("sdpa efficient", "sdpa")
    assert "sm_80" in advice.attention.why
    assert any(text.startswith("flash-attn 2.8.3 does not run on sm_75") for text in advice.warnings)
    assert not any("flash-attn" in text for text in advised(TORCH, FLASH).warnings)


def test_a_flash_attn_without_code_for_the_gpu_is_not_used() -> None:
    code = lib("flash_attn_2_cuda.so", "flash-attn", sass="80 90")
    newer = gpu("NVIDIA GeForce RTX 5090", (12, 0))
    assert advised(TORCH, FLASH, libraries=(code,), gpus=(newer,)).attention.value == "sdpa flash"
    assert advised(TORCH, FLASH, libraries=(code,)).attention.value == "flash-attn"


def test_where_there_is_no_flash() -> None:
    assert advised(TORCH, gpus=(), driver=None).attention.value == "sdpa math"
    assert advised(dist("torch", "1.13.1", cuda="11.7")).attention.value == "eager"
    assert advised(TORCH, gpus=(gpu("GeForce GTX 1080", (6, 1)),)).attention.value == "sdpa efficient"
