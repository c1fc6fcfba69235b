"""Whatever was asked live and ended badly is reported by exactly one rule: the one that owns it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gpu_doctor.checks.gpus.gpu_trials import gpu_answers, owner
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe, Trial
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply
from tests.checks.judge import judge_all
from tests.kit import dist, inventory, lib, probe, trial

NO_IMAGE = "CUDA failure 209: no kernel image is available for execution on the device"
KILLED = "was killed by SIGABRT (Aborted)"
OPENED = (trial("available providers"), trial("session"), trial("library of the provider"))
ON_GPU = (*OPENED, trial("providers of the session"))
COUNTED = (trial("device count"), trial("compute types", types="float32, float16, bfloat16, int8"))


def session(*trials: Trial, provider: str = "CUDA", ending: str = "answered") -> Probe:
    return probe("ort-session", f"{provider}ExecutionProvider", ending, *trials, reason=trials[-1].detail)


def translate(*trials: Trial, on: str = "GPU 0", ending: str = "answered") -> Probe:
    return probe("ctranslate2", on, ending, *COUNTED, *trials, reason=trials[-1].detail)


def machine(*probes: Probe) -> Inventory:
    packages = dist("ctranslate2", "4.6.3"), dist("onnxruntime-gpu", "1.22.0"), dist("cupy-cuda12x", "13.6.0")
    provider = lib("onnxruntime/capi/libonnxruntime_providers_cuda.so", "onnxruntime-gpu")
    return inventory(*packages, libraries=(provider,), probes=probes)


OWNERS: Sequence[tuple[str, Probe]] = (
    ("gpu-result-wrong", session(*ON_GPU, trial("run", "wrong", "the result is not that of the CPU"))),
    ("gpu-result-wrong", session(*ON_GPU, trial("run"), trial("convolution", "wrong", "not that of the CPU"))),
    ("gpu-operation-fails", session(*ON_GPU, trial("convolution", "failed", "CUDNN_STATUS_EXECUTION_FAILED"))),
    ("gpu-operation-fails", session(*ON_GPU, trial("run", "died", KILLED), ending="crashed")),
    ("kernel-image-missing", session(*ON_GPU, trial("run", "failed", NO_IMAGE))),
    ("ort-provider-unloadable", session(OPENED[0], trial("session", "died", KILLED), ending="crashed")),
    ("silent-cpu-fallback", session(*OPENED, trial("providers of the session", "wrong", "the CPU only"))),
    ("silent-cpu-fallback", session(OPENED[0], trial("session", "failed", "CUDA failure 999"), OPENED[2])),
    ("silent-cpu-fallback", session(trial("available providers", "wrong", "CUDA is not among the CPU"))),
    ("package-run-fails", session(*ON_GPU, trial("run", "wrong", "not that of the CPU"), provider="CPU")),
    ("package-run-fails", session(OPENED[0], trial("session", "failed", "no kernel"), provider="CPU")),
    ("package-run-fails", session(OPENED[0], trial("session", "died", KILLED), provider="CPU", ending="crashed")),
    ("gpu-result-wrong", translate(trial("run cuda float16", "wrong", "differs from the CPU by 1.0e+00"))),
    ("gpu-result-wrong", translate(trial("convolution cuda float32", "wrong", "all values are 0.0"))),
    ("gpu-operation-fails", translate(trial("convolution cuda float32", "died", KILLED), ending="crashed")),
    ("gpu-operation-fails", translate(trial("run cuda int8", "failed", "CUBLAS_STATUS_NOT_SUPPORTED"))),
    ("gpu-operation-fails", translate(trial("model", "failed", "OSError: no space left on device"))),
    ("kernel-image-missing", translate(trial("run cuda float32", "failed", NO_IMAGE))),
    ("package-run-fails", translate(trial("run cpu float32", "failed", "RuntimeError: no backend"), on="CPU")),
    ("package-run-fails", translate(trial("run cpu int8", "wrong", "differs from the CPU"), on="CPU")),
    ("package-run-fails", translate(trial("convolution cpu float32", "died", KILLED), on="CPU", ending="crashed")),
    ("package-run-fails", probe("library", "cupy-cuda12x", "answered", trial("libnvrtc.so.12", "failed", "OSError"))),
)


def last(asked: Probe) -> Trial:
    return next(item for item in asked.trials if item.outcome != "passed")


@pytest.mark.parametrize(
    ("rule", "asked"), OWNERS, ids=[f"{p.name}: {last(p).name} {last(p).outcome}" for _, p in OWNERS]
)
def test_what_ended_badly_is_reported_by_its_owner_and_by_no_other_rule(rule: str, asked: Probe) -> None:
    seen = machine(asked)
    assert owner(seen, asked, last(asked)) == rule
    assert [finding.rule for finding in judge_all(seen).findings] == [rule]


def test_a_provider_that_was_not_loaded_and_the_fallback_have_a_rule_each() -> None:
    asked = session(
        *OPENED[:2],
        trial("library of the provider", "wrong", "it was not loaded into the process"),
        trial("providers of the session", "wrong", "the session has the CPU only"),
    )
    case = judge_all(machine(asked))
    assert [owner(case.inventory, asked, item) for item in asked.trials[2:]] == [
        "ort-provider-unloadable",
        "silent-cpu-fallback",
    ]
    assert {finding.rule for finding in case.findings} == {"ort-provider-unloadable", "silent-cpu-fallback"}


def test_the_cpus_part_of_a_question_about_a_gpu_is_said_once() -> None:
    bad = trial("run cpu float32", "failed", "RuntimeError: no backend")
    both = translate(bad, on="CPU"), translate(bad)
    assert [finding.rule for finding in judge_all(machine(*both)).findings] == ["package-run-fails"]
    assert owner(machine(both[1]), both[1], bad) == "gpu-operation-fails"


def test_sessions_that_fail_alike_after_several_imports_are_one_finding() -> None:
    bad = trial("run", "wrong", "the result is not that of the CPU")
    orders = (
        probe("ort-session", "CUDAExecutionProvider", "answered", *ON_GPU, bad, after=after)
        for after in ((), ("torch",))
    )
    (finding,) = judge_all(machine(*orders)).findings
    assert finding.subject == "onnxruntime: CUDAExecutionProvider"
    assert finding.message.startswith(
        "The GPU in a session of ONNX Runtime computes something else than the CPU: run. "
    )
    assert len(finding.evidence) == 2


def test_what_no_code_is_for_is_reported_where_no_capability_is_known() -> None:
    two = session(*ON_GPU, trial("run", "failed", NO_IMAGE))
    seen = inventory(dist("onnxruntime-gpu", "1.22.0"), probes=(two,), gpus=())
    assert owner(seen, two, last(two)) == "gpu-operation-fails"


def test_a_session_without_a_gpu_asked_none() -> None:
    fell_back = session(*OPENED, trial("providers of the session", "skipped", "no GPU visible"))
    with pytest.raises(CannotKnow, match="no GPU visible"):
        gpu_answers(inventory(probes=(fell_back,), gpus=()), "ort-session")
    with pytest.raises(DoesNotApply):
        gpu_answers(inventory(probes=(session(*ON_GPU, provider="CPU"),)), "ort-session")
    worked = session(*ON_GPU)
    assert gpu_answers(inventory(probes=(worked,)), "ort-session") == (worked,)


@pytest.mark.parametrize(("devices", "rule"), [("failed", "silent-cpu-fallback"), ("passed", "gpu-operation-fails")])
def test_a_torch_that_sees_no_gpu_is_said_once(devices: str, rule: str) -> None:
    looked = probe("devices", "torch", "answered", Trial("devices", devices))  # type: ignore[arg-type]
    asked = probe("torch-gpu", "GPU 0", "answered", trial("is available", "failed", "RuntimeError: error 36"))
    case = judge_all(inventory(dist("torch", "2.8.0", cuda="12.8"), probes=(looked, asked, probe("import", "torch"))))
    assert [finding.rule for finding in case.findings if finding.severity == "error"] == [rule]
