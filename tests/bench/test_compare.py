"""What is worse than before is found, what is noise is not, and what cannot be compared says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.bench.baseline import read_baseline
from gpu_doctor.bench.compare import compare, counterpart
from gpu_doctor.errors import UsageError
from gpu_doctor.model.bench import Audio, Batch, Bench, Figure, GpuState
from gpu_doctor.model.comparison import Changed, Comparison, Difference, Verdict, aim
from gpu_doctor.model.hardware import GpuProcess
from gpu_doctor.model.plain import bench_to_plain
from gpu_doctor.model.unknown import Unknown
from tests.bench.samples import bench, wish

WAV = Audio("out.wav", 24000, 1, 16, 10.0, 0.5, 0.1, 0.0)
SHARED = GpuState(others=(GpuProcess(42, "python", 2**30),))


def verdicts(comparison: Comparison) -> dict[str, Verdict]:
    return {one.name: one.verdict for one in comparison.differences}


def of(comparison: Comparison, name: str) -> Difference:
    return next(one for one in comparison.differences if one.name == name)


def matmul(value: float = 100.0, **changes: Any) -> Bench:
    figure = Figure("matmul float16 8192", value, "TFLOP/s", "float16")
    base: dict[str, Any] = {"wish": wish(workload="matmul"), "model": "", "audio_seconds": None, "tokens": None}
    return bench(**{**base, "figures": (figure,), **changes})


# --- Better, same, worse ------------------------------------------------------------------------------------------------


def test_the_same_is_the_same() -> None:
    found = compare(bench(2), bench(1))
    assert set(verdicts(found).values()) == {"same"}
    assert list(verdicts(found)) == [*("seconds", "rtf", "tokens_per_second", "peak_vram_bytes", "peak_rss_bytes")]
    assert (found.regressed, found.not_comparable, found.changed, found.notes) == (False, (), (), ())


def test_slower_is_a_regression_and_faster_is_not() -> None:
    slower = compare(bench(2, seconds=2.5), bench(1))
    faster = compare(bench(2, seconds=1.5), bench(1))
    assert [one.name for one in slower.regressions] == ["seconds", "rtf", "tokens_per_second"]
    assert slower.regressed
    assert of(slower, "rtf").change == pytest.approx(0.25)
    assert of(slower, "tokens_per_second").change == pytest.approx(-0.2)
    assert {name for name, verdict in verdicts(faster).items() if verdict == "better"} == {
        *("seconds", "rtf", "tokens_per_second")
    }
    assert not faster.regressed


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"first_chunk_seconds": 1.7}, "first_chunk_seconds"),
        ({"first_chunk_seconds": 0.6}, "first_chunk_seconds"),
        ({"peak_vram_bytes": int(1.2 * 2**30)}, "peak_vram_bytes"),
        ({"peak_rss_bytes": int(1.2 * 2**31)}, "peak_rss_bytes"),
    ],
)
def test_each_quantity_is_judged_for_itself(changes: dict[str, Any], name: str) -> None:
    before = bench(1, first_chunk_seconds=0.5)
    found = compare(bench(2, **{"first_chunk_seconds": 0.5, **changes}), before)
    assert [one.name for one in found.regressions] == [name]


def test_a_quantity_that_one_of_them_lacks_is_not_compared() -> None:
    found = compare(bench(2, peak_vram_bytes=None, first_chunk_seconds=1.0), bench(1))
    assert not {"peak_vram_bytes", "first_chunk_seconds"} & set(verdicts(found))


def test_memory_that_grew_from_nothing_is_worse_by_no_percentage() -> None:
    found = compare(bench(2), bench(1, peak_vram_bytes=0))
    assert of(found, "peak_vram_bytes").verdict == "worse"
    assert of(found, "peak_vram_bytes").change is None


@pytest.mark.parametrize(("now", "verdict"), [(89.0, "worse"), (91.0, "same"), (109.0, "same"), (111.0, "better")])
def test_of_a_throughput_less_is_worse(now: float, verdict: Verdict) -> None:
    assert verdicts(compare(matmul(now), matmul()))["matmul float16 8192"] == verdict


def test_a_figure_of_another_unit_or_of_none_is_left_out_aloud() -> None:
    seconds = matmul(figures=(Figure("matmul float16 8192", 3.0, "ms"),))
    found = compare(seconds, matmul())
    assert "matmul float16 8192" not in verdicts(found)
    assert found.notes == ("matmul float16 8192 is left out: it is in ms, the baseline in TFLOP/s",)
    odd = matmul(figures=(Figure("planes", 3.0, ""),))
    assert compare(odd, odd).notes == ("planes is left out: nothing says whether more of it is better",)


def test_batches_are_compared_size_by_size() -> None:
    before = bench(1, batches=(Batch(1, 1.0, 1.0), Batch(8, 2.0, 4.0), Batch(64, reason="out of memory")))
    now = bench(2, batches=(Batch(1, 1.0, 1.0), Batch(8, 4.0, 2.0), Batch(16, 4.0, 4.0)))
    found = verdicts(compare(now, before))
    assert {name: found[name] for name in found if name.startswith("batch")} == {"batch 1": "same", "batch 8": "worse"}


def test_what_runs_no_longer_is_a_regression() -> None:
    before = bench(1, batches=(Batch(8, 2.0, 4.0),), audio=WAV, figures=matmul().figures)
    now = bench(
        2,
        batches=(Batch(8, reason="out of memory"),),
        audio=Audio("out.wav", 24000, 1, 16, 10.0, 0.0, 0.0, 0.0, problems=("it is silent",)),
        figures=(Figure("matmul float16 8192", 0.0, "TFLOP/s", reason="RuntimeError: no kernel"),),
    )
    found = compare(now, before)
    assert found.lost == (
        "matmul float16 8192 runs no longer: RuntimeError: no kernel",
        "batch 8 runs no longer: out of memory",
        "the speech is invalid: it is silent",
    )
    assert found.regressed
    assert found.regressions == ()
    assert compare(before, now).lost == ()


def test_what_died_is_a_regression_even_without_knowing_its_model() -> None:
    died = bench(
        2, ending="crashed", reason="was killed by SIGSEGV", runs=(), model="", dtype="", device_name="", versions={}
    )
    found = compare(died, bench(1))
    assert found.lost == ("it did not come to its end: was killed by SIGSEGV",)
    assert (found.regressed, found.not_comparable, found.differences, found.changed) == (True, (), (), ())


# --- Noise --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "tolerance", "verdict"), [(1.65, 0.1, "same"), (1.651, 0.1, "worse"), (1.65, 0.05, "worse")]
)
def test_the_tolerance_itself_is_still_the_same(now: float, tolerance: float, verdict: str) -> None:
    found = compare(bench(2, first_chunk_seconds=now), bench(1, first_chunk_seconds=1.5), tolerance)
    assert verdicts(found)["first_chunk_seconds"] == verdict


@pytest.mark.parametrize("noisy", ["now", "baseline"])
def test_a_noisy_run_widens_the_tolerance_of_times_alone(noisy: str) -> None:
    wild = (1.6, 2.0, 2.4)  # spread: 20 %
    now = bench(2, runs=(2.5,) * 3 if noisy == "baseline" else tuple(x * 1.25 for x in wild), peak_rss_bytes=2**32)
    before = bench(1, runs=(2.0,) * 3 if noisy == "now" else wild)
    found = compare(now, before)
    assert of(found, "seconds").tolerance == pytest.approx(0.4)
    assert of(found, "seconds").verdict == "same"
    assert of(found, "peak_rss_bytes").tolerance == 0.1
    assert [one.name for one in found.regressions] == ["peak_rss_bytes"]


POSITIVE = st.floats(min_value=1e-6, max_value=1e6)


@given(POSITIVE, POSITIVE, st.floats(min_value=0.0, max_value=0.9))
def test_a_verdict_is_what_its_percentage_says(now: float, before: float, tolerance: float) -> None:
    found = compare(bench(2, first_chunk_seconds=now), bench(1, first_chunk_seconds=before), tolerance)
    change = of(found, "first_chunk_seconds").change or 0.0
    wanted = "same" if abs(change) <= tolerance + 1e-9 else "better" if change < 0 else "worse"
    # Where the change is the tolerance to the last digits, either is right.
    assert of(found, "first_chunk_seconds").verdict == wanted or abs(abs(change) - tolerance) < 1e-6


@given(POSITIVE, POSITIVE)
def test_what_is_better_for_time_is_worse_for_throughput(now: float, before: float) -> None:
    time = compare(bench(2, first_chunk_seconds=now), bench(1, first_chunk_seconds=before))
    rate = compare(matmul(now), matmul(before))
    opposite = {"better": "worse", "worse": "better", "same": "same"}
    assert of(rate, "matmul float16 8192").verdict == opposite[of(time, "first_chunk_seconds").verdict]


@given(POSITIVE, st.floats(min_value=0.0, max_value=1.0), st.floats(min_value=0.0, max_value=1.0))
def test_a_wider_tolerance_finds_no_more(now: float, one: float, other: float) -> None:
    narrow, wide = sorted((one, other))
    found = [{d.name for d in compare(bench(2, seconds=now), bench(1), t).regressions} for t in (narrow, wide)]
    assert found[1] <= found[0]


def test_other_amounts_of_work_leave_seconds_out_but_not_the_rate() -> None:
    found = compare(bench(2, seconds=2.4, audio_seconds=12.0, tokens=120), bench(1))
    assert "seconds" not in verdicts(found)
    assert verdicts(found)["rtf"] == "same"
    assert found.notes == ("seconds are left out: 12.0 s of audio against 10.0 s",)
    tokens = compare(bench(2, tokens=150), bench(1))
    assert tokens.notes == ("seconds are left out: 150 tokens against 100",)


# --- Not comparable -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"device_name": "NVIDIA L4"},
            "the device differs: NVIDIA L4, in the baseline NVIDIA GeForce RTX 4090",
        ),
        ({"model": "whisper tiny"}, "the model differs: whisper tiny, in the baseline whisper small"),
        ({"dtype": ""}, "the dtype differs: unknown, in the baseline float16"),
        ({"wish": wish(weights="~/model")}, "the weights differs: ~/model, in the baseline random"),
        ({"wish": wish(model_size="tiny")}, "the model size differs: tiny, in the baseline small"),
        ({"wish": wish(batches=(1, 8))}, "the batch size differs: 1, 8, in the baseline 1"),
        ({"wish": wish(text="Hello.")}, "the text differs: Hello., in the baseline none"),
        ({"wish": wish(device="cpu")}, "the kind of device differs: cpu, in the baseline cuda:0"),
        ({"after": SHARED}, "shared afterwards with python 42"),
        ({"before": Unknown("no NVML")}, "the GPU's state before is not known: no NVML"),
    ],
)
def test_other_work_or_an_unfair_run_is_not_compared(changes: dict[str, Any], why: str) -> None:
    found = compare(bench(2, seconds=9.0, **changes), bench(1))
    assert found.not_comparable == (why,)
    assert (found.differences, found.regressed) == ((), False)


def test_a_baseline_that_is_none_is_not_compared() -> None:
    died = bench(1, ending="crashed", reason="was killed by SIGKILL")
    assert compare(bench(2), died).not_comparable == ("the baseline did not come to its end: was killed by SIGKILL",)
    throttled = bench(1, before=GpuState(throttled=("too hot",)))
    assert compare(bench(2), throttled).not_comparable == ("the baseline: throttled before: too hot",)


def test_versions_may_differ_and_are_named() -> None:
    now = bench(2, versions={"torch": "2.9.0", "ctranslate2": "4.6.1", "cudnn": "9.10"}, ran_on="cpu")
    found = compare(now, bench(1, versions={"torch": "2.8.0", "ctranslate2": "4.6.1", "numpy": "2.3"}))
    assert found.changed == (
        Changed("torch", "2.9.0", "2.8.0"),
        Changed("numpy", "", "2.3"),
        Changed("cudnn", "9.10", ""),
        Changed("ran on", "cpu", "cuda:0"),
    )
    assert found.differences


# --- What to compare with -----------------------------------------------------------------------------------------------


def test_the_latest_of_the_same_kind_is_the_counterpart() -> None:
    others = [
        bench(1),
        bench(2),
        bench(3, wish=wish(workload="xtts")),
        bench(4, wish=wish(device="cpu"), device_name="CPU"),
        bench(5, device_name="NVIDIA L4"),
        bench(6, model="whisper tiny"),
        bench(7, ending="crashed"),
    ]
    assert counterpart(bench(9), others) == bench(2)
    assert counterpart(bench(9), others[2:]) is None


def test_one_that_can_be_compared_goes_before_a_later_one_that_cannot() -> None:
    shared = bench(2, before=SHARED)
    assert counterpart(bench(9), [bench(1), shared]) == bench(1)
    assert counterpart(bench(9), [shared]) == shared


def test_the_same_device_goes_before_its_twin() -> None:
    twin = bench(2, wish=wish(device="cuda:1"))
    assert counterpart(bench(9), [bench(1), twin]) == bench(1)
    assert counterpart(bench(9), [twin]) == twin


def test_a_benchmark_is_not_held_against_itself() -> None:
    assert counterpart(bench(2), [bench(1), bench(2, log="cut")]) == bench(1)


def test_what_died_still_finds_its_counterpart() -> None:
    died = bench(9, ending="timed out", model="", dtype="", device_name="")
    assert counterpart(died, [bench(1)]) == bench(1)


# --- Baselines in files -------------------------------------------------------------------------------------------------


def written(path: Path, *benches: Bench, **more: Any) -> str:
    derived = {"name": "x", "seconds": 1.0, "rtf": None, "speedup": 3.0, "recommended_batch": {"size": 1}}
    document = {"schema": "gpu-doctor/bench/1", "benches": [{**bench_to_plain(b), **derived} for b in benches], **more}
    path.write_text(json.dumps(document))
    return str(path)


def test_a_baseline_is_read_and_what_it_derives_is_passed_over(tmp_path: Path) -> None:
    benches = (bench(1, before=SHARED, batches=(Batch(1, 1.0, 1.0),)), matmul())
    assert read_baseline(written(tmp_path / "old.json", *benches, doctor="0.1.0")) == benches


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("\xff", "not JSON"),
        ("[]", "its schema is not gpu-doctor/bench/1"),
        ('{"schema": "gpu-doctor/inventory/1", "benches": []}', "its schema is not gpu-doctor/bench/1"),
        ('{"schema": "gpu-doctor/bench/1"}', "its schema is not gpu-doctor/bench/1"),
        ('{"schema": "gpu-doctor/bench/2", "benches": []}', "says gpu-doctor/bench/2, this gpu-doctor reads"),
        ('{"schema": "gpu-doctor/bench/1", "benches": []}', "holds no benchmark"),
        ('{"schema": "gpu-doctor/bench/1", "benches": [1]}', r"benches\[0\]: not a benchmark"),
        ('{"schema": "gpu-doctor/bench/1", "benches": [{"at": 1}]}', r"benches\[0\]: a damaged bench: .*at"),
    ],
)
def test_any_other_file_is_refused_in_one_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "old.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=words) as refused:
        read_baseline(str(path))
    assert "\n" not in refused.value.message
    assert "old.json" in refused.value.message


@pytest.mark.parametrize("name", ["missing.json", ".", "nul\0l"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_baseline(f"{tmp_path}/{name}")


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [
        *[("TFLOP/s", "higher"), ("GB/s", "higher"), ("x real time", "higher")],
        *[("s", "lower"), ("s/image", "lower"), ("bytes", "lower"), ("", None), ("%", None)],
    ],
)
def test_the_unit_says_what_is_better(unit: str, wanted: str | None) -> None:
    assert aim(unit) == wanted


def test_the_time_of_loading_is_not_compared() -> None:
    assert "load_seconds" not in verdicts(compare(bench(2, load_seconds=100.0), bench(1, load_seconds=1.5)))
