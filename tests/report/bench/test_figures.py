"""Numbers, rows and regressions of benchmarks, and that each follows from what was measured."""

from __future__ import annotations

from dataclasses import replace

from gpu_doctor.bench.compare import compare
from gpu_doctor.model.bench import Batch, Reload, speedup
from gpu_doctor.report.bench import figures as bench_figures
from tests.bench.samples import bench
from tests.report import patients, planned

BATCHES = (Batch(1, 1.0, 1.0), Batch(2, 1.0, 2.0), Batch(4, reason="out of memory"))


def numbers(*args: object) -> dict[str, tuple[float, str]]:
    return {one.name: (one.value, one.unit) for one in bench_figures.quantities(*args)}  # type: ignore[arg-type]


def test_every_number_that_was_measured_is_a_quantity_and_no_other() -> None:
    found = numbers(replace(planned.SLOW, batches=BATCHES), speedup(planned.SLOW, (planned.CPU, planned.SLOW)))
    assert found == {
        "seconds": (4.0, "s"),
        "rtf": (0.4, ""),
        "speedup": (2.0, ""),
        "tokens_per_second": (25.0, "tokens/s"),
        "load_seconds": (1.5, "s"),
        "variance": (0.0, ""),
        "peak_vram_bytes": (2**30, "bytes"),
        "peak_rss_bytes": (2**31, "bytes"),
        "batch 1": (1.0, "items/s"),
        "batch 2": (2.0, "items/s"),
    }
    assert numbers(planned.MATMUL, None) == {"matmul float16 8192": (612.0, "TFLOP/s")}
    assert numbers(planned.DIED, None) == {}


def test_a_table_names_every_row() -> None:
    full = replace(planned.SLOW, figures=planned.MATMUL.figures, batches=BATCHES, reloads=(Reload(1.0, 2**30),) * 2)
    rows = list(bench_figures.table(full, None))
    assert all(label for label, _ in rows)
    assert ("matmul fp8 8192", "not measured, this GPU has none") in rows
    assert [label for label, _ in rows].count("batch") == 3
    texts = [f"{label}: {words}" for label, words in rows]
    for label, words in bench_figures.rows(full, None):
        assert (words if not label else f"{label}: {words}") in [*texts, *(words for _, words in rows)]


def test_an_ending_is_told_with_its_stage() -> None:
    assert bench_figures.failure(planned.DIED) == "crashed while loading: was killed by SIGSEGV"
    assert bench_figures.failure(replace(planned.DIED, stage="")) == "crashed: was killed by SIGSEGV"
    assert bench_figures.failure(planned.SLOW) == ""


def test_a_regression_is_one_for_each_figure_and_the_same_in_every_run() -> None:
    first, second = compare(planned.SLOW, bench(1)), compare(bench(9, seconds=6.0), bench(8, seconds=3.0))
    one, other = (planned.measured(comparisons=(c,)).cases[0] for c in (first, second))
    prints = [regression.fingerprint for regression in bench_figures.regressions(one)]
    assert len(prints) == len(set(prints)) == len(first.regressions) == 3
    assert [regression.fingerprint for regression in bench_figures.regressions(other)] == prints
    elsewhere = replace(first, now=replace(first.now, wish=replace(first.now.wish, device="cpu")))
    (case,) = planned.measured(comparisons=(elsewhere,)).cases
    assert set(prints) & {regression.fingerprint for regression in bench_figures.regressions(case)} == set()


def test_what_is_lost_is_known_again_though_it_dies_otherwise() -> None:
    before = replace(bench(1), batches=BATCHES[:2])
    cases = []
    for reason in ("out of memory", "CUDA error: 700"):
        now = replace(bench(2), batches=(BATCHES[0], Batch(2, reason=reason)))
        cases.append(planned.measured(now, comparisons=(compare(now, before),)).cases[0])
    (first,), (second,) = map(bench_figures.regressions, cases)
    assert first.message == (
        "whisper on cuda:0, against the run of 2026-11-01 10:00: batch 2 runs no longer: out of memory."
    )
    assert first.fingerprint == second.fingerprint


def test_what_is_not_worse_is_no_regression() -> None:
    better = compare(bench(2, seconds=1.0), bench(1))
    assert bench_figures.regressions(planned.measured(comparisons=(better,)).cases[0]) == ()
    assert bench_figures.regressions(patients.sick().cases[0]) == ()
