"""Which GPUs CUDA_VISIBLE_DEVICES leaves, in CUDA's order."""

from __future__ import annotations

import pytest

from gpu_doctor.model.unknown import Unknown
from gpu_doctor.model.visible import visible_gpus
from tests.kit import gpu

TWO = (gpu(uuid="GPU-5ebe9d38"), gpu(uuid="GPU-77aa0000"))


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        (None, (0, 1)),
        ("1,0", (1, 0)),
        (" 1 ", (1,)),
        ("1,-1,0", (1,)),
        ("0,7,1", (0,)),
        ("", ()),
        ("-1", ()),
        ("none", ()),
        ("\u0661", ()),
        ("1,1", ()),
        ("GPU-77,GPU-5e", (1, 0)),
        ("GPU-dead", ()),
    ],
)
def test_cuda_takes_what_comes_before_the_first_that_is_no_gpu(value: str | None, numbers: tuple[int, ...]) -> None:
    assert visible_gpus(value, TWO) == numbers


@pytest.mark.parametrize("value", ["MIG-1", "0,MIG-1"])
def test_a_part_of_a_gpu_cannot_be_told(value: str) -> None:
    assert isinstance(visible_gpus(value, TWO), Unknown)


def test_a_uuid_cannot_be_told_where_none_is_known() -> None:
    assert isinstance(visible_gpus("GPU-77", (gpu(), gpu())), Unknown)
