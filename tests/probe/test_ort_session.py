"""The session question, put to a stand-in that decodes the model and computes: what each end of it says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gpu_doctor.model.probes import Probe
from gpu_doctor.probe.together import Asking, Question
from tests.simulated.onnx_models import ONNXRUNTIME

CUDA = "CUDAExecutionProvider"
NO_GPU = "no GPU visible"


def opened(folder: Path, words: str = "", provider: str = CUDA, no_gpu: str = "", preload: bool = False) -> Probe:
    package = folder / "onnxruntime"
    package.mkdir()
    (package / "__init__.py").write_text(ONNXRUNTIME)
    (package / "libonnxruntime_providers_cuda.so").write_bytes(b"\x7fELF" + bytes(4096))
    (folder / "first.py").write_text("print('imported first')\n")
    library = "libonnxruntime_providers_cuda.so" if provider == CUDA else ""
    argument = {"provider": provider, "library": library, "after": ["first"], "preload": preload, "no_gpu": no_gpu}
    environ = {**os.environ, "PYTHONPATH": str(folder), "GPU_DOCTOR_FAKE_ORT": words}
    with Asking(sys.executable, environ, workers=1, options=("-B",)) as asking:
        asking.add((Question("ort-session", provider, "ort_session.py", argument, 60, after=("first",)),))
        (probe,) = asking.results(lambda _words: None)
    return probe


def outcomes(probe: Probe) -> dict[str, str]:
    return {trial.name: trial.outcome for trial in probe.trials}


def test_the_cpu_computes_both_models(tmp_path: Path) -> None:
    probe = opened(tmp_path, provider="CPUExecutionProvider", no_gpu=NO_GPU)
    assert (probe.ending, probe.value("version")) == ("answered", "1.22.0")
    assert outcomes(probe) == {
        "available providers": "passed", "session": "passed", "providers of the session": "passed",
        "run": "passed", "convolution": "passed",
    }  # fmt: skip
    convolution = probe.trial("convolution")
    assert convolution is not None
    assert convolution.value("greatest difference") == "0.0"


def test_a_gpu_computes_both_models(tmp_path: Path) -> None:
    probe = opened(tmp_path, "maps device")
    assert set(outcomes(probe).values()) == {"passed"}
    assert len(probe.trials) == 6


def test_a_library_that_does_not_load_is_wrong_without_a_gpu_too(tmp_path: Path) -> None:
    probe = opened(tmp_path, no_gpu=NO_GPU)
    assert outcomes(probe) == {
        "available providers": "passed", "session": "passed", "library of the provider": "wrong",
        "providers of the session": "wrong",
    }  # fmt: skip
    assert "libx.so.1: cannot open" in probe.log


@pytest.mark.parametrize("words", ["maps", "maps raises"], ids=["falls back", "raises"])
def test_a_library_that_loads_and_finds_no_device_is_cleared(tmp_path: Path, words: str) -> None:
    probe = opened(tmp_path, words, no_gpu=NO_GPU)
    ends = outcomes(probe)
    assert ends["library of the provider"] == "passed"
    assert {"wrong", "failed"} & set(ends.values()) == set()
    assert "run" not in ends


def test_a_session_that_falls_back_beside_a_gpu_is_wrong(tmp_path: Path) -> None:
    probe = opened(tmp_path, "maps")
    trial = probe.trial("providers of the session")
    assert trial is not None
    assert (trial.outcome, trial.value("providers")) == ("wrong", "CPUExecutionProvider")


def test_a_provider_that_is_not_listed_is_not_asked_for(tmp_path: Path) -> None:
    probe = opened(tmp_path, "unlisted")
    assert outcomes(probe) == {"available providers": "wrong"}
    assert probe.trials[0].value("listed") == "CPUExecutionProvider"


def test_an_exception_of_the_session_beside_a_gpu_is_a_failure(tmp_path: Path) -> None:
    probe = opened(tmp_path, "maps raises")
    assert outcomes(probe)["session"] == "failed"
    assert "run" not in outcomes(probe)


@pytest.mark.parametrize("words", ["lies", "nan"])
def test_a_result_that_differs_is_wrong(tmp_path: Path, words: str) -> None:
    ends = outcomes(opened(tmp_path, f"maps device {words}"))
    assert (ends["run"], ends["convolution"]) == ("wrong", "wrong")


def test_a_crash_leaves_the_experiment_that_it_ended(tmp_path: Path) -> None:
    probe = opened(tmp_path, "dies")
    assert (probe.ending, outcomes(probe)["session"]) == ("crashed", "died")


def test_what_comes_first_is_done_first_and_said_in_order(tmp_path: Path) -> None:
    probe = opened(tmp_path, no_gpu=NO_GPU, preload=True)
    assert outcomes(probe)["library of the provider"] == "passed"
    assert probe.log.split("\n")[:2] == ["imported first", "preloaded"]
