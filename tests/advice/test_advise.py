"""The whole advice for recorded patients and small inventories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.model.hardware import GpuProcess
from gpu_doctor.model.unknown import Unknown
from tests.advice.kit import CT2, GIB, PATIENTS, TORCH, advised, advised_for, patient
from tests.kit import driver, gpu, lib


@pytest.mark.parametrize("path", sorted(PATIENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_patient_gets_an_advice_that_agrees_with_itself(path) -> None:  # type: ignore[no-untyped-def]
    for seen in (patient(path.stem), replace(patient(path.stem), gpus=(gpu(),), driver=driver())):
        advice = advised_for(seen)
        for engine in advice.engines:
            assert engine.why
            assert engine.dtype.why
            assert engine.device == "cpu" or (not isinstance(seen.gpus, Unknown) and seen.gpus)
        on_gpu = advice.device.startswith("cuda")
        assert on_gpu is (advice.gpu is not None)
        assert (advice.tf32.value == "on") is advice.of("torch").device.startswith("cuda")
        assert (advice.settings == ()) or advice.of("torch").device.startswith("cuda")


def test_findings_that_are_warnings_become_warnings() -> None:
    advice = advised_for(patient("healthy-whisper"))
    assert any("libcublas.so.12" in text for text in advice.warnings)
    assert advised(TORCH, CT2, gpus=(gpu(free_bytes=GIB * 20),)).warnings == ()


def test_unknown_free_memory_is_said() -> None:
    assert any("free is not known" in text for text in advised(TORCH).warnings)
    assert not any("free is not known" in text for text in advised(TORCH, gpus=(gpu(free_bytes=GIB),)).warnings)


def test_a_gpu_that_others_fill_is_said() -> None:
    full = gpu(free_bytes=2 * GIB, processes=(GpuProcess(7, "python", 20 * GIB),))
    assert any("leave 2.0 GiB of 24.0 GiB free" in text for text in advised(TORCH, gpus=(full,)).warnings)
    empty = replace(full, free_bytes=23 * GIB)
    assert not any("leave" in text for text in advised(TORCH, gpus=(empty,)).warnings)


def test_batches_follow_the_framework_that_transcribes() -> None:
    old = lib("torch/lib/libtorch_cuda.so", "torch", sass="50 60 70 75 80 86 90")
    newer = gpu("NVIDIA GeForce RTX 5090", (12, 0), free_bytes=30 * GIB)
    advice = advised(replace(TORCH), CT2, libraries=(old,), gpus=(newer,))
    assert (advice.of("torch").device, isinstance(advice.diffusion, Unknown)) == ("cpu", True)
    assert advice.batch_size("large-v3") > 1
