"""Which device each framework should use, and for which reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import BuiltFor
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.advice.kit import CPU_TORCH, CT2, GIB, TORCH, advised, advised_for, bench, patient
from tests.kit import PREFIX, dist, driver, gpu, host, lib

OLD = lib("torch/lib/libtorch_cuda.so", "torch", sass="50 60 70 75 80 86 90")
BLACKWELL = gpu("NVIDIA GeForce RTX 5090", (12, 0))


def test_a_healthy_environment_uses_the_gpu() -> None:
    advice = advised(TORCH, CT2)
    assert (advice.device, advice.dtype, advice.framework) == ("cuda:0", "bfloat16", "torch")
    assert advice.of("whisper").device == "cuda:0"
    assert advice.gpu is not None
    assert "RTX 4090 (sm_89)" in advice.why


def test_no_code_for_the_gpu_means_the_cpu_with_the_reason() -> None:
    advice = advised_for(patient("torch26-5090"))
    assert (advice.device, advice.dtype) == ("cpu", "float32")
    assert advice.why.startswith("no kernel image for sm_120 in torch 2.6.0")
    assert advice.of("torch").rule == "kernel-image-missing"


def test_what_ails_torch_ails_no_other_framework() -> None:
    advice = advised(dist("torch", "2.6.0", cuda="12.4"), CT2, libraries=(OLD,), gpus=(BLACKWELL,))
    assert advice.of("torch").device == "cpu"
    assert (advice.of("ctranslate2").device, advice.of("ctranslate2").rule) == ("cuda:0", "")


def test_a_gpu_without_code_leaves_the_other_one() -> None:
    both = (BLACKWELL, gpu("NVIDIA GeForce RTX 3090", (8, 6)))
    advice = advised(dist("torch", "2.6.0", cuda="12.4"), libraries=(OLD,), gpus=both)
    assert advice.device == "cuda:1"
    assert "the only one of 2 GPUs" in advice.why


@pytest.mark.parametrize(
    ("name", "engine", "words"),
    [
        ("torch-segv", "torch", "no NVIDIA GPU"),
        ("cuda13-ct2", "ctranslate2", "no NVIDIA GPU"),
        ("ok-h100", "torch", "no NVIDIA GPU"),
    ],
)
def test_without_a_gpu_every_patient_uses_the_cpu(name: str, engine: str, words: str) -> None:
    advice = advised_for(patient(name), framework=engine)
    assert advice.device == "cpu"
    assert advice.why.startswith(words)


@pytest.mark.parametrize(
    ("name", "sick", "healthy"),
    [
        ("cuda13-ct2", "ctranslate2", "torch"),
        ("torch-segv", "torch", "ctranslate2"),
        ("nvjitlink", "torch", "onnxruntime"),
    ],
)
def test_with_a_gpu_the_illness_decides(name: str, sick: str, healthy: str) -> None:
    advice = advised_for(replace(patient(name), gpus=(gpu(),), driver=driver()))
    assert (advice.of(sick).device, advice.of(healthy).device) == ("cpu", "cuda:0")
    assert advice.of(sick).rule


def test_a_cpu_build_says_so() -> None:
    assert advised(CPU_TORCH).why == "torch 2.8.0+cpu is built without CUDA"
    rocm = replace(CPU_TORCH, built_for=BuiltFor(None, "2.8.0+rocm6.4", "version.py", rocm="6.4"))
    assert advised(rocm).why == "torch 2.8.0+rocm6.4 is built for AMD GPUs, which are not judged here"
    assert "onnxruntime-gpu is another package" in advised(dist("onnxruntime", "1.20.1")).why


def test_a_driver_that_is_too_old_keeps_everything_off_the_gpu() -> None:
    advice = advised(TORCH, CT2, driver=driver("470.57.02", "11.4"))
    assert {engine.device for engine in advice.engines} == {"cpu"}
    assert advice.of("torch").rule == "driver-too-old"


def test_no_gpu_and_an_unknown_one_are_told_apart() -> None:
    assert advised(TORCH, gpus=(), driver=None).why == "no NVIDIA GPU and no driver is here"
    assert advised(TORCH, gpus=(), driver=driver()).why == "no NVIDIA GPU is here"
    unknown = advised(TORCH, gpus=Unknown("NVML failed"))
    assert (unknown.device, unknown.why) == (
        "cpu",
        "which GPUs a program sees could not be determined: NVML failed",
    )


def test_several_gpus_the_one_with_most_free_memory() -> None:
    gpus = (gpu(free_bytes=2 * GIB), gpu(free_bytes=20 * GIB), gpu(free_bytes=9 * GIB))
    advice = advised(TORCH, gpus=gpus)
    assert advice.device == "cuda:1"
    assert "of 3 GPUs the one with the most free memory: 20.0 GiB" in advice.why


def visible(value: str) -> Any:
    return host(variables=(Variable("CUDA_VISIBLE_DEVICES", value),))


def test_cuda_counts_the_visible_gpus() -> None:
    gpus = (gpu(free_bytes=20 * GIB), gpu(free_bytes=9 * GIB), gpu(free_bytes=10 * GIB))
    assert advised(TORCH, gpus=gpus, host=visible("2,1")).device == "cuda:0"
    assert advised(TORCH, gpus=gpus, host=visible("1,2")).device == "cuda:1"
    assert advised(TORCH, gpus=gpus, host=visible("")).why == "CUDA_VISIBLE_DEVICES= hides every GPU"
    assert "could not be determined" in advised(TORCH, gpus=gpus, host=visible("MIG-1")).why


def test_gpus_of_different_kinds_are_counted_as_the_driver_does() -> None:
    gpus = (gpu("NVIDIA T4", (7, 5)), gpu())
    assert {s.name: s.value for s in advised(TORCH, gpus=gpus).settings}["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "CUDA_DEVICE_ORDER" not in {s.name for s in advised(TORCH, gpus=(gpu(), gpu())).settings}


def test_assumed_gpus_are_not_hidden_by_a_variable_of_this_machine() -> None:
    target = Target(f"{PREFIX}/bin/python", None, "--python", ("RTX 4090",))
    assert advised(TORCH, host=visible(""), target=target).device == "cuda:0"


def test_nothing_installed_is_judged_by_the_hardware() -> None:
    advice = advised()
    assert (advice.device, advice.of("torch").installed) == ("cuda:0", False)
    assert advice.warnings[0].startswith("None of torch, ctranslate2 and onnxruntime is installed")


def test_the_framework_that_was_asked_for_comes_first() -> None:
    assert advised(TORCH, CT2, framework="ctranslate2").dtype == "float16"
    assert advised(CT2).framework == "ctranslate2"


@pytest.mark.parametrize(
    ("slow", "fast", "device", "basis"),
    [(3.0, 2.0, "cpu", "measured"), (2.0, 3.0, "cuda:0", "known")],
)
def test_a_gpu_that_was_measured_to_be_slower(slow: float, fast: float, device: str, basis: str) -> None:
    benches = (bench("whisper", "cuda:0", slow, slow), bench("whisper", "cpu", fast))
    engine = advised(TORCH, CT2, benches=benches).of("whisper")
    assert (engine.device, engine.basis) == (device, basis)


def test_what_was_measured_elsewhere_or_of_other_work_decides_nothing() -> None:
    other = (bench("whisper", "cuda:0", 9.0, device_name="Tesla T4"), bench("whisper", "cpu", 1.0))
    sizes = (bench("whisper", "cuda:0", 9.0, size="small"), bench("whisper", "cpu", 1.0, size="tiny"))
    for benches in (other, sizes):
        assert advised(CT2, benches=benches).of("whisper").device == "cuda:0"
