"""audio-invalid: what was spoken is no sound speech, what was heard is not what was said."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.bench import Bench
from gpu_doctor.model.finding import CheckRun
from tests.checks.benched import bench, spoken
from tests.checks.judge import evidence, judge, only
from tests.kit import inventory

RULE = "audio-invalid"
REAL = {"weights": "/opt/app/model", "text": "good morning"}


def judged(*benches: Bench) -> CheckRun:
    return judge(RULE, inventory(benches=benches))


def heard(rate: float | None, text: str | None = "god warning", **wish: Any) -> Bench:
    return bench("whisper", "cuda:0", 1.0, word_error_rate=rate, heard=text, wish={**REAL, **wish}, dtype="float16")


def test_samples_that_are_not_finite_are_an_error() -> None:
    audio = spoken("48 samples are NaN or infinite", "it is silent", not_finite=48, rms=0.0, peak=0.0)
    finding = only(judged(bench("xtts", "cuda:0", 1.0, audio=audio, dtype="float16")))
    assert (finding.severity, finding.subject) == ("error", "xtts on cuda:0")
    assert finding.message == ("What xtts on cuda:0 spoke is not valid: 48 samples are NaN or infinite; it is silent.")
    assert evidence(finding)["its form"] == "24000 Hz, 1 channel(s), 16 bit, 2.00 s"
    assert evidence(finding)["number format"] == "float16"
    assert finding.remedy is not None
    assert "float32" in finding.remedy.summary


def test_a_wrong_form_is_no_matter_of_the_number_format() -> None:
    audio = spoken("its rate is 22050 Hz, not 24000", rate=22050)
    finding = only(judged(bench("xtts", "cpu", 1.0, audio=audio)))
    assert (finding.severity, finding.remedy) == ("error", None)


def test_sound_speech_is_healthy() -> None:
    run = judged(bench("xtts", "cuda:0", 1.0, audio=spoken()), heard(0.0, "good morning"))
    assert (run.status, run.note) == ("passed", "")


def test_most_words_wrong_with_real_weights_is_a_warning() -> None:
    finding = only(judged(heard(1.5)))
    assert (finding.severity, finding.subject) == ("warning", "whisper tiny with /opt/app/model on cuda:0")
    assert "got 100% of the words wrong, with the weights /opt/app/model." in finding.message
    assert evidence(finding)["said"] == "good morning"
    assert evidence(finding)["heard"] == "god warning"


def test_nothing_heard_is_said() -> None:
    assert evidence(only(judged(heard(1.0, ""))))["heard"] == "(nothing)"


@pytest.mark.parametrize(("rate", "weights"), [(0.5, "/opt/app/model"), (1.0, "random"), (None, "/opt/app/model")])
def test_some_errors_and_random_weights_are_no_illness(rate: float | None, weights: str) -> None:
    assert judged(heard(rate, weights=weights)).status == "passed"


def test_speech_that_was_not_read_back_is_not_known() -> None:
    run = judged(bench("xtts", "cuda:0", 1.0))
    assert (run.status, run.note) == ("passed", "xtts on cuda:0: what it spoke was not read back")


def test_without_speech_it_does_not_apply() -> None:
    assert judged(bench("matmul", "cuda:0", 1.0)).applies is False
    assert judged(bench("xtts", "cuda:0", ending="raised", audio=spoken("it is silent"))).applies is False
    assert judged().applies is False
