"""Workers of a DataLoader by processors and shared memory."""

from __future__ import annotations

import pytest

from gpu_doctor.advice.workers import workers
from gpu_doctor.model.unknown import Unknown
from tests.kit import host


@pytest.mark.parametrize(
    ("cpus", "shm", "value"),
    [(1, 2**35, "0"), (4, 2**35, "3"), (64, 2**35, "8"), (8, 64 * 2**20, "0"), (8, 2**30, "4"), (8, 2**31, "7")],
)
def test_workers(cpus: int, shm: int, value: str) -> None:
    assert workers(host(cpu_count=cpus, shm_bytes=shm)).value == value


def test_shared_memory_is_named_where_it_decides() -> None:
    assert "/dev/shm holds 64 MiB" in workers(host(shm_bytes=64 * 2**20)).why
    assert "/dev/shm" not in workers(host()).why


def test_unknown_shared_memory_does_not_decide() -> None:
    assert workers(host(shm_bytes=Unknown("not mounted"))).value == "7"
