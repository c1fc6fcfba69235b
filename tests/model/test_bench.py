"""What follows from measured figures: medians, factors, the batch to take, and what makes figures worthless."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.model.bench import Batch, Bench, BenchWish, Figure, GpuState, speedup
from gpu_doctor.model.hardware import GpuProcess
from gpu_doctor.model.unknown import Unknown

CPU = Bench(BenchWish("xtts", "cpu"), "2026-11-29T12:00:00Z", "answered", model="XTTS", runs=(9.0, 10.0, 14.0))
GPU = replace(CPU, wish=replace(CPU.wish, device="cuda:0"), runs=(0.5, 0.5, 0.4), total_vram_bytes=1000)


def test_the_median_of_the_runs_is_the_time() -> None:
    assert CPU.seconds == 10.0
    assert replace(CPU, runs=()).seconds is None


def test_the_real_time_factor_is_seconds_for_a_second_of_audio() -> None:
    assert replace(CPU, audio_seconds=4.0).rtf == 2.5
    assert CPU.rtf is None


def test_tokens_are_counted_by_the_second_of_work() -> None:
    assert replace(CPU, tokens=50).tokens_per_second == 5.0
    assert CPU.tokens_per_second is None


def test_the_spread_of_equal_runs_is_nothing_and_one_run_has_none() -> None:
    assert replace(CPU, runs=(2.0, 2.0)).variance == 0.0
    assert replace(CPU, runs=(1.0, 3.0)).variance == pytest.approx(2**0.5 / 2)
    assert replace(CPU, runs=(2.0,)).variance is None


def test_the_speed_up_compares_with_the_same_work_on_the_cpu() -> None:
    assert speedup(GPU, (CPU, GPU)) == 20.0
    assert speedup(CPU, (CPU, GPU)) is None
    assert speedup(GPU, (GPU,)) is None
    assert speedup(GPU, (replace(CPU, model="another"), GPU)) is None
    assert speedup(GPU, (replace(CPU, wish=replace(CPU.wish, workload="stft")), GPU)) is None
    assert speedup(replace(GPU, runs=()), (CPU, GPU)) is None


def test_the_batch_to_take_is_the_fastest_below_four_fifths_of_the_memory() -> None:
    batches = (
        Batch(1, 1.0, 5.0, 300),
        Batch(2, 1.0, 9.0, 799),
        Batch(4, 1.0, 12.0, 900),
        Batch(8, reason="out of memory"),
    )
    bench = replace(GPU, batches=batches)
    assert bench.recommended_batch == batches[1]
    assert bench.largest_batch == batches[2]
    assert replace(bench, total_vram_bytes=None).recommended_batch == batches[2]
    assert replace(bench, batches=batches[3:]).recommended_batch is None
    assert replace(bench, batches=batches[3:]).largest_batch is None


def test_a_share_needs_a_limit() -> None:
    assert Figure("x", 50.0, "TFLOP/s", "float16", peak=200.0).fraction == 0.25
    assert Figure("x", 50.0, "TFLOP/s").fraction is None


def test_a_gpu_alone_and_cool_is_comparable() -> None:
    assert replace(GPU, before=GpuState(), after=GpuState()).not_comparable == ()
    assert CPU.not_comparable == ()


def test_heat_others_and_ignorance_make_figures_worthless() -> None:
    hot = GpuState(throttled=("its temperature (hardware)",))
    shared = GpuState(others=(GpuProcess(41, "python", None), GpuProcess(42, "", 5)))
    assert replace(GPU, before=shared, after=hot).not_comparable == (
        "shared before with python 41",
        "shared before with process 42",
        "throttled afterwards: its temperature (hardware)",
    )
    assert replace(GPU, before=Unknown("no NVML")).not_comparable == ("the GPU's state before is not known: no NVML",)
