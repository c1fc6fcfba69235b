"""package-version-conflict: what the GPU stack asks for, and what it finds."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.inventory import Distribution, Overlap
from gpu_doctor.model.libraries import SymbolNeed
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import SITE, dist, interpreter, inventory

PINS = ("nvidia-nvjitlink-cu12==12.8.93", "nvidia-cudnn-cu12==9.10.2.21", "filelock")
TORCH = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128", requires=PINS)
CUDNN = dist("nvidia-cudnn-cu12", "9.10.2.21")
NVJITLINK = dist("nvidia-nvjitlink-cu12", "12.8.93")
OLD_NVJITLINK = dist("nvidia-nvjitlink-cu12", "12.1.105")


def symbol(provider: str = "nvidia/nvjitlink/lib/libnvJitLink.so.12", **changes: Any) -> SymbolNeed:
    values = {"defined": False, "symbol": "__nvJitLinkCreate_12_8", **changes}
    consumer = f"{SITE}/nvidia/cusparse/lib/libcusparse.so.12"
    return SymbolNeed(consumer, "nvidia-cusparse-cu12", values["symbol"], f"{SITE}/{provider}", values["defined"])


def test_a_wrong_nvjitlink_is_proven_by_the_symbol_it_lacks() -> None:
    finding = only(judge("package-version-conflict", inventory(TORCH, OLD_NVJITLINK, CUDNN, symbols=(symbol(),))))
    assert (finding.severity, finding.subject) == ("error", "torch")
    assert "torch 2.8.0+cu128 asks for nvidia-nvjitlink-cu12==12.8.93, and finds nvidia-nvjitlink-cu12 12.1.105" in (
        finding.message
    )
    assert evidence(finding)["torch requires nvidia-nvjitlink-cu12==12.8.93"] == "installed: 12.1.105"
    assert "__nvJitLinkCreate_12_8" in evidence(finding)["undefined symbol"]
    assert finding.seats == ("torch", "nvidia-nvjitlink-cu12")
    assert commands(finding) == ["uv pip install --python /opt/app/venv/bin/python nvidia-nvjitlink-cu12==12.8.93"]


def test_a_wrong_minor_without_proof_is_a_warning() -> None:
    run = judge("package-version-conflict", inventory(TORCH, dist("nvidia-nvjitlink-cu12", "12.6.85"), CUDNN))
    assert only(run).severity == "warning"


@pytest.mark.parametrize(
    ("version", "severity"), [("9.1.0.70", "error"), ("9.10.1.4", "warning"), ("9.12.0.46", "warning")]
)
def test_torch_refuses_a_cudnn_of_an_older_minor_release(version: str, severity: str) -> None:
    run = judge("package-version-conflict", inventory(TORCH, NVJITLINK, dist("nvidia-cudnn-cu12", version)))
    assert only(run).severity == severity


def test_another_major_is_an_error() -> None:
    run = judge("package-version-conflict", inventory(TORCH, NVJITLINK, dist("nvidia-cudnn-cu12", "8.9.7.29")))
    assert only(run).severity == "error"


def test_several_broken_pins_of_one_package_are_one_finding() -> None:
    finding = only(
        judge("package-version-conflict", inventory(TORCH, OLD_NVJITLINK, dist("nvidia-cudnn-cu12", "9.1.0.70")))
    )
    assert "(and 1 more)" in finding.message
    assert commands(finding)[0].endswith("nvidia-nvjitlink-cu12==12.8.93 nvidia-cudnn-cu12==9.10.2.21")


def test_a_symbol_of_another_library_proves_nothing_here() -> None:
    elsewhere = symbol("nvidia/cublas/lib/libcublas.so.12", symbol="cublasNew")
    sick = inventory(TORCH, OLD_NVJITLINK, CUDNN, symbols=(elsewhere,))
    assert only(judge("package-version-conflict", sick)).severity == "warning"


@pytest.mark.parametrize("defined", [True, Unknown("cut short")])
def test_only_a_symbol_that_is_certainly_absent_proves(defined: bool | Unknown) -> None:
    sick = inventory(TORCH, OLD_NVJITLINK, CUDNN, symbols=(symbol(defined=defined),))
    assert only(judge("package-version-conflict", sick)).severity == "warning"


def test_names_of_cuda_13_without_a_suffix_are_told_apart() -> None:
    """nvidia-cublas is the whole name; a symbol missing elsewhere is not its fault."""
    torch = dist("torch", "2.12.0", cuda="13.0", requires=("nvidia-cublas==13.0.2.14",))
    sick = inventory(torch, dist("nvidia-cublas", "13.1.0.3"), symbols=(symbol("nvidia/cu13/lib/libnvJitLink.so.13"),))
    assert only(judge("package-version-conflict", sick)).severity == "warning"


def test_a_missing_engine_is_an_error() -> None:
    finding = only(
        judge("package-version-conflict", inventory(dist("torchvision", "0.23.0", requires=("torch==2.8.0",))))
    )
    assert finding.severity == "error"
    assert "not installed" in finding.message
    assert evidence(finding)["torchvision requires torch==2.8.0"] == "not installed"


@pytest.mark.parametrize("removed", ["torchvision==0.23.0", "torchaudio==2.8.0", "xformers==0.0.32", "bitsandbytes"])
def test_a_removed_companion_may_be_meant(removed: str) -> None:
    """Taking torchvision out of a text-only server is a known repair."""
    vllm = dist("vllm", "0.10.2", requires=("torch==2.8.0", removed))
    torch = dist("torch", "2.8.0", cuda="12.8")
    assert only(judge("package-version-conflict", inventory(vllm, torch))).severity == "warning"


@pytest.mark.parametrize(
    "packages",
    [
        (TORCH, NVJITLINK, CUDNN),
        (TORCH,),
        (dist("torch", "2.8.0", requires=PINS, cuda="12.8"), dist("nvidia-cudnn-cu12", "9.10.2.21+local"), NVJITLINK),
        (dist("faster-whisper", "1.2.1", requires=("onnxruntime<2,>=1.14",)), dist("onnxruntime-gpu", "1.22.0")),
        (dist("faster-whisper", "1.2.1", requires=("onnxruntime<2,>=1.14",)), dist("onnxruntime-directml", "1.22.0")),
        (dist("xformers", "0.0.28", requires=("torch>=2.5",)), dist("torch", "2.5.0a0+872d972e41.nv24.10", cuda="12.6")),
        (dist("torchvision", "0.24.0.dev20250901+cu128", requires=("torch==2.9.0.dev20250901",)), dist("torch", "2.9.0.dev20250901+cu128")),
        (dist("transformers", "4.56.0", requires=('torch>=2.2; extra == "torch"', "numpy>=99")), dist("numpy", "2.0")),
        (dist("torch", "2.8.0", requires=("nvidia-cudnn-cu12 == what?", "\x00"), cuda="12.8"), CUDNN),
    ],
    ids=[
        "as pinned",
        "NVIDIA's libraries from elsewhere",
        "local version",
        "the recommended onnxruntime-gpu alone",
        "DirectML alone",
        "NGC",
        "nightly",
        "extras and other packages",
        "malformed",
    ],
)  # fmt: skip
def test_healthy(packages: tuple[Distribution, ...]) -> None:
    run = judge("package-version-conflict", inventory(*packages))
    assert (run.status, run.findings) == ("passed", ())


def test_a_version_that_is_not_known_is_said() -> None:
    run = judge(
        "package-version-conflict", inventory(TORCH, NVJITLINK, dist("nvidia-cudnn-cu12", Unknown("no METADATA")))
    )
    assert (run.status, run.findings) == ("passed", ())
    assert "nvidia-cudnn-cu12" in run.note
    assert "no METADATA" in run.note


def test_without_a_gpu_stack_there_is_nothing_to_judge() -> None:
    run = judge("package-version-conflict", inventory(dist("flask", "3.0", requires=("werkzeug>=99",))))
    assert (run.status, run.applies) == ("skipped", False)


def test_poetry_repairs_its_own_environment() -> None:
    poetry = inventory(TORCH, OLD_NVJITLINK, CUDNN, interpreter=interpreter(manager="poetry"))
    assert commands(only(judge("package-version-conflict", poetry))) == ["poetry add nvidia-nvjitlink-cu12==12.8.93"]


def test_a_pin_broken_by_an_overwriting_package_is_a_consequence() -> None:
    wrong = dist("nvidia-cudnn-cu12", "9.1.0.70")
    clash = Overlap(
        ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13"), 8, (f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9",),
        (("nvidia-cudnn-cu12", 8),), "nvidia-cudnn-cu13",
    )  # fmt: skip
    case = judge_all(inventory(TORCH, NVJITLINK, wrong, dist("nvidia-cudnn-cu13", "9.12.0.46"), overlaps=(clash,)))
    primary = case.findings[0]
    assert primary.rule == "packages-overwrite"
    assert [f.rule for f in case.consequences(primary)] == ["package-version-conflict"]


def test_torchvision_of_another_release_is_an_error_and_moves_to_the_torch_that_is_there() -> None:
    """Run on the wheels: torchvision 0.21 under torch 2.8 raises "operator torchvision::nms does not exist"."""
    vision = dist("torchvision", "0.21.0", cuda="12.4", requires=("torch==2.6.0",))
    finding = only(judge("package-version-conflict", inventory(dist("torch", "2.8.0", cuda="12.8"), vision)))
    assert (finding.severity, finding.subject) == ("error", "torchvision")
    assert commands(finding) == ["uv pip install --python /opt/app/venv/bin/python torchvision==0.23.0"]


def test_torchaudio_of_another_patch_release_may_work() -> None:
    audio = dist("torchaudio", "2.7.0", cuda="12.6", requires=("torch==2.7.0",))
    run = judge("package-version-conflict", inventory(dist("torch", "2.7.1", cuda="12.6"), audio))
    assert only(run).severity == "warning"


def test_a_torchaudio_that_names_no_torch_needs_one_of_its_age_all_the_same() -> None:
    """Run on the wheels: torchaudio 2.11 under torch 2.10 lacks the symbol torch_dtype_float4_e2m1fn_x2."""
    audio = dist("torchaudio", "2.11.0", cuda="13.0")
    finding = only(judge("package-version-conflict", inventory(dist("torch", "2.10.0", cuda="12.8"), audio)))
    assert (finding.severity, finding.subject) == ("error", "torchaudio")
    assert commands(finding) == ["uv pip install --python /opt/app/venv/bin/python torchaudio==2.10.0"]


@pytest.mark.parametrize("release", ["2.11.0", "2.12.0", "2.15.0"])
def test_it_serves_every_later_torch(release: str) -> None:
    here = inventory(dist("torch", release, cuda="13.0"), dist("torchaudio", "2.11.0", cuda="13.0"))
    assert judge("package-version-conflict", here).findings == ()
