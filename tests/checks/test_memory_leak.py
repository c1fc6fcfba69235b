"""memory-leak: load, run and free again and again, and what is held afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.bench import Bench, Reload
from gpu_doctor.model.finding import CheckRun
from tests.checks.benched import QUIET, SHARED, bench, rounds
from tests.checks.judge import evidence, judge, judge_all, only
from tests.kit import dist, inventory, probe, trial

RULE = "memory-leak"


def reloaded(*reloads: Reload, **changes: Any) -> Bench:
    return bench("xtts", "cuda:0", 1.0, **{"reloads": reloads, "before": QUIET, "after": QUIET, **changes})


def judged(*benches: Bench) -> CheckRun:
    return judge(RULE, inventory(benches=benches))


def test_a_process_that_keeps_every_model_leaks() -> None:
    finding = only(judged(reloaded(*rounds(900, 1900, 2900, 3900, 4900))))
    assert (finding.severity, finding.subject) == ("error", "xtts on cuda:0: memory of the process")
    assert "after each reload the process holds 1000 MiB more" in finding.message
    assert evidence(finding)["held after each round"].split("\n")[1] == "round 2: process 1900 MiB"


def test_a_gpu_that_keeps_every_model_leaks() -> None:
    finding = only(judged(reloaded(*rounds(900, 901, 900, 901, vram=(400, 420, 440, 460)))))
    assert finding.subject == "xtts on cuda:0: memory of the GPU"
    assert "holds 20 MiB more" in finding.message
    assert "round 4: process 901 MiB, GPU 460 MiB" in evidence(finding)["held after each round"]


@pytest.mark.parametrize(
    "rss",
    [
        (300, 900, 900, 900, 900),
        (300, 900, 905, 898, 903, 900),
        (300, 700, 750, 760, 762, 763),
        (300, 600, 600, 800, 800, 800),
        (300, 600, 800, 800),
        (900, 800, 700, 600, 500),
    ],
    ids=["flat", "noise", "caches that fill", "one step", "one step, few rounds", "less and less"],
)
def test_caches_and_noise_are_no_leak(rss: tuple[float, ...]) -> None:
    run = judged(reloaded(*rounds(*rss)))
    assert (run.status, run.note) == ("passed", "")


@pytest.mark.parametrize(
    ("rss", "leaks"),
    [
        ((100, 100, 107, 114, 121), False),
        ((100, 100, 109, 118, 127), True),
        ((900, 1000, 1049, 1098, 1147), False),
        ((900, 1000, 1051, 1102, 1153), True),
        ((9000, 9000, 9060, 9120, 9180), False),
        ((9000, 9000, 9070, 9140, 9210), True),
    ],
    ids=str,
)
def test_how_much_is_a_leak_of_the_process(rss: tuple[float, ...], leaks: bool) -> None:
    assert judged(reloaded(*rounds(*rss))).status == ("failed" if leaks else "passed")


@pytest.mark.parametrize(
    ("vram", "leaks"),
    [((400, 400, 407, 414), False), ((400, 400, 409, 418), True), ((400, 500, 500, 500), False)],
    ids=str,
)
def test_how_much_is_a_leak_of_the_gpu(vram: tuple[float, ...], leaks: bool) -> None:
    run = judged(reloaded(*rounds(900, 900, 900, 900, vram=vram)))
    assert run.status == ("failed" if leaks else "passed")


def test_what_others_use_is_not_this_process() -> None:
    run = judged(reloaded(*rounds(900, 900, 900, 900, vram=(0, 20, 40, 60)), after=SHARED))
    assert (run.status, run.note) == (
        "passed",
        "xtts on cuda:0: the GPU's memory grew, and other processes used it, too",
    )


def test_a_round_that_fails_after_others_is_a_broken_process() -> None:
    words = "RuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR"
    finding = only(judged(reloaded(*rounds(900, 900, failed=words))))
    assert finding.severity == "error"
    assert f"worked, and fails in round 2 of reloading in the same process: {words}." in finding.message
    assert evidence(finding)["round 2"] == words


def test_a_first_round_fails_after_the_run_before_it() -> None:
    assert "fails in round 1" in only(judged(reloaded(*rounds(900, failed="CUDA error")))).message


def test_a_first_round_that_fails_with_nothing_before_it_tells_no_leak() -> None:
    run = judged(bench("xtts", "cuda:0", reloads=rounds(900, failed="CUDA error")))
    assert (run.status, run.note) == ("passed", "xtts on cuda:0: too few rounds to tell a leak (0; 4 are needed)")


def test_few_rounds_tell_nothing() -> None:
    run = judged(reloaded(*rounds(900, 1900, 2900)))
    assert (run.status, run.note) == ("passed", "xtts on cuda:0: too few rounds to tell a leak (3; 4 are needed)")


def test_a_later_run_without_reloads_does_not_hide_it() -> None:
    leak = reloaded(*rounds(900, 1900, 2900, 3900))
    assert judged(leak, bench("xtts", "cuda:0", 1.0)).status == "failed"
    assert judged(leak, reloaded(*rounds(900, 900, 900, 900))).status == "passed"


def test_where_nothing_was_reloaded_it_does_not_apply() -> None:
    assert judged(bench("xtts", "cuda:0", 1.0)).applies is False
    assert judged().applies is False


def test_a_cufft_that_fails_everywhere_explains_it() -> None:
    """cuFFT of CUDA 11.7 on Ada fails in every process, and not because of reloading."""
    torch = dist("torch", "1.13.1", cuda="11.7")
    broken = reloaded(*rounds(900, failed="RuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR"))
    fails = trial("stft", "failed", "RuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR")
    cufft = dist("nvidia-cufft-cu11", "10.7.2.91")
    case = judge_all(
        inventory(torch, cufft, benches=(broken,), probes=(probe("torch-gpu", "GPU 0", "answered", fails),))
    )
    mine = next(f for run in case.runs for f in run.findings if f.rule == RULE)
    cause = next(f for run in case.runs for f in run.findings if f.fingerprint == mine.consequence_of)
    assert cause.rule == "cufft-failure"
