"""How a GPU stands before and after a workload, told by a simulated driver through the real bindings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpu_doctor.bench.states import gpu_state
from gpu_doctor.model.bench import Bench, BenchWish, GpuState
from gpu_doctor.model.hardware import Gpu, Host
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.machine.host import read_host
from tests.simulated.driver import RTX_4090, SimulatedGpu, SimulatedProcess, simulated_driver, uuid_of

WARM = replace(RTX_4090, clocks=(2100, 2520, 10501, 384), heat=(64, 37, 0), free_bytes=20 * 2**30)


def state(folder: Path, *gpus: SimulatedGpu, index: int = 0) -> GpuState | Unknown:
    environ = simulated_driver(folder, *gpus)
    host: Host = read_host(environ)
    return gpu_state(Gpu("it", (8, 9), None, "", uuid=uuid_of(index)), host, environ)


def test_clocks_heat_and_memory_are_told(tmp_path: Path) -> None:
    assert state(tmp_path, WARM) == GpuState(2100, 2520, 10501, 384, 64, 37, 4 * 2**30)


def test_the_gpu_of_this_uuid_is_asked_and_no_other(tmp_path: Path) -> None:
    told = state(tmp_path, WARM, replace(WARM, heat=(81, 0, 0)), index=1)
    assert isinstance(told, GpuState)
    assert told.temperature == 81


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0, ()),
        (1, ()),  # idle
        (4, ("its power limit",)),
        (0x40 | 0x8, ("the hardware's slowdown", "its temperature (hardware)")),
    ],
)
def test_what_slows_it_is_told_in_words(tmp_path: Path, bits: int, words: tuple[str, ...]) -> None:
    told = state(tmp_path, replace(WARM, heat=(90, 100, bits)))
    assert isinstance(told, GpuState)
    assert told.throttled == words


def test_who_else_uses_it_makes_a_figure_not_comparable(tmp_path: Path) -> None:
    other = SimulatedProcess(pid=1, memory_bytes=2**30)
    told = state(tmp_path, replace(WARM, processes=(other, replace(other, graphics=True))))
    assert isinstance(told, GpuState)
    assert [(one.pid, one.bytes) for one in told.others] == [(1, 2**30)]
    bench = Bench(BenchWish("matmul", "cuda:0"), "", "answered", before=told)
    assert [why.rpartition(" ")[0].startswith("shared before with ") for why in bench.not_comparable] == [True]


def test_a_desktop_spoils_no_figure_and_a_game_does(tmp_path: Path) -> None:
    desktop = SimulatedProcess("Xorg", 200 * 2**20, pid=1, graphics=True)
    game = SimulatedProcess("game", 5 * 2**30, pid=2, graphics=True)
    told = state(tmp_path, replace(WARM, processes=(desktop, game)))
    assert isinstance(told, GpuState)
    assert [one.pid for one in told.others] == [2]


def test_an_old_driver_tells_what_it_can(tmp_path: Path) -> None:
    assert state(tmp_path, RTX_4090) == GpuState(used_bytes=0)


def test_a_gpu_that_does_not_answer_is_unknown_with_the_reason(tmp_path: Path) -> None:
    told = state(tmp_path, replace(WARM, lost=True))
    assert isinstance(told, Unknown)
    assert "GPU is lost" in told.reason


def test_a_gpu_without_a_name_for_the_driver_is_unknown(tmp_path: Path) -> None:
    environ = simulated_driver(tmp_path, WARM)
    told = gpu_state(Gpu("it", (8, 9), None, ""), read_host(environ), environ)
    assert told == Unknown("the driver does not tell the GPU's UUID")
