"""Reports of what `fix --dry-run` and `bench` add to a case, for the tests of the formats."""

from __future__ import annotations

from dataclasses import replace

from gpu_doctor.bench.compare import compare
from gpu_doctor.model.bench import Bench, BenchWish, Figure
from gpu_doctor.model.case import BenchRun, Case, Report
from gpu_doctor.model.comparison import Comparison
from gpu_doctor.model.finding import CheckRun, Finding, Rule
from gpu_doctor.model.plan import Plan
from tests.bench.samples import bench
from tests.report import patients, repairs


def planned(plan: Plan = repairs.PLAN) -> Report:
    """Ada's sick environment with two treatments, and two findings that are held back."""
    return Report((replace(repairs.SICK, plan=plan),), "0.1.0", "2026-11-20")


CPU = bench(2, seconds=8.0, wish=BenchWish("whisper", "cpu", model_size="small"), device_name="Xeon", tokens=None)
SLOW = bench(2, seconds=4.0)
MATMUL = Bench(
    BenchWish("matmul", "cuda:0"),
    "2026-11-02T10:00:00Z",
    "answered",
    figures=(
        Figure("matmul float16 8192", 612.0, "TFLOP/s", "float16", 989.0),
        Figure("matmul fp8 8192", 0.0, "TFLOP/s", reason="this GPU has none"),
    ),
    device_name="RTX",
)
DIED = Bench(
    BenchWish("stft", "cuda:0"),
    "2026-11-02T10:01:00Z",
    "crashed",
    "was killed by SIGSEGV",
    "loading",
    "terminate called\n  what(): x",
)
WORSE = compare(SLOW, bench(1))
RULES = (*patients.RULES, Rule("bench-fails", "A measured workload fails", "error", "running"))
FAILS = Finding("bench-fails", "error", "stft on cuda:0", "stft on cuda:0 was killed by SIGSEGV.", ())
LEFT_OUT = (("xtts", "coqui-tts is not installed: uv pip install coqui-tts"),)


def measured(
    *benches: Bench,
    comparisons: tuple[Comparison, ...] = (),
    left_out: tuple[tuple[str, str], ...] = (),
    findings: tuple[Finding, ...] = (),
) -> Report:
    """A run of `bench` that measured these, and the findings that the figures gave rise to."""
    runs = (CheckRun("bench-fails", "failed", findings=findings),) if findings else ()
    run = BenchRun(comparisons, left_out)  # type: ignore[arg-type]
    return Report((Case(patients.environment(benches=benches), runs, RULES, bench=run),), "0.1.0", "2026-11-20")


def bad() -> Report:
    """One that is slower than before, one that died, one without packages, and two that are well."""
    return measured(CPU, SLOW, MATMUL, DIED, comparisons=(WORSE,), left_out=LEFT_OUT, findings=(FAILS,))


def good() -> Report:
    """Two workloads that were measured, and nothing to say of them."""
    return measured(CPU, SLOW)
