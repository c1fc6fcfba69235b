"""Which devices CTranslate2 is asked to run on, and why one is not."""

from __future__ import annotations

import pytest

from gpu_doctor.collect.questions.ctranslate2 import ctranslate2_questions
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question
from tests.checks.judge import FACTS
from tests.kit import PREFIX, dist, gpu, host, inventory

CT2 = dist("ctranslate2", "4.6.1")


def questions(seen: Inventory) -> dict[str, Question]:
    return {question.subject: question for question in ctranslate2_questions(seen, FACTS, False)}


def test_the_cpu_and_each_gpu_are_questions_that_wait_for_the_import() -> None:
    found = questions(inventory(CT2, gpus=(gpu(), gpu())))
    assert {name: q.argument for name, q in found.items()} == {
        "CPU": {"device": "cpu", "index": 0},
        "GPU 0": {"device": "cuda", "index": 0},
        "GPU 1": {"device": "cuda", "index": 1},
    }
    assert {q.skip for q in found.values()} == {""}
    assert {q.needs for q in found.values()} == {("import ctranslate2",)}
    assert found["GPU 1"].environ == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert found["CPU"].again.startswith(f"{PREFIX}/bin/python -c ")


@pytest.mark.parametrize(
    ("gpus", "why"), [((), "no GPU visible"), (Unknown("NVML is silent"), "the GPUs are unknown: NVML is silent")]
)
def test_without_a_gpu_the_cpu_is_asked_and_the_gpu_is_skipped(gpus: tuple[()] | Unknown, why: str) -> None:
    found = questions(inventory(CT2, gpus=gpus))
    assert {name: q.skip for name, q in found.items()} == {"CPU": "", "GPU 0": why}


@pytest.mark.parametrize(
    ("visible", "asked"),
    [
        (None, {"GPU 0": 0, "GPU 1": 1, "GPU 2": 2}),
        ("2,0", {"GPU 0": 1, "GPU 2": 0}),
        ("", {}),
        ("GPU-4a1b", {"GPU 0": 0}),  # the UUIDs are not known: the child says which it was
    ],
)
def test_a_gpu_is_asked_by_its_place_in_the_variable(visible: str | None, asked: dict[str, int]) -> None:
    variables = () if visible is None else (Variable("CUDA_VISIBLE_DEVICES", visible),)
    found = questions(inventory(CT2, gpus=(gpu(),) * 3, host=host(variables=variables)))
    indices = {n: q.argument["index"] for n, q in found.items() if not q.skip and isinstance(q.argument, dict)}
    assert {n: i for n, i in indices.items() if n != "CPU"} == asked


def test_without_ctranslate2_nothing_is_asked() -> None:
    assert questions(inventory(dist("numpy", "2.2.6"))) == {}
