"""Which GPUs are asked through torch, as which device, and why one is not."""

from __future__ import annotations

import pytest

from gpu_doctor.collect.questions.torch_gpu import torch_gpu_questions
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question
from tests.checks.judge import FACTS
from tests.kit import PREFIX, dist, gpu, host, inventory

TORCH = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")


def questions(seen: Inventory) -> tuple[Question, ...]:
    return torch_gpu_questions(seen, FACTS, False)


def with_visible(value: str | None, gpus: int = 3) -> Inventory:
    variables = () if value is None else (Variable("CUDA_VISIBLE_DEVICES", value),)
    return inventory(TORCH, gpus=(gpu(),) * gpus, host=host(variables=variables))


def test_each_gpu_is_a_question_that_waits_for_torch() -> None:
    first, second = questions(inventory(TORCH, gpus=(gpu(), gpu())))
    assert (first.name, second.name) == ("torch-gpu GPU 0", "torch-gpu GPU 1")
    assert (first.argument, second.argument) == ({"device": "cuda:0"}, {"device": "cuda:1"})
    assert {first.skip, second.skip} == {""}
    assert first.needs == ("import torch",)
    assert first.environ == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert (first.uses, second.uses) == (("GPU 0",), ("GPU 1",))
    assert first.spoiled_by == ("cuda-init libcuda.so.1",)
    assert first.again.startswith(f"{PREFIX}/bin/python -c ")


def test_without_torch_nothing_is_asked() -> None:
    assert questions(inventory(dist("numpy", "2.2.6"))) == ()


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (inventory(TORCH, gpus=()), "no GPU visible"),
        (inventory(TORCH, gpus=Unknown("NVML does not answer")), "the GPUs are unknown: NVML does not answer"),
        (inventory(dist("torch", "2.8.0+cpu", built="2.8.0+cpu")), "torch 2.8.0+cpu is built for the CPU only"),
        (inventory(TORCH, target=Target(PREFIX, None, "--prefix", gpus=("T4",))), "the hardware is assumed"),
    ],
    ids=["none", "unknown", "cpu build", "assumed"],
)
def test_what_cannot_be_asked_is_one_question_with_the_reason(seen: Inventory, reason: str) -> None:
    (question,) = questions(seen)
    assert question.subject == "GPU 0"
    assert question.skip.startswith(reason)


@pytest.mark.parametrize(
    ("visible", "devices"),
    [
        (None, ["cuda:0", "cuda:1", "cuda:2"]),
        ("2,0", ["cuda:1", "hidden", "cuda:0"]),
        ("1,-1,2", ["hidden", "cuda:0", "hidden"]),  # CUDA reads no further than the first that is none
        ("", ["hidden", "hidden", "hidden"]),
        ("-1", ["hidden", "hidden", "hidden"]),
        ("7", ["hidden", "hidden", "hidden"]),
        ("GPU-8f2a,GPU-11c0", ["cuda:0", "cuda:1", "hidden"]),
    ],
)
def test_a_gpu_that_a_variable_hides_is_left_alone(visible: str | None, devices: list[str]) -> None:
    asked = questions(with_visible(visible))
    assert [q.subject for q in asked] == ["GPU 0", "GPU 1", "GPU 2"]
    assert ["hidden" if q.skip else q.argument["device"] for q in asked] == devices  # type: ignore[index]
    assert all("CUDA_VISIBLE_DEVICES" in q.skip for q in asked if q.skip)
