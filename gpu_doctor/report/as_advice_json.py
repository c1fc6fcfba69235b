"""Advice as JSON, `gpu-doctor/advice/1`; its schema is docs/schema/advice-1.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from gpu_doctor.model.advice import Advice, EngineAdvice
from gpu_doctor.model.case import Case
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.unknown import Unknown

SCHEMA = "gpu-doctor/advice/1"


def render(case: Case, advice: Advice, doctor: str) -> str:
    """Return the advice as an indented JSON document, ASCII only."""
    return json.dumps(shape(case, advice, doctor), indent=2) + "\n"


def shape(case: Case, advice: Advice, doctor: str) -> dict[str, Any]:
    """Return the advice as JSON-compatible values; what is not known is null, and `unknown` says why."""
    python = case.inventory.interpreter
    main = advice.of(advice.framework)
    return {
        "schema": SCHEMA,
        "doctor": doctor,
        "prefix": python.prefix,
        "python": python.executable,
        "framework": advice.framework,
        "device": main.device,
        "dtype": main.dtype.value,
        "why": main.why,
        "basis": main.basis,
        "gpu": None if advice.gpu is None else _gpu(advice.gpu),
        "engines": [_engine(engine) for engine in advice.engines],
        "tf32": asdict(advice.tf32),
        "attention": asdict(advice.attention),
        "workers": {**asdict(advice.workers), "value": int(advice.workers.value)},
        "whisper": None if isinstance(advice.whisper, Unknown) else [asdict(item) for item in advice.whisper],
        "diffusion": None if isinstance(advice.diffusion, Unknown) else [asdict(item) for item in advice.diffusion],
        "unknown": {
            name: value.reason
            for name, value in (("whisper", advice.whisper), ("diffusion", advice.diffusion))
            if isinstance(value, Unknown)
        },
        "settings": [asdict(item) for item in advice.settings],
        "model": None if advice.model is None else asdict(advice.model),
        "warnings": list(advice.warnings),
    }


def _engine(engine: EngineAdvice) -> dict[str, Any]:
    return {
        "engine": engine.engine,
        "label": engine.label,
        "installed": engine.installed,
        "device": engine.device,
        "dtype": asdict(engine.dtype),
        "why": engine.why,
        "basis": engine.basis,
        "rule": engine.rule or None,
    }


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {
        "name": gpu.name,
        "sm": gpu.sm,
        "memory_bytes": gpu.memory_bytes,
        "free_bytes": gpu.free_bytes,
        "assumed": gpu.assumed,
    }
