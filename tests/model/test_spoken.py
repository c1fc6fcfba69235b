"""What was asked, in words that a person would use."""

from __future__ import annotations

import pytest

from gpu_doctor.model.probes import KINDS, Probe
from gpu_doctor.model.spoken import before, question
from tests.kit import probe, trial

LOADER = "ctranslate2: libcudnn-74a4c495.so.9.1.0"


@pytest.mark.parametrize(
    ("asked", "trial_name", "words"),
    [
        (probe("import", "torch"), None, "import torch"),
        (probe("cuda-init", "libcuda.so.1"), "cuInit", "cuInit of libcuda.so.1"),
        (probe("cuda-init", "libcuda.so.1"), "load libcuda.so.1", "load libcuda.so.1"),
        (
            probe("cudnn", LOADER, after=("ctranslate2",)),
            "cudnnGetVersion",
            "cudnnGetVersion of libcudnn-74a4c495.so.9.1.0, after import ctranslate2",
        ),
        (
            probe("cudnn", f"{LOADER}, part by part"),
            None,
            "the first calls of libcudnn-74a4c495.so.9.1.0",
        ),
        (probe("cudnn", "torch: libcudnn.so.9"), "libcudnn_ops.so.9", "load libcudnn_ops.so.9"),
        (probe("cudnn", "torch: libcudnn.so.9"), "open the loader", "open libcudnn.so.9"),
        (probe("library", "ctranslate2"), "libcublas.so.12", "load libcublas.so.12 for ctranslate2"),
        (
            probe("ort-session", "CUDAExecutionProvider", after=("torch", "onnxruntime.preload_dlls()")),
            "convolution",
            "convolution in an ONNX Runtime session with CUDAExecutionProvider,"
            " after import torch and onnxruntime.preload_dlls()",
        ),
        (probe("ort-session", "CPUExecutionProvider"), "session", "open an ONNX Runtime session with CPUExecutionProvider"),
        (probe("ctranslate2", "CPU"), "run cpu int8", "run cpu int8 in CTranslate2 on the CPU"),
        (probe("torch-gpu", "GPU 0"), "matmul fp16", "matmul fp16 in torch on GPU 0"),
        (probe("devices", "jax"), "devices", "the GPUs that jax sees"),
        (probe("cufft", "GPU 0: fresh process"), "rfft", "rfft of cuFFT on GPU 0 (fresh process)"),
    ],
)  # fmt: skip
def test_a_question_reads_like_a_person_wrote_it(asked: Probe, trial_name: str | None, words: str) -> None:
    assert question(asked, trial(trial_name) if trial_name else None) == words


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_question_has_words(kind: str) -> None:
    asked = probe(kind, "torch")  # type: ignore[arg-type]
    assert question(asked)
    assert "first" in question(asked, trial("first")) or kind == "devices"


def test_a_function_that_was_called_before_is_no_import() -> None:
    asked = probe("cudnn", LOADER, after=("onnxruntime", "onnxruntime.preload_dlls"))
    assert before(asked) == "after import onnxruntime and onnxruntime.preload_dlls()"
    assert before(probe("cudnn", LOADER)) == ""
    assert before(probe("cudnn", LOADER, after=("pyannote.audio",))) == "after import pyannote.audio"
