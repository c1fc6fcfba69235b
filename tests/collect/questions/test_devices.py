"""Which frameworks are asked what they see, and that nobody is asked where there is nothing to see."""

from __future__ import annotations

from typing import Any

from gpu_doctor.collect.questions.devices import devices_questions
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question
from tests.kit import PREFIX, dist, inventory

FACTS = Facts.load()
TORCH = dist("torch", "2.8.0")


def asked(*packages: Any, **changes: Any) -> dict[str, Question]:
    return {q.subject: q for q in devices_questions(inventory(*packages, **changes), FACTS, False)}


def test_each_framework_with_a_list_of_gpus_is_asked() -> None:
    packages = ("torch", "torchvision", "jax", "tensorflow", "cupy-cuda12x", "ctranslate2", "onnxruntime-gpu")
    questions = asked(*(dist(name, "1.0") for name in packages))
    assert set(questions) == {"torch", "jax", "tensorflow", "cupy-cuda12x", "ctranslate2"}
    assert questions["cupy-cuda12x"].argument == {"module": "cupy"}
    assert questions["cupy-cuda12x"].needs == ("import cupy-cuda12x",)


def test_looking_takes_no_memory_from_others() -> None:
    environ = asked(TORCH)["torch"].environ
    assert environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_anyone_can_look_too() -> None:
    assert asked(TORCH)["torch"].again == (
        f"{PREFIX}/bin/python -c 'import torch; print(torch.cuda.is_available(), torch.cuda.device_count())'"
    )


def test_without_a_gpu_the_question_says_why_it_is_not_asked() -> None:
    assert asked(TORCH, gpus=())["torch"].skip == "no GPU visible"
    assert asked(TORCH, gpus=Unknown("NVML hangs"))["torch"].skip == "the GPUs are unknown: NVML hangs"
    assert asked(TORCH)["torch"].skip == ""


def test_what_is_not_installed_is_not_asked() -> None:
    assert asked(dist("numpy", "2.2.6"), dist("jax", "0.7.0", active=False)) == {}
