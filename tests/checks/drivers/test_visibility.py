"""CUDA_VISIBLE_DEVICES: when it hides every GPU, and when that cannot be told."""

from __future__ import annotations

import pytest

from gpu_doctor.checks.drivers.visibility import hidden
from gpu_doctor.model.hardware import Gpu, Variable
from gpu_doctor.model.unknown import Unknown
from tests.kit import gpu, host, inventory

UUID = "GPU-5ebe9d38-0000-0000-0000-000000000001"
ONE = (gpu(uuid=UUID),)
TWO = (gpu(uuid=UUID), gpu(uuid="GPU-77aa0000-0000-0000-0000-000000000002"))


def judged(value: str | None, gpus: tuple[Gpu, ...] | Unknown) -> tuple[str, bool] | None:
    variables = () if value is None else (Variable("CUDA_VISIBLE_DEVICES", value),)
    found = hidden(inventory(gpus=gpus, host=host(variables=variables)))
    return (found.how, found.meant) if found else None


@pytest.mark.parametrize(
    ("value", "gpus", "expected"),
    [
        ("", ONE, ("is empty", True)),
        ("  ", ONE, ("is empty", True)),
        ("-1", ONE, ("begins with -1, which is no GPU", True)),
        ("-1,0", ONE, ("begins with -1, which is no GPU", True)),
        ("NoDevFiles", ONE, ("begins with NoDevFiles, which is no GPU", True)),
        ("cuda:0", ONE, ("begins with cuda:0, which is no GPU", False)),
        ("1", ONE, ("names GPU 1, and there is 1 GPU, counted from 0", False)),
        ("2,0", TWO, ("names GPU 2, and there are 2 GPUs, counted from 0", False)),
        ("GPU-dead", TWO, ("names GPU-dead, which no GPU here is", False)),
        ("1,1", TWO, ("names one GPU twice", False)),
        ("GPU-5ebe,0", TWO, ("names one GPU twice", False)),
    ],
)
def test_every_gpu_is_hidden(value: str, gpus: tuple[Gpu, ...], expected: tuple[str, bool]) -> None:
    assert judged(value, gpus) == expected


@pytest.mark.parametrize(
    ("value", "gpus"),
    [
        (None, ONE),
        ("0", ONE),
        ("0,7", ONE),
        (" 1 , 0", TWO),
        ("GPU-5ebe", TWO),
        ("GPU-dead", (gpu(),)),
        ("MIG-1", ONE),
        ("", ()),
        ("5", Unknown("NVML hangs")),
    ],
    ids=["unset", "the only one", "one of two", "spaces", "a short UUID", "UUIDs untold", "MIG", "no GPU", "unknown"],
)
def test_some_gpu_is_left_or_it_cannot_be_told(value: str | None, gpus: tuple[Gpu, ...] | Unknown) -> None:
    assert judged(value, gpus) is None
