"""Advice as keyword arguments of programs."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from gpu_doctor.model.advice import SERVES, Advice
from tests.advice.kit import CT2, TORCH, advised
from tests.kit import gpu


@pytest.fixture
def on_gpu() -> Advice:
    return advised(TORCH, CT2, gpus=(gpu(free_bytes=2**33), gpu(free_bytes=2**34)))


@pytest.fixture
def on_cpu() -> Advice:
    return advised(TORCH, CT2, gpus=(), driver=None)


def test_keyword_arguments_on_a_gpu(on_gpu: Advice) -> None:
    assert on_gpu.kwargs("whisper") == {"device": "cuda", "device_index": 1, "compute_type": "float16"}
    assert on_gpu.kwargs("whisperx") == on_gpu.kwargs("faster-whisper") == on_gpu.kwargs("ctranslate2")
    assert on_gpu.kwargs("torch") == {"device": "cuda:1", "dtype": "bfloat16"}
    assert on_gpu.kwargs("diffusers") == {"torch_dtype": "bfloat16"}
    assert on_gpu.kwargs("transformers") == {"torch_dtype": "bfloat16", "attn_implementation": "sdpa"}
    assert on_gpu.kwargs("xtts") == {"gpu": True}
    assert on_gpu.kwargs("dataloader") == {"num_workers": 7, "pin_memory": True}
    cuda = ("CUDAExecutionProvider", {"device_id": 1})
    assert on_gpu.kwargs("onnx") == {"providers": [cuda, "CPUExecutionProvider"]}


def test_keyword_arguments_on_the_cpu(on_cpu: Advice) -> None:
    assert on_cpu.kwargs("whisper") == {"device": "cpu", "device_index": 0, "compute_type": "int8"}
    assert on_cpu.kwargs("torch") == {"device": "cpu", "dtype": "float32"}
    assert on_cpu.kwargs("xtts") == {"gpu": False}
    assert on_cpu.kwargs("onnx") == {"providers": ["CPUExecutionProvider"]}
    assert on_cpu.kwargs("dataloader")["pin_memory"] is False


def test_every_name_has_keyword_arguments(on_gpu: Advice) -> None:
    assert all(on_gpu.kwargs(name) for name in SERVES)
    with pytest.raises(ValueError, match="no advice for 'jax'"):
        on_gpu.kwargs("jax")


def test_torchs_own_format_comes_from_an_imported_torch(on_gpu: Advice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(RuntimeError, match="import torch first"):
        on_gpu.torch_dtype()
    torch = ModuleType("torch")
    torch.bfloat16 = object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert on_gpu.torch_dtype() is torch.bfloat16
    assert on_gpu.kwargs("diffusers")["torch_dtype"] is torch.bfloat16


def test_a_size_that_nobody_knows_gets_one(on_gpu: Advice) -> None:
    assert on_gpu.batch_size("gigantic") == 1
    assert on_gpu.batch_size("tiny") > 1
