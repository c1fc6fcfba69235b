"""Advice as the keyword arguments of well-known programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from gpu_doctor.model.advice import SERVES, Advice, EngineAdvice


def keywords(advice: Advice, name: str) -> dict[str, Any]:
    """Return the keyword arguments that `name` takes; raise ValueError where nobody knows it."""
    engine = advice.of(name)
    return _MAKERS[name if name in _MAKERS else SERVES[name]](advice, engine)


def _torch(_: Advice, engine: EngineAdvice) -> dict[str, Any]:
    return {"device": engine.device, "dtype": _dtype(engine)}


def _xtts(_: Advice, engine: EngineAdvice) -> dict[str, Any]:
    return {"gpu": engine.index is not None}


def _diffusers(_: Advice, engine: EngineAdvice) -> dict[str, Any]:
    return {"torch_dtype": _dtype(engine)}


def _transformers(advice: Advice, engine: EngineAdvice) -> dict[str, Any]:
    kernel = advice.attention.value
    chosen = {"flash-attn": "flash_attention_2", "eager": "eager"}.get(kernel, "sdpa")
    return {"torch_dtype": _dtype(engine), "attn_implementation": chosen}


def _dataloader(advice: Advice, engine: EngineAdvice) -> dict[str, Any]:
    return {"num_workers": int(advice.workers.value), "pin_memory": engine.index is not None}


def _whisper(_: Advice, engine: EngineAdvice) -> dict[str, Any]:
    device = "cpu" if engine.index is None else "cuda"
    return {"device": device, "device_index": engine.index or 0, "compute_type": engine.dtype.value}


def _onnx(_: Advice, engine: EngineAdvice) -> dict[str, Any]:
    if engine.index is None:
        return {"providers": ["CPUExecutionProvider"]}
    return {"providers": [("CUDAExecutionProvider", {"device_id": engine.index}), "CPUExecutionProvider"]}


def _dtype(engine: EngineAdvice) -> Any:
    # A program that has imported torch wants the thing itself: diffusers takes no name.
    return getattr(sys.modules.get("torch"), engine.dtype.value, engine.dtype.value)


_MAKERS: Mapping[str, Callable[[Advice, EngineAdvice], dict[str, Any]]] = {
    "torch": _torch,
    "xtts": _xtts,
    "diffusers": _diffusers,
    "transformers": _transformers,
    "dataloader": _dataloader,
    "ctranslate2": _whisper,
    "onnxruntime": _onnx,
}
