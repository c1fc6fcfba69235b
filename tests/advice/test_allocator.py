"""Allocator variables in the words of the installed torch."""

from __future__ import annotations

import pytest

from gpu_doctor.model.advice import Advice
from gpu_doctor.model.hardware import Variable
from tests.advice.kit import CPU_TORCH, CT2, advised
from tests.kit import dist, gpu, host


def of(torch: str, **variables: str) -> Advice:
    found = tuple(Variable(name, value) for name, value in variables.items())
    return advised(dist("torch", torch, cuda="12.8"), host=host(variables=found), gpus=(gpu(free_bytes=2**34),))


def pairs(advice: Advice) -> list[tuple[str, str]]:
    return [(item.name, item.value) for item in advice.settings]


@pytest.mark.parametrize(
    ("torch", "name", "value"),
    [
        ("2.0.1", "PYTORCH_CUDA_ALLOC_CONF", "garbage_collection_threshold:0.8"),
        ("2.1.0", "PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"),
        ("2.9.1", "PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"),
        ("2.10.0", "PYTORCH_ALLOC_CONF", "expandable_segments:True"),
    ],
)
def test_the_variable_and_the_key_that_this_torch_reads(torch: str, name: str, value: str) -> None:
    advice = of(torch)
    assert pairs(advice) == [(name, value)]
    assert value.partition(":")[0] in advice.settings[0].keys


def test_a_value_of_the_users_own_stays() -> None:
    assert pairs(of("2.8.0", PYTORCH_CUDA_ALLOC_CONF="max_split_size_mb:512")) == []
    assert of("2.8.0", PYTORCH_CUDA_ALLOC_CONF="max_split_size_mb:512,expandable_segments:True").warnings == ()


def test_a_variable_that_this_torch_does_not_read_is_said() -> None:
    (warning,) = of("2.9.1", PYTORCH_ALLOC_CONF="expandable_segments:True").warnings
    assert warning == (
        "PYTORCH_ALLOC_CONF is set, and the CUDA allocator of torch 2.9.1 reads PYTORCH_CUDA_ALLOC_CONF alone."
    )
    assert of("2.10.0", PYTORCH_ALLOC_CONF="expandable_segments:True").warnings == ()
    assert of("2.10.0", PYTORCH_CUDA_ALLOC_CONF="expandable_segments:True").warnings == ()


def test_a_key_that_came_later_is_said() -> None:
    (warning,) = of("2.0.1", PYTORCH_CUDA_ALLOC_CONF="expandable_segments:True").warnings
    assert "expandable_segments" in warning
    assert "began with 2.1" in warning


def test_nothing_is_set_where_torch_uses_no_gpu() -> None:
    assert pairs(advised(CPU_TORCH)) == pairs(advised(CT2)) == pairs(of("1.13.1")) == []
