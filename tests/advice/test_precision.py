"""Which number format each GPU gets."""

from __future__ import annotations

import pytest

from gpu_doctor.advice.precision import precision, refused_formats, tf32
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.finding import Finding
from tests.advice.kit import TORCH, advised
from tests.checks.judge import FACTS
from tests.kit import gpu, probe, trial


@pytest.mark.parametrize(
    ("capability", "torch", "ctranslate2", "on"),
    [
        ((12, 0), "bfloat16", "float16", "on"),
        ((8, 0), "bfloat16", "float16", "on"),
        ((7, 5), "float16", "float16", "off"),
        ((6, 1), "float32", "int8_float32", "off"),
        ((6, 0), "float16", "float32", "off"),
        ((5, 0), "float32", "float32", "off"),
    ],
)
def test_formats(capability: Capability, torch: str, ctranslate2: str, on: str) -> None:
    card = gpu(capability=capability)
    assert precision("torch", card, FACTS.advice).value == torch
    assert precision("ctranslate2", card, FACTS.advice).value == ctranslate2
    assert tf32(card, FACTS.advice).value == on


def test_formats_of_the_cpu() -> None:
    assert precision("torch", None, FACTS.advice).value == "float32"
    assert precision("ctranslate2", None, FACTS.advice).value == "int8"
    assert tf32(None, FACTS.advice).value == "off"


def test_what_the_gpu_was_seen_to_refuse_is_not_advised() -> None:
    refusal = trial("matmul bf16", "failed", "CUBLAS_STATUS_NOT_SUPPORTED")
    finding = Finding("dtype-unsupported-by-gpu", "warning", "torch on GPU 0", "It refuses bfloat16 to torch: x.", ())
    assert refused_formats((finding,), "torch") == {"bfloat16"}
    assert refused_formats((finding,), "ctranslate2") == frozenset()
    live = advised(TORCH, probes=(probe("torch-gpu", "GPU 0", "answered", refusal, measured={"capability": "8.9"}),))
    assert (live.dtype, advised(TORCH).dtype) == ("float16", "bfloat16")
