"""Whether CUDA's start is asked for: wherever there is a trace of a driver, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.collect.questions.cuda import cuda_questions
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.hardware import DriverLibrary
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question
from tests.kit import PREFIX, host, inventory

FACTS = Facts.load()
LIBCUDA = DriverLibrary("/usr/lib/libcuda.so.1", "/usr/lib/libcuda.so.580.95.05", "580.95.05", "driver", "ld.so.cache")


def asked(seen: Inventory) -> Question:
    (question,) = cuda_questions(seen, FACTS, False)
    return question


@pytest.mark.parametrize(
    "seen",
    [
        inventory(),
        inventory(gpus=Unknown("NVML hangs")),
        inventory(gpus=(), host=host(devices=("/dev/nvidiactl",))),
        inventory(gpus=(), host=host(libcuda=LIBCUDA)),
    ],
    ids=["a GPU", "GPUs unknown", "a device file", "libcuda"],
)
def test_a_trace_of_a_driver_is_worth_the_question(seen: Inventory) -> None:
    question = asked(seen)
    assert (question.name, question.skip, question.deadline > 30) == ("cuda-init libcuda.so.1", "", True)
    assert question.again.startswith(f"{PREFIX}/bin/python -c ")


@pytest.mark.parametrize(
    "elsewhere",
    [host(), host(devices=("/dev/kfd",)), host(libcuda=replace(LIBCUDA, kind="stub"))],
    ids=["nothing", "AMD", "a stub"],
)
def test_without_a_trace_nothing_is_started(elsewhere: object) -> None:
    assert asked(inventory(gpus=(), driver=None, host=elsewhere)).skip == "no GPU visible"


def test_assumed_hardware_is_not_started() -> None:
    assumed = replace(inventory(), target=Target("python", None, "--python", ("sm_89",)))
    assert asked(assumed).skip == "the hardware is assumed, not this machine's"
