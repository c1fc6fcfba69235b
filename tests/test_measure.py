"""From a wish to judged figures: devices, what is lacking, what a dying child leaves, and what the rules add."""

from __future__ import annotations

import os
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import doctor
from gpu_doctor.bench.workloads import RECIPES, Recipe
from gpu_doctor.errors import DoctorError, UsageError
from gpu_doctor.measure import baseline, compared, measure, save_benches, saved_benches
from gpu_doctor.model.bench import Bench, BenchWish, GpuState, Wanted, Workload
from gpu_doctor.model.case import Case
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.simulated import packages
from tests.simulated.driver import RTX_4090, T4, SimulatedGpu, simulated_driver, uuid_of
from tests.simulated.packages import Env

CLOCKED = replace(RTX_4090, clocks=(2100, 2500, 10000, 384), heat=(50, 0, 0))
HARNESS = Path(doctor.__file__).parent / "probe/scripts/_workload.py"
WISH = BenchWish("stft", "cpu", repeat=2)

HEALTHY = """
import time
work.load(lambda: None)
work.repeat(lambda: time.sleep(0.01))
return work.finish(ran_on=argument["device"], device_name="it", model="a model", dtype="float32", audio_seconds=2.0)
"""


@pytest.fixture
def env(tmp_path: Path) -> Env:
    return packages.environment(tmp_path)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a workload this body of `answer(argument, notes)`."""

    def give(body: str, workload: Workload = "stft", **changes: Any) -> None:
        script = tmp_path / f"{workload}.py"
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        head = f"import runpy\nWork = runpy.run_path({str(HARNESS)!r})['Work']\n"
        script.write_text(f"{head}def answer(argument, notes):\n    work = Work(argument, notes)\n{lines}\n")
        monkeypatch.setitem(RECIPES, workload, Recipe(str(script), **{"needs": (), **changes}))

    return give


def target(env: Env) -> Target:
    return doctor.choose(env.python, None, {}, "/")


def measured(env: Env, wanted: Wanted, environ: dict[str, str] | None = None) -> Any:
    return measure(target(env), packages.environ() if environ is None else environ, wanted, lambda _words: None)


def only(env: Env, wanted: Wanted, environ: dict[str, str] | None = None) -> Bench:
    (bench,) = measured(env, wanted, environ).benches
    return bench


def test_what_a_child_measures_is_a_bench(env: Env, recipe: Any) -> None:
    recipe(HEALTHY)
    bench = only(env, Wanted(("stft",), "cpu", WISH))
    assert (bench.ending, bench.ran_on, bench.model, bench.dtype) == ("answered", "cpu", "a model", "float32")
    assert len(bench.runs) == 2
    assert bench.rtf == pytest.approx((bench.seconds or 0) / 2)
    assert (bench.before, bench.after, bench.peak_vram_bytes) == (None, None, None)
    assert bench.again.endswith("--device cpu --weights random --seed 0")


@pytest.mark.parametrize(
    ("body", "ending", "reason", "severity"),
    [
        ("raise RuntimeError('cuFFT error: CUFFT_INTERNAL_ERROR')", "raised", "RuntimeError: cuFFT error", "error"),
        ("import os; os.abort()", "crashed", "SIGABRT", "error"),
        ("while True: pass", "timed out", "did not answer in 2 s", "warning"),
    ],
)
def test_how_a_child_ended_is_said_with_what_it_knew(
    env: Env, recipe: Any, body: str, ending: str, reason: str, severity: str
) -> None:
    recipe(f"work.load(lambda: None)\nwork.stage('sampling', 0.4)\nprint('last words')\n{body}")
    found = measured(env, Wanted(("stft",), "cpu", WISH, deadline=2.0))
    (bench,) = found.benches
    assert (bench.ending, bench.stage) == (ending, "sampling")
    assert reason in bench.reason
    assert bench.load_seconds is not None
    assert [(finding.rule, finding.severity) for finding in found.findings] == [("bench-fails", severity)]


def test_a_workload_that_lacks_a_package_is_refused_with_the_line_that_installs_it(env: Env) -> None:
    env.torch()
    with pytest.raises(DoctorError) as refusal:
        measured(env, Wanted(("diffusion",), "cpu", WISH))
    assert "diffusers is not installed" in refusal.value.message
    assert refusal.value.exit_code == 3
    assert "diffusers" in refusal.value.hint
    assert env.python in refusal.value.hint


def test_speech_packages_are_named_with_versions_that_go_together(env: Env) -> None:
    with pytest.raises(DoctorError) as refusal:
        measured(env, Wanted(("xtts",), "cpu", WISH))
    assert "coqui-tts and torch and torchaudio are not installed" in refusal.value.message
    # coqui-tts 0.28.0 imports six and does not ask for it.
    assert {"coqui-tts", "torch", "torchaudio", "six"} <= {
        word.partition("==")[0] for word in refusal.value.hint.split()
    }


def test_where_no_workload_can_run_the_first_one_is_named(env: Env) -> None:
    with pytest.raises(DoctorError, match=r"no workload can run in .*: for matmul, torch is not installed") as refusal:
        measured(env, Wanted(("matmul", "conv"), "cpu", WISH))
    assert "torch==" in refusal.value.hint


def test_of_many_workloads_those_that_lack_something_are_left_out(env: Env, recipe: Any) -> None:
    recipe(HEALTHY)
    found = measured(env, Wanted(("stft", "xtts"), "cpu", WISH))
    assert [bench.wish.workload for bench in found.benches] == ["stft"]
    assert [workload for workload, _ in found.left_out] == ["xtts"]


def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused(env: Env, recipe: Any) -> None:
    recipe(HEALTHY)
    assert only(env, Wanted(("stft",), "auto", WISH)).wish.device == "cpu"
    for words in ("cuda", "cuda:0", "both"):
        with pytest.raises(UsageError, match="no GPU is visible"):
            measured(env, Wanted(("stft",), words, WISH))


def test_both_measures_cpu_and_gpu_and_watches_the_gpu(env: Env, recipe: Any, tmp_path: Path) -> None:
    recipe(HEALTHY.replace("audio_seconds=2.0", "gpu=argument['gpu']['uuid'] if argument['gpu'] else ''"))
    environ = simulated_driver(tmp_path, CLOCKED, environ=packages.environ())
    cpu, gpu = measured(env, Wanted(("stft",), "both", WISH), environ).benches
    assert (cpu.wish.device, gpu.wish.device) == ("cpu", "cuda:0")
    assert isinstance(gpu.before, GpuState)
    assert (gpu.before.clock, gpu.total_vram_bytes, gpu.peak_vram_bytes) == (2100, 24 * 2**30, 0)


def test_a_number_counts_among_the_gpus_that_a_process_sees(env: Env, recipe: Any, tmp_path: Path) -> None:
    recipe("return work.finish(model=argument['gpu']['uuid'])")
    environ = simulated_driver(tmp_path, T4, CLOCKED, environ=packages.environ(CUDA_VISIBLE_DEVICES="1"))
    assert only(env, Wanted(("stft",), "cuda:0", WISH), environ).model == uuid_of(1)
    with pytest.raises(UsageError, match="--device cuda:1: 1 visible here"):
        measured(env, Wanted(("stft",), "cuda:1", WISH), environ)


@pytest.mark.parametrize(
    ("gpu", "peak"),
    [(CLOCKED, 2 * 10000e6 * 384 / 8 / 1e9), (SimulatedGpu(), None)],
)
def test_a_figure_is_held_against_what_the_gpu_could_reach(
    env: Env, recipe: Any, tmp_path: Path, gpu: SimulatedGpu, peak: float | None
) -> None:
    recipe("return work.finish(figures=[{'name': 'copy', 'value': 480.0, 'unit': 'GB/s', 'kind': 'memory'}])", "copy")
    environ = simulated_driver(tmp_path, gpu, environ=packages.environ())
    (figure,) = only(env, Wanted(("copy",), "cuda", WISH), environ).figures
    assert figure.peak == peak
    assert figure.fraction == (None if peak is None else 0.5)


def test_speech_is_read_back_and_kept_where_it_was_wished(env: Env, recipe: Any, tmp_path: Path) -> None:
    recipe("work.write_wav([0.3, -0.3] * 12000, 24000)\nreturn work.finish()", sounds=True)
    bench = only(env, Wanted(("stft",), "cpu", WISH))
    assert bench.audio is not None
    assert (bench.audio.path, bench.audio.seconds, bench.audio.problems) == ("", 1.0, ())
    kept = tmp_path / "out.wav"
    bench = only(env, Wanted(("stft",), "cpu", replace(WISH, output=str(kept))))
    assert bench.audio is not None
    assert bench.audio.path == str(kept)
    with wave.open(str(kept)) as file:
        assert file.getnframes() == 24_000


def test_silence_is_found_by_the_rules(env: Env, recipe: Any) -> None:
    recipe("work.write_wav([0.0] * 24000, 24000)\nreturn work.finish()", "xtts", sounds=True)
    found = measured(env, Wanted(("xtts",), "cpu", WISH))
    assert [finding.rule for finding in found.findings] == ["audio-invalid"]


def test_a_workload_that_writes_no_speech_is_found_too(env: Env, recipe: Any) -> None:
    recipe("return work.finish()", "xtts", sounds=True)
    (finding,) = measured(env, Wanted(("xtts",), "cpu", WISH)).findings
    assert finding.rule == "audio-invalid"


@pytest.mark.parametrize(
    ("text", "heard", "rate"),
    [("Hello there.", "hello their", 0.5), ("Hello.", None, None), (None, "hello", None), ("…", "hello", None)],
)
def test_what_was_heard_is_held_against_the_text(
    env: Env, recipe: Any, text: str | None, heard: str | None, rate: float | None
) -> None:
    recipe(f"return work.finish(heard={heard!r})")
    assert only(env, Wanted(("stft",), "cpu", replace(WISH, text=text))).word_error_rate == rate


def test_a_sweep_doubles_the_batch(env: Env, recipe: Any) -> None:
    recipe("work.sweep(lambda size: size)\nreturn work.finish()")
    bench = only(env, Wanted(("stft",), "cpu", WISH, sweep=True))
    assert [batch.size for batch in bench.batches] == [1, 2, 4]


def test_memory_stops_a_workload_before_the_kernel_would(
    env: Env, recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu_doctor.bench.run.available", lambda: 200 * 2**20)
    recipe("kept = [b'x' * 2**20 for _ in range(1000)]\nreturn work.finish()")
    bench = only(env, Wanted(("stft",), "cpu", WISH))
    assert bench.ending == "crashed"
    assert "of memory" in bench.reason


def test_progress_names_the_stage_and_the_time_that_is_left(env: Env, recipe: Any) -> None:
    recipe("import time\nwork.stage('sampling', 0.5)\ntime.sleep(1.5)\nreturn work.finish()")
    shown: list[str] = []
    measure(target(env), packages.environ(), Wanted(("stft",), "cpu", WISH), shown.append)
    assert [words for words in shown if words.startswith("stft on cpu: sampling · 50% · 0:0")]


def test_what_was_saved_is_there_again_and_can_be_compared_with(env: Env, recipe: Any) -> None:
    recipe(HEALTHY)
    wanted = Wanted(("stft",), "cpu", WISH)
    with pytest.raises(UsageError, match="nothing was saved"):
        baseline(target(env), {}, "last")
    found = measured(env, wanted)
    save_benches(found)
    assert tuple(past.bench for past in saved_benches(target(env), {}).saved) == found.benches
    slower = replace(found.benches[0], runs=(5.0, 5.0), at="later")
    (comparison,) = compared((slower,), baseline(target(env), {}, "last"), 0.1)
    assert [one.name for one in comparison.regressions] == ["seconds", "rtf"]
    elsewhere = replace(slower, wish=replace(slower.wish, device="cuda:0"), at="later")
    assert compared((elsewhere,), found.benches, 0.1) == ()


def test_the_judgement_shows_only_what_the_figures_brought(env: Env, recipe: Any) -> None:
    env.install("ctranslate2", "4.6.1", {"ctranslate2/__init__.py": "", "ctranslate2.libs/libx-1.so.9": "x"})
    (env.site / "ctranslate2.libs" / "libcudnn_ops.so.9").symlink_to("/nowhere/libcudnn_ops.so.9")
    recipe(HEALTHY)
    found = measured(env, Wanted(("stft",), "cpu", WISH))
    assert isinstance(found.case, Case)
    assert "library-links-stale" in [finding.rule for finding in found.case.findings]
    assert found.findings == ()


def test_an_unknown_number_of_gpus_is_no_reason_to_refuse_cuda(env: Env, recipe: Any, tmp_path: Path) -> None:
    recipe("return work.finish(ran_on='cuda:0')")
    environ = simulated_driver(tmp_path, CLOCKED, nvml_init=999, environ=packages.environ())
    environ["PATH"] = os.defpath
    found = measured(env, Wanted(("stft",), "cuda", WISH), environ)
    assert isinstance(found.case.inventory.gpus, Unknown)
    assert found.benches[0].ran_on == "cuda:0"
