"""Packages that shall use a GPU: findings that concern them, what the GPU did, and what remains open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpu_doctor.model import plain
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Outcome
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests import kit
from tests.preflight.asked import ask, standing

PATIENTS = Path(__file__).parents[1] / "patients"
TORCH = kit.dist("torch", "2.8.0+cu128", cuda="12.8")
CODE = kit.lib("torch/lib/libtorch_cuda.so", "torch", sass="80 86 90 100 120", size=10**9)
ORT = kit.dist("onnxruntime-gpu", "1.22.0")
CT2 = kit.dist("ctranslate2", "4.6.3")
NO_GPU = {"gpus": (), "driver": None}
IMPORTED = kit.probe("import", "torch")
TRIALS = (*("is available", "launch kernel", "allocate memory", "copy", "matmul fp32", "matmul bf16", "stft", "istft"),)


def patient(name: str) -> Inventory:
    return plain.loads((PATIENTS / f"{name}.json").read_text(encoding="utf-8"))


def torch_asked(*failed: str, **changes: object) -> Inventory:
    trials = (kit.trial(n, "failed" if n in failed else "passed", "broken" if n in failed else "") for n in TRIALS)
    answer = kit.probe("torch-gpu", "GPU 0", "answered", *trials, measured={"device": "RTX 4090", "capability": "8.9"})
    base = kit.inventory(TORCH, libraries=(CODE,), probes=(IMPORTED, answer))
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("torch-cuda", "torch"),
        ("stft", "torch"),
        ("matmul:bf16", "torch"),
        ("onnxruntime-cuda", "onnxruntime-gpu"),
        ("onnxruntime-tensorrt", "onnxruntime-gpu"),
        ("ctranslate2-cuda", "ctranslate2"),
    ],
)
def test_a_package_that_is_not_there_is_unmet(text: str, name: str) -> None:
    found = ask(text, kit.inventory())
    assert (found.standing, found.message) == ("unmet", f"{name} is not installed.")


def test_the_build_without_cuda_is_named() -> None:
    found = ask("onnxruntime-cuda", kit.inventory(kit.dist("onnxruntime", "1.22.0")))
    assert found.message == "onnxruntime-gpu is not installed, and onnxruntime 1.22.0 has no CUDA part."


@pytest.mark.parametrize("text", ["torch-cuda", "stft", "matmul:fp32"])
def test_a_machine_that_certainly_has_no_gpu_is_the_cause(text: str) -> None:
    found = ask(text, kit.inventory(TORCH, **NO_GPU))
    assert (found.standing, found.message) == ("unmet", "There is no NVIDIA GPU and no driver here.")


def test_without_a_gpu_an_image_build_is_told_how_to_name_one() -> None:
    assert "--gpu and --driver" in ask("torch-cuda", kit.inventory(TORCH, **NO_GPU), asked=False).message


def test_a_gpu_without_a_driver_is_the_rules_finding() -> None:
    broken = kit.inventory(TORCH, **NO_GPU, host=kit.host(pci_gpus=("0000:01:00.0",)))
    found = ask("torch-cuda", broken)
    assert (found.standing, found.causes[0].rule) == ("unmet", "driver-missing")
    assert found.message == found.causes[0].message


def test_hidden_gpus_are_unmet() -> None:
    hidden = torch_asked(host=kit.host(variables=(Variable("CUDA_VISIBLE_DEVICES", ""),)))
    assert "hides every GPU" in ask("torch-cuda", hidden).message


def test_unknown_gpus_are_undetermined() -> None:
    dark = kit.inventory(TORCH, libraries=(CODE,), gpus=Unknown("NVML hangs"), driver=Unknown("NVML hangs"))
    assert standing("torch-cuda", dark) == "undetermined"


def test_torch_that_computed_on_the_gpu_is_met() -> None:
    found = ask("torch-cuda", torch_asked())
    assert (found.standing, found.message) == ("met", "torch-cuda works on RTX 4090.")


def test_an_experiment_that_fails_makes_torch_unmet_by_the_rules_finding() -> None:
    found = ask("torch-cuda", torch_asked("matmul fp32"))
    assert (found.standing, [cause.rule for cause in found.causes]) == ("unmet", ["gpu-operation-fails"])


def test_one_experiment_stands_for_itself() -> None:
    broken = torch_asked("matmul fp32")
    assert standing("matmul:bf16", broken) == "met"
    assert standing("matmul:fp32", broken) == "unmet"
    assert standing("stft", broken) == "met"


def test_what_cufft_alone_does_wrong_is_the_matter_of_stft() -> None:
    broken = torch_asked("stft")
    found = ask("stft", broken)
    assert (found.standing, [cause.rule for cause in found.causes]) == ("unmet", ["cufft-failure"])
    assert standing("torch-cuda", broken) == "met"


def test_every_gpu_that_was_asked_must_do_it() -> None:
    good, other = torch_asked(), torch_asked("matmul fp32")
    assert isinstance(good.probes, tuple)
    assert isinstance(other.probes, tuple)
    second = replace(other.probes[1], subject="GPU 1")
    both = replace(good, probes=(*good.probes, second), gpus=(kit.gpu(), kit.gpu()))
    assert standing("matmul:fp32", both) == "unmet"
    assert standing("matmul:bf16", both) == "met"


def test_questions_that_were_not_asked_are_undetermined_with_the_reason() -> None:
    late = "the 2 s of --deadline were over"
    unanswered = replace(torch_asked(), probes=(IMPORTED, kit.probe("torch-gpu", "GPU 0", "skipped", reason=late)))
    found = ask("torch-cuda", unanswered)
    assert (found.standing, found.message) == ("undetermined", f"Not tried: {late}.")
    unasked = ask("torch-cuda", replace(torch_asked(), probes=Unknown("there is no interpreter to ask")))
    assert (unasked.standing, "no interpreter" in unasked.message) == ("undetermined", True)


def test_what_passed_before_the_time_was_over_counts() -> None:
    trials = (kit.trial("matmul bf16"),)
    cut = kit.probe("torch-gpu", "GPU 0", "skipped", *trials, reason="late", measured={})
    early = replace(torch_asked(), probes=(IMPORTED, cut))
    assert [standing(text, early) for text in ("matmul:bf16", "matmul:fp16")] == ["met", "undetermined"]


def with_fp8(outcome: Outcome, detail: str = "", **changes: object) -> Inventory:
    answered = torch_asked()
    assert not isinstance(answered.probes, Unknown)
    imported, answer = answered.probes
    trials = (*answer.trials, kit.trial("matmul fp8", outcome, detail))
    return replace(answered, probes=(imported, replace(answer, trials=trials)), **changes)  # type: ignore[arg-type]


def test_fp8_is_met_where_a_product_in_it_was_right() -> None:
    assert standing("matmul:fp8", with_fp8("passed")) == "met"
    assert standing("matmul:fp8", with_fp8("wrong", "relative error 1.0")) == "unmet"


def test_fp8_is_never_guessed() -> None:
    found = ask("matmul:fp8", torch_asked())
    assert found.standing == "undetermined"
    assert standing("matmul:fp8", with_fp8("skipped", "the GPU's context was lost in `stft`")) == "undetermined"


def test_a_torch_without_fp8_is_unmet() -> None:
    found = ask("matmul:fp8", with_fp8("skipped", "this torch has no FP8"))
    assert (found.standing, "this torch has no FP8" in found.message) == ("unmet", True)


@pytest.mark.parametrize(
    ("text", "capability", "met"),
    [
        ("fp8", (8, 6), False),
        ("fp8", (8, 9), True),
        ("tf32", (7, 5), False),
        ("tf32", (8, 0), True),
        ("bf16", (7, 5), True),
    ],
)
def test_formats_of_tensor_cores_begin_with_a_generation(text: str, capability: Capability, met: bool) -> None:
    trial = kit.trial(f"matmul {text}")
    answer = kit.probe("torch-gpu", "GPU 0", "answered", trial, measured={"device": "a GPU"})
    seen = replace(torch_asked(), probes=(IMPORTED, answer), gpus=(kit.gpu("a GPU", capability),))
    found = ask(f"matmul:{text}", seen)
    assert found.standing == ("met" if met else "unmet")
    assert ("is the first" in found.message) is not met
    # Whatever a question could answer, that the generation has none is known from its files alone.
    assert standing(f"matmul:{text}", seen, asked=False) == ("undetermined" if met else "unmet")


def test_a_format_on_gpus_that_are_unknown_is_not_refused() -> None:
    assert standing("matmul:fp8", replace(torch_asked(), gpus=Unknown("no driver"))) == "undetermined"


def test_files_alone_decide_for_assumed_hardware() -> None:
    target = Target("/opt/app/venv/bin/python", None, "--python", ("RTX 5090",), "580")
    assumed = kit.inventory(TORCH, libraries=(CODE,), target=target, gpus=(kit.gpu("RTX 5090", (12, 0)),))
    found = ask("torch-cuda", assumed, asked=False)
    assert (found.standing, found.message) == (
        "met",
        "As far as files tell, torch 2.8.0+cu128 runs on RTX 5090 with driver 580.95.05.",
    )
    assert standing("torch-cuda", replace(assumed, driver=Unknown("give --driver")), asked=False) == "undetermined"
    assert standing("torch-cuda", replace(assumed, gpus=Unknown("give --gpu")), asked=False) == "undetermined"
    old = replace(assumed, driver=kit.driver("470.57.02", "11.4"))
    assert ask("torch-cuda", old, asked=False).causes[0].rule == "driver-too-old"
    live = [standing(text, assumed, asked=False) for text in ("stft", "matmul:bf16")]
    assert live == ["undetermined", "undetermined"]


def test_a_cpu_build_is_unmet() -> None:
    cpu = kit.inventory(kit.dist("torch", "2.8.0+cpu", built="2.8.0+cpu"))
    found = ask("torch-cuda", cpu)
    assert (found.standing, found.causes[0].rule) == ("unmet", "cpu-only-build")


def test_findings_concern_the_package_that_is_ill_and_no_other() -> None:
    whisperx = replace(patient("whisperx-cudnn"), gpus=(kit.gpu(),), driver=kit.driver())
    rules = {text: [cause.rule for cause in ask(text, whisperx).causes] for text in ("torch-cuda", "ctranslate2-cuda")}
    assert rules == {"torch-cuda": [], "ctranslate2-cuda": ["cudnn-unreachable"]}
    assert ask("onnxruntime-cuda", whisperx).causes[0].rule == "ort-packages-clash"


def test_a_consequence_is_answered_with_its_cause() -> None:
    broken = replace(patient("nvjitlink"), gpus=(kit.gpu(),), driver=kit.driver())
    assert [cause.rule for cause in ask("torch-cuda", broken).causes] == ["package-version-conflict"]
    mixed = replace(patient("cuda13-ct2"), gpus=(kit.gpu(),), driver=kit.driver())
    assert [cause.rule for cause in ask("ctranslate2-cuda", mixed).causes] == ["cuda-majors-mixed"]
    assert ask("torch-cuda", mixed).causes == ()


def test_warnings_count_where_that_is_wished() -> None:
    slow = replace(patient("healthy-whisper"), gpus=(kit.gpu(),), driver=kit.driver())
    assert ask("ctranslate2-cuda", slow).causes == ()
    assert [cause.rule for cause in ask("ctranslate2-cuda", slow, fail_on="warning").causes] == ["cublas-unreachable"]


@pytest.mark.parametrize(("passed", "wanted"), [(True, "met"), (False, "unmet")])
def test_a_session_with_cuda_in_one_order_of_imports_is_enough(passed: bool, wanted: str) -> None:
    bad = kit.probe("ort-session", "CUDAExecutionProvider", "answered", kit.trial("providers of the session", "wrong"))
    trials = tuple(
        kit.trial(name, "passed" if passed else "failed", "boom") for name in ("providers of the session", "run")
    )
    good = kit.probe("ort-session", "CUDAExecutionProvider", "answered", *trials, after=("torch",))
    found = ask("onnxruntime-cuda", kit.inventory(ORT, probes=(bad, good)))
    assert found.standing == wanted
    if passed:
        assert found.message == (
            "onnxruntime-cuda works in an ONNX Runtime session with CUDAExecutionProvider, after import torch."
        )


@pytest.mark.parametrize(("outcome", "wanted"), [("passed", "met"), ("failed", "unmet")])
def test_ctranslate2_must_compute_on_the_gpu(outcome: str, wanted: str) -> None:
    cpu = kit.probe("ctranslate2", "CPU", "answered", kit.trial("run cpu float32"))
    trials = (kit.trial("device count"), kit.trial("run cuda float32", outcome, "boom"))  # type: ignore[arg-type]
    seen = kit.inventory(CT2, probes=(cpu, kit.probe("ctranslate2", "GPU 0", "answered", *trials)))
    assert standing("ctranslate2-cuda", seen) == wanted


def test_kernels_are_judged_for_the_gpu_that_is_named() -> None:
    seen = kit.inventory(TORCH, libraries=(CODE,))
    assert ask("kernels:sm_120", seen).message == "torch has code for sm_120."
    assert ask("kernels:RTX 5090", seen).message == "torch has code for GeForce RTX 5090 (sm_120)."
    found = ask("kernels:sm_75", seen)
    assert (found.standing, [cause.rule for cause in found.causes]) == ("unmet", ["kernel-image-missing"])


def test_kernels_that_no_package_has_are_unmet_and_unread_ones_undetermined() -> None:
    assert standing("kernels:sm_89", kit.inventory(CT2)) == "unmet"
    unread = kit.lib("torch/lib/libtorch_cuda.so", "torch", unknown="compressed")
    assert standing("kernels:sm_89", kit.inventory(TORCH, libraries=(unread,))) == "undetermined"


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("ok-4090", "cudnn>=9.1", "met"),
        ("ok-4090", "cudnn==9.10", "met"),
        ("ok-4090", "cudnn>=9.11", "unmet"),
        ("ok-4090", "cudnn", "met"),
        ("torch26-5090", "cudnn>=9.2", "unmet"),
        ("cudnn-overwritten", "cudnn>=9", "unmet"),
        ("whisperx-cudnn", "cudnn>=9", "unmet"),
        ("torch-segv", "cudnn", "unmet"),
    ],
)
def test_cudnn_is_what_packages_find_and_works(name: str, text: str, wanted: str) -> None:
    assert standing(text, patient(name)) == wanted


def test_without_an_answer_files_tell_the_version_of_cudnn() -> None:
    seen = replace(patient("ok-4090"), probes=Unknown("only files were read"))
    found = ask("cudnn>=9.10", seen, asked=False)
    assert (found.standing, found.message) == ("met", "cuDNN of torch is 9.10.2.21.")
    bare = kit.inventory(CT2, libraries=(kit.lib("ctranslate2.libs/libcudnn.so.9", "ctranslate2"),))
    assert standing("cudnn>=9", bare) == "undetermined"
    named = kit.lib("ctranslate2.libs/libcudnn-74a4c495.so.9.1.0", "ctranslate2")
    assert standing("cudnn>=9.1", kit.inventory(CT2, libraries=(named,))) == "met"
