"""What ONNX Runtime is asked: each provider that matters, and CUDA in each order of imports, with or without a GPU."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from gpu_doctor.collect.questions.ort import ort_questions
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Elf
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question
from tests.kit import PREFIX, dist, elf, inventory, lib

FACTS = Facts.load()
OLD, NEW = dist("onnxruntime-gpu", "1.20.2"), dist("onnxruntime-gpu", "1.22.0")
CPU, TORCH = dist("onnxruntime", "1.20.1"), dist("torch", "2.8.0")
CAPI = "onnxruntime/capi/libonnxruntime_providers_cuda.so"
PROVIDER = lib(CAPI, "onnxruntime-gpu", elf=elf(CAPI, ("libcudnn.so.9", "libc.so.6")))
PRELOAD = "onnxruntime.preload_dlls()"


def asked(*packages: Any, thorough: bool = False, **changes: Any) -> dict[str, Question]:
    seen = inventory(*packages, **{"libraries": (PROVIDER,), **changes})
    return {question.name: question for question in ort_questions(seen, FACTS, thorough)}


def test_the_cpu_package_is_asked_for_the_cpu_alone() -> None:
    questions = asked(CPU)
    assert list(questions) == ["ort-session CPUExecutionProvider"]
    assert questions["ort-session CPUExecutionProvider"].needs == ("import onnxruntime",)


def test_the_gpu_package_is_asked_in_every_order() -> None:
    assert list(asked(NEW, TORCH)) == [
        "ort-session CPUExecutionProvider",
        "ort-session CUDAExecutionProvider",
        "library onnxruntime-gpu: libonnxruntime_providers_cuda.so",
        f"ort-session CUDAExecutionProvider after {PRELOAD}",
        f"library onnxruntime-gpu: libonnxruntime_providers_cuda.so after {PRELOAD}",
        "ort-session CUDAExecutionProvider after torch",
        "library onnxruntime-gpu: libonnxruntime_providers_cuda.so after torch",
    ]


def test_an_old_release_has_nothing_to_preload_with() -> None:
    assert not any(PRELOAD in name for name in asked(OLD, TORCH))
    assert not any(PRELOAD in name for name in asked(dist("onnxruntime-gpu", Unknown("no METADATA"))))


def test_imports_that_come_first_must_succeed() -> None:
    question = asked(OLD, TORCH)["ort-session CUDAExecutionProvider after torch"]
    assert question.needs == ("import torch", "import onnxruntime-gpu")
    assert question.argument["after"] == ("torch",)  # type: ignore[index]


def test_where_both_packages_are_installed_the_gpu_one_was_wanted() -> None:
    assert "ort-session CUDAExecutionProvider" in asked(CPU, OLD)


def test_a_session_is_asked_without_a_gpu_too_and_told_so() -> None:
    question = asked(OLD, gpus=())["ort-session CUDAExecutionProvider"]
    assert (question.skip, question.argument["no_gpu"]) == ("", "no GPU visible")  # type: ignore[index]
    with_gpu = asked(OLD)["ort-session CUDAExecutionProvider"]
    assert with_gpu.argument["no_gpu"] == ""  # type: ignore[index]


def test_an_assumed_gpu_is_none_to_compute_with() -> None:
    target = Target("python", None, "--python", ("sm_89",))
    question = asked(OLD, target=target)["ort-session CUDAExecutionProvider"]
    assert "assumed" in question.argument["no_gpu"]  # type: ignore[index]


def test_the_names_tried_are_those_of_the_header() -> None:
    question = asked(OLD)["library onnxruntime-gpu: libonnxruntime_providers_cuda.so"]
    assert question.argument["needed"] == ("libcudnn.so.9", "libc.so.6")  # type: ignore[index]
    assert question.argument["path"] == PROVIDER.path  # type: ignore[index]


def test_a_provider_that_cannot_be_read_is_not_taken_apart() -> None:
    unread = replace(PROVIDER, elf=Unknown("cut short"))
    assert isinstance(PROVIDER.elf, Elf)
    for libraries in ((unread,), ()):
        names = asked(OLD, libraries=libraries)
        assert [name for name in names if name.startswith("library")] == []
        assert "ort-session CUDAExecutionProvider" in names


def test_tensorrt_is_asked_where_it_is_installed_or_everything_is_wanted() -> None:
    name = "ort-session TensorrtExecutionProvider"
    assert name not in asked(OLD)
    assert name in asked(OLD, dist("tensorrt-cu12", "10.9.0"))
    assert name in asked(OLD, thorough=True)


def test_anyone_can_open_the_same_session() -> None:
    line = asked(NEW, TORCH)["ort-session CUDAExecutionProvider after torch"].again
    assert line.startswith(
        f"{PREFIX}/bin/python -c 'import torch; import onnxruntime; print(onnxruntime.InferenceSession("
    )
    preloaded = asked(NEW)[f"ort-session CUDAExecutionProvider after {PRELOAD}"].again
    assert f"import onnxruntime; {PRELOAD}; " in preloaded


def test_every_argument_travels_as_json() -> None:
    for question in asked(NEW, TORCH).values():
        json.dumps(question.argument)


def test_without_onnxruntime_nothing_is_asked() -> None:
    empty: Inventory = inventory(TORCH)
    assert ort_questions(empty, FACTS, True) == ()
