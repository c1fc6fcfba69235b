"""gpu-operation-fails: whatever failed on a GPU and has no rule of its own, so that nothing is silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gpu_doctor.checks.gpus.gpu_trials import owned
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe, Trial
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import SITE, dist, elf, host, inventory, lib, probe, resolution, trial

CUDNN = f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9"
NOT_INITIALIZED = "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"
ILLEGAL = "RuntimeError: CUDA error: an illegal memory access was encountered"
NO_MEMORY = "OutOfMemoryError: CUDA out of memory. Tried to allocate 16.00 MiB. GPU 0 has 1.00 MiB free"
NO_IMAGE = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
UNSUPPORTED = "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx`"


def asked(*trials: Trial, ending: str = "answered", **changes: Any) -> Probe:
    told = {"device": "NVIDIA L4", "capability": "8.9", "free memory": "1048576", "libcudnn.so": CUDNN}
    return probe("torch-gpu", "GPU 0", ending, *trials, measured=told, **changes)


def seen(*probes: Probe, **changes: Any) -> Inventory:
    return inventory(dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"), probes=probes, **changes)


def test_cublas_that_does_not_start_is_named_with_the_memory_there_was() -> None:
    sick = asked(trial("copy"), trial("matmul fp32", "failed", NOT_INITIALIZED), trial("matmul tf32", "skipped"))
    finding = only(judge("gpu-operation-fails", seen(sick)))
    assert (finding.severity, finding.subject) == ("error", "GPU 0")
    assert finding.message.startswith(
        f"1 of 2 experiments on GPU 0 (NVIDIA L4) fail (`matmul fp32`): {NOT_INITIALIZED}."
    )
    assert "no memory left" in finding.message
    assert evidence(finding)["free memory in bytes"] == "1048576"
    assert commands(finding)[0].startswith("nvidia-smi --query-compute-apps")


def test_cudnn_is_named_with_the_file_that_was_mapped() -> None:
    finding = only(
        judge(
            "gpu-operation-fails",
            seen(asked(trial("convolution", "failed", "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"))),
        )
    )
    assert evidence(finding)["libcudnn.so in that process"] == CUDNN
    assert CUDNN in finding.seats


@pytest.mark.parametrize(
    ("detail", "meaning"),
    [
        (ILLEGAL, "the build of torch, the driver or the GPU is at fault"),
        ("RuntimeError: CUDA error: uncorrectable ECC error encountered", "The GPU's memory is damaged."),
        ("RuntimeError: CUDA error: the launch timed out and was terminated", "display"),
        (
            "RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment",
            "The driver refuses",
        ),
    ],
)
def test_an_error_is_explained(detail: str, meaning: str) -> None:
    finding = only(judge("gpu-operation-fails", seen(asked(trial("launch kernel", "failed", detail)))))
    assert meaning in finding.message
    assert finding.remedy is not None


def test_an_error_that_nobody_knows_is_still_said() -> None:
    finding = only(judge("gpu-operation-fails", seen(asked(trial("attention", "failed", "ValueError: something new")))))
    assert finding.message.endswith("(`attention`): ValueError: something new.")
    assert finding.remedy is None


def test_an_experiment_that_kills_the_process() -> None:
    died = trial("convolution", "died", "was killed by SIGABRT (Aborted)")
    sick = asked(died, ending="crashed", reason="was killed by SIGABRT (Aborted)", loading=CUDNN, log="Invalid handle")
    finding = only(judge("gpu-operation-fails", seen(sick)))
    assert "was killed by SIGABRT" in finding.message
    assert evidence(finding)["the last library that it began to load"] == CUDNN
    assert evidence(finding)["its last output"] == "Invalid handle"


def test_a_process_that_ends_between_two_experiments() -> None:
    finding = only(
        judge("gpu-operation-fails", seen(asked(trial("copy"), ending="timed out", reason="did not answer in 180 s")))
    )
    assert finding.message == "The experiments on GPU 0 (NVIDIA L4) ended early: did not answer in 180 s."


OWNERS: Sequence[tuple[str, Trial]] = (
    ("gpu-result-wrong", trial("matmul fp32", "wrong", "relative error 1.0e-01")),
    ("kernel-image-missing", trial("stft", "failed", NO_IMAGE)),
    ("kernel-image-missing", trial("linalg svd", "failed", NO_IMAGE)),
    ("gpu-out-of-memory", trial("allocate memory", "failed", NO_MEMORY)),
    ("cufft-failure", trial("stft", "failed", "RuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR")),
    ("cufft-failure", trial("fft fp64", "died", "was killed by SIGSEGV")),
    ("dtype-unsupported-by-gpu", trial("matmul bf16", "failed", UNSUPPORTED)),
    ("dtype-unsupported-by-gpu", trial("matmul fp8", "failed", UNSUPPORTED)),
    ("gpu-operation-fails", trial("matmul fp8", "died", "was killed by SIGSEGV")),
    ("gpu-operation-fails", trial("matmul fp32", "failed", UNSUPPORTED)),
    ("gpu-operation-fails", trial("matmul fp32", "failed", NO_MEMORY)),
    ("gpu-operation-fails", trial("pinned memory", "failed", "RuntimeError: CUDA error: out of memory")),
    ("gpu-operation-fails", trial("is available", "failed", "RuntimeError: torch.cuda.is_available() says no")),
)


@pytest.mark.parametrize(("owner", "bad"), OWNERS, ids=[f"{o}, {t.name}" for o, t in OWNERS])
def test_each_failure_has_exactly_one_owner(owner: str, bad: Trial) -> None:
    sick = asked(trial("copy"), bad)
    owners = {rule for rule, _ in OWNERS} | {"wsl-pinned-memory"}
    assert [rule for rule in sorted(owners) if owned(seen(sick), sick, rule)] == [owner]
    found = judge("gpu-operation-fails", seen(sick)).status
    assert found == ("failed" if owner == "gpu-operation-fails" else "passed")


def test_on_wsl_pinned_memory_has_a_rule_of_its_own() -> None:
    sick = asked(trial("pinned memory", "failed", "RuntimeError: CUDA error: out of memory"))
    assert judge("gpu-operation-fails", seen(sick, host=host(wsl=True))).status == "passed"


def test_where_not_even_a_block_fits_other_lack_of_memory_is_no_second_finding() -> None:
    full = asked(trial("launch kernel", "failed", NO_MEMORY), trial("allocate memory", "failed", NO_MEMORY))
    assert judge("gpu-operation-fails", seen(full)).status == "passed"


def test_a_gpu_on_which_all_works() -> None:
    healthy = asked(trial("launch kernel"), trial("matmul fp32"), trial("pinned memory", "skipped", "…"))
    assert judge("gpu-operation-fails", seen(healthy)).status == "passed"


def test_without_an_answer_nothing_is_said() -> None:
    run = judge("gpu-operation-fails", seen(probe("torch-gpu", "GPU 0", "skipped", reason="no GPU visible")))
    assert (run.status, run.note, run.applies) == ("skipped", "no GPU visible", True)
    assert judge("gpu-operation-fails", inventory(dist("torch", "2.8.0"))).status == "skipped"


def test_a_cudnn_of_which_files_show_the_illness_is_its_consequence() -> None:
    """The convolution fails because the loader finds no parts: one illness, one alarm."""
    gap = resolution(CUDNN, "torch", "libcudnn_graph.so.9.10.2", found=None)
    sick = seen(
        asked(trial("convolution", "failed", "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED")),
        libraries=(lib(CUDNN, "nvidia-cudnn-cu12", elf=elf("libcudnn.so.9")),),
        resolutions=(gap,),
    )
    findings = {finding.rule: finding for finding in judge_all(sick).findings}
    cause = findings["cudnn-unreachable"]
    assert findings["gpu-operation-fails"].consequence_of == cause.fingerprint
    assert findings["gpu-operation-fails"].severity == "note"
