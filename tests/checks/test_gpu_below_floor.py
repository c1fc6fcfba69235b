"""gpu-below-floor: a figure is a smaller share of the peak than the weakest healthy GPU of that kind reaches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.model.bench import Bench, Figure
from gpu_doctor.model.finding import CheckRun
from gpu_doctor.model.hardware import Gpu, Variable
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.benched import QUIET, SHARED, THROTTLED, bench, figure
from tests.checks.judge import FACTS, evidence, judge, only
from tests.kit import gpu, host, inventory

RULE = "gpu-below-floor"
H100 = gpu("NVIDIA H100 80GB HBM3", (9, 0))


def measured(*figures: Figure, **changes: Any) -> Bench:
    return bench("matmul", "cuda:0", 1.0, **{"figures": figures, "before": QUIET, "after": QUIET, **changes})


def judged(*benches: Bench, gpus: Any = (H100,), **changes: Any) -> CheckRun:
    return judge(RULE, inventory(gpus=gpus, benches=benches, **changes))


def test_a_gpu_at_its_idle_clock_is_below() -> None:
    finding = only(judged(measured(figure(90.0, 1070.0), figure(700.0, 1070.0, name="matmul float16 16384"))))
    assert (finding.severity, finding.subject) == ("warning", "matmul on cuda:0")
    assert finding.message == "NVIDIA H100 80GB HBM3 reaches 8.4% of its peak in matmul float16 8192; 35% is the least."
    seen = evidence(finding)
    assert seen["measured: matmul float16 8192 on cuda:0"] == "90 of 1070 TFLOP/s"
    assert "measured: matmul float16 16384 on cuda:0" not in seen
    assert seen["floor of float16 on sm_90"] == "35% of the peak"
    assert seen["the GPU afterwards"] == "1980 MHz of 1980, 60 °C, 99 % busy"


def test_what_a_healthy_one_reaches_is_healthy() -> None:
    copy = figure(3000.0, 3350.0, "memory", name="copy device memory", unit="GB/s")
    assert judged(measured(figure(750.0, 1070.0), copy)).status == "passed"


@pytest.mark.parametrize("kind", ["float32", "tf32", "float16", "bfloat16", "fp8", "memory"])
def test_the_floor_is_the_facts(kind: str) -> None:
    floor = FACTS.floor(kind, (9, 0), H100.name)
    assert floor is not None
    assert judged(measured(figure(100 * floor + 0.1, kind=kind))).status == "passed"
    assert only(judged(measured(figure(100 * floor - 0.1, kind=kind)))).severity == "warning"


def test_a_name_that_is_known_has_a_higher_floor() -> None:
    """The H20 has the capability of an H100, and by design a quarter of its tensor cores' rate."""
    weak = measured(figure(20.0))
    assert judged(weak, gpus=(gpu("NVIDIA H20", (9, 0)),)).status == "passed"
    assert judged(weak).status == "failed"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"after": SHARED}, "not comparable, shared afterwards with vllm 4711"),
        ({"after": THROTTLED}, "not comparable, throttled afterwards: its power limit"),
        ({"before": Unknown("NVML hangs")}, "not comparable, the GPU's state before is not known: NVML hangs"),
        ({"ran_on": "cpu"}, "it was computed by the CPU"),
        ({"device_name": "NVIDIA A30"}, "which GPU that is, is not known"),
        ({"figures": (figure(1.0, None),)}, "the theoretical peak of NVIDIA H100 80GB HBM3 is not known"),
    ],
    ids=["shared", "throttled", "unwatched", "on the CPU", "another card", "no peak"],
)
def test_what_is_not_comparable_is_not_judged(state: dict[str, Any], reason: str) -> None:
    run = judged(measured(figure(1.0), **state))
    assert run.status == "passed"
    assert run.note.startswith(f"matmul on cuda:0: {reason}")


def test_a_slice_has_not_all_multiprocessors() -> None:
    run = judged(measured(figure(1.0)), gpus=(gpu("NVIDIA H100 80GB HBM3 MIG 1g.10gb", (9, 0)),))
    assert "a slice of a GPU (MIG)" in run.note


def test_a_gpu_newer_than_the_facts() -> None:
    run = judged(measured(figure(1.0)), gpus=(gpu("NVIDIA Next", (19, 0)),))
    assert run.note == f"matmul on cuda:0: the facts of {FACTS.date} have no floor for NVIDIA Next (sm_190)"


def test_the_device_is_the_one_that_cuda_counts() -> None:
    second = replace(measured(figure(20.0)), device_name=H100.name)
    both: tuple[Gpu, ...] = (gpu("NVIDIA A2", (8, 6)), H100)
    hidden = host(variables=(Variable("CUDA_VISIBLE_DEVICES", "1"),))
    assert "GPU 1" in only(judged(second, gpus=both, host=hidden)).seats


def test_a_figure_that_failed_or_has_no_limit_is_not_judged() -> None:
    assert judged(measured(figure(0.0, reason="not supported"), figure(90.0))).status == "passed"
    for figures in ((figure(1.0, kind=""),), (figure(0.0, reason="out of memory"),), ()):
        run = judged(measured(*figures))
        assert (run.status, run.note) == ("passed", "matmul on cuda:0: no figure with a known limit was measured")


def test_operations_that_never_come_near_the_peak_are_not_judged() -> None:
    """Attention without a fused kernel reaches a few percent on a healthy GPU."""
    slow = figure(1.0, name="attention math float16 head 64")
    assert judged(bench("attention", "cuda:0", 1.0, figures=(slow,))).applies is False


def test_without_figures_or_a_gpu_it_does_not_apply() -> None:
    assert judged().applies is False
    assert judged(measured(figure(1.0), ending="crashed")).applies is False
    assert judged(bench("matmul", "cpu", 1.0, figures=(figure(1.0),))).applies is False


def test_assumed_hardware_is_not_what_was_measured() -> None:
    run = judged(measured(figure(1.0)), target=Target("python", None, "--python", ("sm_90",)))
    assert (run.status, run.note) == ("passed", "matmul on cuda:0: which GPU that is, is not known")
