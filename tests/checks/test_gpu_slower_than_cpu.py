"""gpu-slower-than-cpu: the same work, measured on both, and the GPU took longer."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.bench import Bench
from gpu_doctor.model.finding import CheckRun
from gpu_doctor.model.unknown import Unknown
from tests.checks.benched import QUIET, SHARED, bench, figure
from tests.checks.judge import evidence, judge, judge_all, only
from tests.kit import dist, inventory, probe, trial

RULE = "gpu-slower-than-cpu"
CPU = bench("whisper", "cpu", 4.0, 4.1, 3.9)


def judged(*benches: Bench, **changes: Any) -> CheckRun:
    return judge(RULE, inventory(benches=benches, **changes))


def test_a_gpu_that_takes_longer_is_an_error_with_both_figures() -> None:
    finding = only(judged(CPU, bench("whisper", "cuda:0", 8.0, 8.2, 7.8, before=QUIET, after=QUIET)))
    assert (finding.severity, finding.subject) == ("error", "whisper tiny on cuda:0")
    assert "takes longer on cuda:0 (NVIDIA GeForce RTX 4090) than on the CPU (whisper 2×)" in finding.message
    seen = evidence(finding)
    assert seen["measured: whisper on cpu"].startswith("4 s, the median of 3")
    assert seen["measured: whisper on cuda:0"].startswith("8 s, the median of 3")
    assert seen["the GPU before"] == "1980 MHz of 1980, 60 °C, 99 % busy"


def test_a_faster_gpu_is_healthy() -> None:
    run = judged(CPU, bench("whisper", "cuda:0", 0.4, 0.4, 0.4))
    assert (run.status, run.note) == ("passed", "")


@pytest.mark.parametrize(
    ("runs", "status"), [((4.2, 4.3), "passed"), ((5.0, 5.1), "failed"), ((3.0, 7.0), "passed")], ids=str
)
def test_what_lies_within_the_spread_is_no_difference(runs: tuple[float, ...], status: str) -> None:
    assert judged(CPU, bench("whisper", "cuda:0", *runs)).status == status


def test_a_shared_gpu_is_a_warning_that_says_so() -> None:
    finding = only(judged(CPU, bench("whisper", "cuda:0", 8.0, 8.0, after=SHARED)))
    assert finding.severity == "warning"
    assert "the GPU was shared afterwards with vllm 4711" in finding.message
    assert evidence(finding)["not comparable"] == "shared afterwards with vllm 4711"


def test_an_unwatched_gpu_is_a_warning_in_whole_words() -> None:
    finding = only(judged(CPU, bench("whisper", "cuda:0", 8.0, 8.0, before=Unknown("NVML hangs"))))
    assert finding.severity == "warning"
    assert "the GPU's state before is not known: NVML hangs" in finding.message


def test_little_work_is_a_warning() -> None:
    finding = only(judged(bench("stft", "cpu", 0.001, 0.001), bench("stft", "cuda:0", 0.01, 0.01)))
    assert (finding.severity, "so little work" in finding.message) == ("warning", True)


def matmul(device: str, side: int, **rates: float) -> Bench:
    """Products of different sizes on different devices, as the workload measures them."""
    figures = tuple(figure(rate, kind=kind, name=f"matmul {kind} {side}") for kind, rate in rates.items())
    return bench("matmul", device, 1.0, figures=figures, model=f"products of matrices of {side} rows")


def test_rates_are_compared_though_the_sizes_differ() -> None:
    cpu = matmul("cpu", 1024, float32=1.0, float16=2.0)
    assert judged(cpu, matmul("cuda:0", 8192, float32=60.0, float16=300.0)).status == "passed"
    finding = only(judged(cpu, matmul("cuda:0", 8192, float32=60.0, float16=0.5)))
    assert finding.severity == "error"
    assert "(matmul float16 1024 4×)" in finding.message
    seen = evidence(finding)
    assert seen["measured: matmul float16 1024 on cpu"] == "2 TFLOP/s"
    assert seen["measured: matmul float16 8192 on cuda:0"] == "0.5 TFLOP/s"
    assert not any("float32" in what for what in seen)


def test_few_slow_operations_of_many_are_a_warning() -> None:
    cpu = matmul("cpu", 1024, float32=1.0, float16=2.0, bfloat16=2.0)
    assert only(judged(cpu, matmul("cuda:0", 8192, float32=60.0, float16=0.5, bfloat16=90.0))).severity == "warning"


def test_the_provider_need_not_be_the_same() -> None:
    cpu = bench("onnx", "cpu", 1.0, figures=(figure(0.2, name="graph CPUExecutionProvider", kind=""),))
    both = (figure(0.1, name="graph CUDAExecutionProvider"), figure(9.0, name="graph TensorrtExecutionProvider"))
    assert "(graph CPUExecutionProvider 2×)" in only(judged(cpu, bench("onnx", "cuda:0", 1.0, figures=both))).message
    assert judged(cpu, bench("onnx", "cuda:0", 1.0, figures=both[::-1])).status == "passed"


def test_operations_of_other_names_are_not_the_same() -> None:
    cpu = bench("attention", "cpu", 1.0, figures=(figure(2.0, name="attention math float32 head 64 causal"),))
    gpu = bench("attention", "cuda:0", 1.0, figures=(figure(1.0, name="attention math float32 head 128 causal"),))
    assert "no rate of the same operation" in judged(cpu, gpu).note


def test_what_stages_took_is_no_rate() -> None:
    """Fewer seconds are better, and the whole is judged."""
    stage = figure(9.0, name="stage gpt", unit="s", kind="")
    cpu = bench("xtts", "cpu", 10.0, figures=(stage,))
    assert (
        judged(cpu, bench("xtts", "cuda:0", 2.0, figures=(figure(1.0, name="stage gpt", unit="s"),))).status == "passed"
    )
    assert judged(cpu, bench("xtts", "cuda:0", 20.0, figures=(stage,))).status == "failed"


def test_a_figure_that_failed_is_not_compared() -> None:
    cpu = bench("matmul", "cpu", 1.0, figures=(figure(2.0),))
    run = judged(cpu, bench("matmul", "cuda:0", 1.0, figures=(figure(0.0, reason="out of memory"),)))
    assert (run.status, run.note) == (
        "passed",
        "matmul on cpu and matmul on cuda:0 measured no rate of the same operation",
    )


@pytest.mark.parametrize("amount", [{"tokens": 100}, {"audio_seconds": 10.0}], ids=str)
def test_equal_amounts_of_work_are_compared(amount: dict[str, Any]) -> None:
    """Random weights speak for as long as chance will; only what a part took can be compared."""
    ((name, value),) = amount.items()
    cpu = bench("xtts", "cpu", 10.0, 10.0, **amount)
    assert judged(cpu, bench("xtts", "cuda:0", 20.0, 20.0, **{name: type(value)(value * 4)})).status == "passed"
    assert only(judged(cpu, bench("xtts", "cuda:0", 5.0, 5.0, **{name: type(value)(value / 4)}))).severity == "error"


def test_other_models_are_not_the_same_work() -> None:
    large = bench("whisper", "cuda:0", 40.0, wish={"model_size": "large-v3"})
    assert judged(CPU, large).applies is False
    run = judged(bench("onnx", "cpu", 1.0, model="a"), bench("onnx", "cuda:0", 2.0, model="b"))
    assert (run.status, run.note) == ("passed", "onnx on cuda:0 ran another model (b) than the CPU (a)")


def test_one_device_alone_says_nothing() -> None:
    run = judged(bench("whisper", "cuda:0", 8.0))
    assert (run.status, run.applies) == ("skipped", False)
    assert judged().applies is False
    assert judged(bench("copy", "cpu", 1.0), bench("copy", "cuda:0", 2.0)).applies is False


def test_what_did_not_end_or_went_elsewhere_is_not_known() -> None:
    run = judged(CPU, bench("whisper", "cuda:0", ending="crashed", reason="was killed by SIGSEGV"))
    assert run.note == "whisper on cuda:0 did not come to its end: was killed by SIGSEGV"
    run = judged(CPU, bench("whisper", "cuda:0", 8.0, ran_on="cpu"))
    assert (run.status, run.note) == ("passed", "whisper on cuda:0 was computed by the CPU")
    run = judged(CPU, bench("whisper", "cuda:0"), bench("whisper", "cuda:0", figures=(figure(1.0),)))
    assert run.status == "passed"


def test_the_latest_counts() -> None:
    slow, fast = bench("whisper", "cuda:0", 8.0, 8.0), bench("whisper", "cuda:0", 0.4, 0.4, wish={"repeat": 9})
    assert judged(CPU, slow, fast).status == "passed"
    assert judged(CPU, fast, slow).status == "failed"


def test_a_gpu_without_its_code_explains_it() -> None:
    refused = trial("launch kernel", "failed", "CUDA error: no kernel image is available for execution on the device")
    asked = probe("torch-gpu", "GPU 0", "answered", refused, measured={"capability": "8.9"})
    benches = (bench("stft", "cpu", 1.0), bench("stft", "cuda:0", 2.0))
    case = judge_all(inventory(dist("torch", "2.8.0", cuda="12.8"), benches=benches, probes=(asked,)))
    mine = next(f for run in case.runs for f in run.findings if f.rule == RULE)
    cause = next(f for run in case.runs for f in run.findings if f.fingerprint == mine.consequence_of)
    assert (mine.severity, cause.rule) == ("note", "kernel-image-missing")
