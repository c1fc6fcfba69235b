"""bench-fails: a workload that began and did not come to its end."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.bench import Bench
from gpu_doctor.model.finding import CheckRun, Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Ending
from tests.checks.benched import QUIET, bench, figure
from tests.checks.judge import evidence, judge, judge_all, only
from tests.kit import dist, gpu, inventory, lib, probe, resolution, trial

RULE = "bench-fails"


def ended(ending: Ending, reason: str, **changes: Any) -> Bench:
    return bench("whisper", "cuda:0", **{"ending": ending, "reason": reason, "stage": "loading", **changes})


def judged(*benches: Bench) -> CheckRun:
    return judge(RULE, inventory(benches=benches))


def test_a_crash_names_the_stage_and_shows_the_last_words() -> None:
    died = ended(
        "crashed", "was killed by SIGABRT (Aborted)", log="one\n\ntwo\nUnable to load libcudnn_ops", before=QUIET
    )
    finding = only(judged(died))
    assert (finding.severity, finding.subject) == ("error", "whisper tiny on cuda:0")
    assert finding.message == "whisper on cuda:0 was killed by SIGABRT (Aborted) at the stage `loading`."
    assert evidence(finding)["its last output"] == "one\ntwo\nUnable to load libcudnn_ops"
    assert finding.evidence[0].again == "gpu-doctor bench …"
    assert evidence(finding)["the GPU before"].startswith("1980 MHz")


def test_an_exception_is_told_in_its_own_words() -> None:
    finding = only(judged(ended("raised", "RuntimeError: an illegal memory access was encountered")))
    assert "failed at the stage `loading`: RuntimeError: an illegal memory access was encountered." in finding.message
    assert "the build of torch, the driver or the GPU is at fault" in finding.message
    assert finding.remedy is not None


def test_an_exception_on_the_cpu_is_not_the_gpus() -> None:
    raised = ended("raised", "RuntimeError: illegal instruction")
    on_cpu = bench("whisper", "cpu", ending="raised", reason=raised.reason)
    finding = only(judged(on_cpu))
    assert (finding.message, finding.remedy) == ("whisper on cpu failed: RuntimeError: illegal instruction.", None)
    assert not {"driver", "GPU 0"} & set(finding.seats)


@pytest.mark.parametrize(
    "reason", ["was stopped because it held 12.3 GiB of memory", "OutOfMemoryError: CUDA out of memory"]
)
def test_too_large_a_wish_is_a_warning(reason: str) -> None:
    finding = only(judged(ended("crashed" if reason.startswith("was") else "raised", reason)))
    assert finding.severity == "warning"
    assert finding.message.endswith("It was too large for this machine as it was.")
    assert finding.remedy is not None
    assert "--model-size" in finding.remedy.summary


@pytest.mark.parametrize("ending", ["timed out", "stuck"])
def test_a_deadline_may_be_a_slow_machine(ending: Ending) -> None:
    finding = only(judged(ended(ending, "did not answer in 900 s")))
    assert (finding.severity, finding.remedy is None) == ("warning", False)


def test_what_ended_well_or_was_skipped_is_no_failure() -> None:
    skipped = bench("xtts", "cuda:0", ending="skipped", reason="coqui-tts is not installed")
    run = judged(bench("whisper", "cuda:0", 1.0), skipped)
    assert (run.status, run.note) == ("passed", "")


def test_an_interpreter_that_does_not_start_tells_nothing() -> None:
    run = judged(ended("unrunnable", "its Python is older than 3.8"))
    assert (run.status, run.note) == ("passed", "whisper on cuda:0: its Python is older than 3.8")


@pytest.mark.parametrize(
    "reason",
    [
        "wrong result: 128×512: differs by 1.0e+00",
        "RuntimeError: CUDA error: an illegal memory access",
        "RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    ],
)
def test_an_operation_of_a_workload_that_goes_on_is_reported(reason: str) -> None:
    figures = (figure(90.0), figure(0.0, name="conv1d float16 8×64", reason=reason))
    finding = only(judged(bench("conv", "cuda:0", 1.0, figures=figures)))
    assert (finding.severity, finding.subject) == ("error", "conv on cuda:0")
    assert finding.message == f"1 of 2 operations of conv on cuda:0 fail (`conv1d float16 8×64`): {reason}."
    assert evidence(finding) == {"measured: conv1d float16 8×64": reason}


@pytest.mark.parametrize(
    "reason",
    [
        "needs compute capability 8.0",
        "out of memory",
        "RuntimeError: cuDNN error: CUDNN_STATUS_NOT_SUPPORTED",
        "RuntimeError: \"addmm\" not implemented for 'Half'",
        "fell back to CPUExecutionProvider",
    ],
)
def test_what_a_device_lacks_is_no_failure(reason: str) -> None:
    figures = (figure(90.0), figure(0.0, name="matmul fp8 8192", reason=reason))
    assert judged(bench("matmul", "cuda:0", 1.0, figures=figures)).status == "passed"


def test_a_later_success_replaces_it() -> None:
    assert judged(ended("crashed", "x"), bench("whisper", "cuda:0", 1.0, wish={"seed": 7})).status == "passed"


def test_where_nothing_was_measured_it_does_not_apply() -> None:
    assert judged().applies is False


def cause(seen: Inventory) -> tuple[Finding, str]:
    found = [finding for run in judge_all(seen).runs for finding in run.findings]
    mine = next(finding for finding in found if finding.rule == RULE)
    return mine, next((finding.rule for finding in found if finding.fingerprint == mine.consequence_of), "")


CT2 = dist("ctranslate2", "4.6.1")
LIBRARY = "ctranslate2.libs/libctranslate2-1b0cf510.so.4.6.1"
CODE = lib(LIBRARY, "ctranslate2", sass="53 60 70 75 80 86", ptx="86")


def test_a_library_out_of_reach_explains_it() -> None:
    asks = resolution(LIBRARY, "ctranslate2", "libcublas.so.12", found=None)
    words = "RuntimeError: Library libcublas.so.12 is not found or cannot be loaded"
    mine, rule = cause(inventory(CT2, libraries=(CODE,), resolutions=(asks,), benches=(ended("raised", words),)))
    assert (mine.severity, rule) == ("note", "cublas-unreachable")


def test_an_import_that_fails_explains_it() -> None:
    whisper = dist("faster-whisper", "1.2.1")
    words = "ImportError: libavutil.so.58: cannot open shared object file: No such file or directory"
    asked = probe("import", "faster-whisper", "raised", reason=words)
    _, rule = cause(inventory(whisper, CT2, libraries=(CODE,), probes=(asked,), benches=(ended("raised", words),)))
    assert rule == "package-import-fails"


def test_full_memory_explains_it() -> None:
    full = gpu(free_bytes=0, processes=(), uuid="GPU-a")
    refused = probe("torch-gpu", "GPU 0", "answered", trial("allocate memory", "failed", "CUDA out of memory"))
    raised = ended("raised", "RuntimeError: CUDA failed with error out of memory")
    mine, rule = cause(inventory(CT2, gpus=(full,), probes=(refused,), benches=(raised,)))
    assert (mine.severity, rule) == ("note", "gpu-out-of-memory")


def test_what_nothing_explains_stays_an_alarm() -> None:
    mine, rule = cause(inventory(CT2, benches=(ended("crashed", "was killed by SIGSEGV"),)))
    assert (mine.severity, rule) == ("error", "")
