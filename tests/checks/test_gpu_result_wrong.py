"""gpu-result-wrong: what ran to its end and came out wrong, on each GPU."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe, Trial
from tests.checks.judge import commands, evidence, judge, only
from tests.kit import dist, host, inventory, probe, trial


def wrong(name: str, error: str, tolerance: str = "8.7e-06") -> Trial:
    detail = f"256×512×256: relative error {error} against the CPU, at most {tolerance} is rounding"
    return trial(name, "wrong", detail, relative_error=error, tolerance=tolerance)


def asked(*trials: Trial, subject: str = "GPU 0") -> Probe:
    return probe("torch-gpu", subject, "answered", *trials, measured={"device": "NVIDIA GeForce RTX 4090"})


def seen(*probes: Probe, **changes: Any) -> Inventory:
    return inventory(dist("torch", "2.8.0", cuda="12.8"), probes=probes, **changes)


def test_a_wrong_product_is_an_error_that_names_gpu_operation_and_error() -> None:
    finding = only(judge("gpu-result-wrong", seen(asked(trial("copy"), wrong("matmul fp16", "3.1e-01", "3.9e-03")))))
    assert (finding.severity, finding.subject) == ("error", "GPU 0")
    assert finding.message.startswith(
        "GPU 0 (NVIDIA GeForce RTX 4090) computes something else than the CPU: matmul fp16. "
    )
    assert "relative error 3.1e-01 against the CPU, at most 3.9e-03 is rounding" in finding.message
    assert "asked live: matmul fp16 in torch on GPU 0" in evidence(finding)
    assert finding.remedy is not None
    assert finding.remedy.safety == "manual"
    assert commands(finding)[0].startswith("nvidia-smi -q -d ECC")


def test_numbers_that_are_none_are_wrong() -> None:
    nan = trial("stft", "wrong", "n_fft 400: 12 of 900 numbers are NaN or infinite", relative_error="not finite")
    finding = only(judge("gpu-result-wrong", seen(asked(nan))))
    assert finding.severity == "error"
    assert "12 of 900 numbers are NaN" in finding.message


def test_an_error_of_tf32s_size_is_a_setting_not_broken_hardware() -> None:
    variables = (Variable("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1"),)
    forced = seen(
        asked(wrong("matmul fp32", "4.2e-04"), wrong("convolution", "3.0e-04")), host=host(variables=variables)
    )
    finding = only(judge("gpu-result-wrong", forced))
    assert finding.severity == "warning"
    assert "TF32" in finding.message
    assert evidence(finding)["TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"] == "1"
    assert commands(finding) == ["unset TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"]


def test_tf32_without_a_variable_has_no_command() -> None:
    finding = only(judge("gpu-result-wrong", seen(asked(wrong("matmul fp32", "4.2e-04")))))
    assert (finding.severity, commands(finding)) == ("warning", [])


@pytest.mark.parametrize(
    "trials",
    [
        (wrong("matmul fp32", "4.2e-02"),),
        (wrong("matmul fp32", "2.0e-05"),),
        (wrong("stft", "4.2e-04"),),
        (wrong("matmul fp32", "4.2e-04"), wrong("linalg svd", "4.2e-04")),
        (trial("copy", "wrong", "whole numbers come back changed"),),
    ],
    ids=["too large", "too small", "no product", "one of them no product", "whole numbers"],
)
def test_what_tf32_cannot_explain_is_an_error(trials: tuple[Trial, ...]) -> None:
    assert only(judge("gpu-result-wrong", seen(asked(*trials)))).severity == "error"


def test_each_gpu_is_judged_by_itself() -> None:
    run = judge("gpu-result-wrong", seen(asked(trial("copy")), asked(wrong("copy", "1.0e+00"), subject="GPU 1")))
    assert [finding.subject for finding in run.findings] == ["GPU 1"]


def test_wrong_transforms_alone_are_cuffts_matter_first() -> None:
    transforms = asked(trial("copy"), wrong("stft", "3.0e-01"), wrong("istft", "3.0e-01"))
    assert "cuFFT on GPU 0" in only(judge("gpu-result-wrong", seen(transforms))).seats
    more = asked(wrong("stft", "3.0e-01"), wrong("matmul fp32", "3.0e-01"))
    assert "cuFFT on GPU 0" not in only(judge("gpu-result-wrong", seen(more))).seats


def test_right_results_and_failures_of_other_kinds_are_none_of_its() -> None:
    healthy = asked(trial("matmul fp32"), trial("stft", "failed", "CUFFT_INTERNAL_ERROR"), trial("copy", "skipped"))
    assert judge("gpu-result-wrong", seen(healthy)).status == "passed"


def test_without_an_answer_nothing_is_said() -> None:
    unasked = judge("gpu-result-wrong", inventory(dist("torch", "2.8.0", cuda="12.8")))
    assert (unasked.status, unasked.applies) == ("skipped", True)
    hidden = judge("gpu-result-wrong", seen(probe("torch-gpu", "GPU 0", "skipped", reason="no GPU visible")))
    assert (hidden.status, hidden.note) == ("skipped", "no GPU visible")
