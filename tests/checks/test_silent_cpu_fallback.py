"""silent-cpu-fallback: a GPU is here, and a package that could use it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_doctor.model.bench import Bench
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory, Overlap
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.benched import bench
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import dist, driver, gpu, host, inventory, lib, probe, trial

RULE = "silent-cpu-fallback"
TORCH = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
CPU_TORCH = dist("torch", "2.8.0+cpu", built="2.8.0+cpu")
ORT = dist("onnxruntime-gpu", "1.20.2")
CUDA = "CUDAExecutionProvider"
NO_DRIVER = "RuntimeError: No CUDA GPUs are available"


def blind(package: str, *more: Any, **changes: Any) -> Probe:
    return probe("devices", package, "answered", trial("devices", "wrong", "no GPU", devices="0"), *more, **changes)


def sees(package: str) -> Probe:
    return probe("devices", package, "answered", trial("devices", devices="1", names="NVIDIA GeForce RTX 4090"))


def session(*outcomes: tuple[str, Any, str], **changes: Any) -> Probe:
    return probe("ort-session", CUDA, "answered", *(trial(*item) for item in outcomes), **changes)


ON_GPU = (("available providers", "passed", ""), ("session", "passed", ""), ("library of the provider", "passed", ""),
          ("providers of the session", "passed", ""), ("run", "passed", ""))  # fmt: skip
NO_DEVICE = (*ON_GPU[:3], ("providers of the session", "wrong", "the session has CPUExecutionProvider only"))
UNLOADED = (*ON_GPU[:2], ("library of the provider", "wrong", "not loaded"), NO_DEVICE[3])
NOT_LISTED = (("available providers", "wrong", f"{CUDA} is not among CPUExecutionProvider"),)


def machine(
    *packages: Any, probes: tuple[Probe, ...] | Unknown = (), visible: str | None = None, **more: Any
) -> Inventory:
    variables = () if visible is None else (Variable("CUDA_VISIBLE_DEVICES", visible),)
    return inventory(*packages, **{"probes": probes, "host": host(variables=variables), **more})


def test_a_torch_that_sees_no_gpu() -> None:
    asked = blind("torch", trial("reason", "failed", NO_DRIVER), measured={"built for cuda": "12.8"})
    finding = only(judge(RULE, machine(TORCH, probes=(asked,))))
    assert (finding.severity, finding.subject) == ("error", "torch 2.8.0+cu128")
    assert "is built for CUDA and sees no GPU" in finding.message
    assert "NVIDIA GeForce RTX 4090 is here" in finding.message
    assert evidence(finding)["its reason"] == NO_DRIVER
    assert evidence(finding)["asked live: the GPUs that torch sees"] == "no GPU"


def test_the_framework_that_sees_it_is_healthy() -> None:
    run = judge(RULE, machine(TORCH, ORT, probes=(sees("torch"), session(*ON_GPU))))
    assert (run.status, run.findings) == ("passed", ())


def test_where_no_call_fails_aloud_the_log_tells_why() -> None:
    log = "2026-11-20 I tensorflow: hello\nW gpu_device.cc: Cannot dlopen some GPU libraries. Skipping.\nbye"
    finding = only(
        judge(
            RULE,
            machine(
                dist("tensorflow", "2.19.0"), probes=(blind("tensorflow", log=log, measured={"built for cuda": "yes"}),)
            ),
        )
    )
    assert "Cannot dlopen some GPU libraries" in evidence(finding)["its log"]
    assert commands(finding)[0].endswith("'tensorflow[and-cuda]==2.19.0'")


def test_tensorflow_cpu_makes_room_for_tensorflow() -> None:
    no = {"built for cuda": "no"}
    seen = machine(dist("tensorflow-cpu", "2.21.0"), probes=(blind("tensorflow-cpu", measured=no),))
    finding = only(judge(RULE, seen))
    assert (finding.severity, "has no CUDA part" in finding.message) == ("warning", True)
    leave, come = commands(finding)
    assert leave.endswith("uninstall --python /opt/app/venv/bin/python tensorflow-cpu")
    assert come.endswith("'tensorflow[and-cuda]==2.21.0'")


def test_a_jax_without_its_cuda_part_may_be_meant_so() -> None:
    finding = only(judge(RULE, machine(dist("jax", "0.7.0"), probes=(blind("jax"),))))
    assert (finding.severity, "has no CUDA part" in finding.message) == ("warning", True)
    assert commands(finding)[0].endswith("'jax[cuda12]==0.7.0'")


def test_a_jax_with_its_cuda_part_is_not_told_to_install_it() -> None:
    packages = dist("jax", "0.7.0"), dist("jax-cuda12-plugin", "0.7.0")
    finding = only(judge(RULE, machine(*packages, probes=(blind("jax"),))))
    assert (finding.severity, finding.remedy) == ("error", None)


def test_a_package_is_built_for_cuda_where_it_carries_gpu_code() -> None:
    code = lib("ctranslate2.libs/libctranslate2.so", "ctranslate2", sass="80 86")
    seen = machine(dist("ctranslate2", "4.6.3"), probes=(blind("ctranslate2"),), libraries=(code,))
    assert only(judge(RULE, seen)).severity == "error"
    assert only(judge(RULE, replace(seen, libraries=()))).severity == "warning"


def test_a_call_that_fails_is_a_gpu_that_is_not_seen() -> None:
    words = "CUDARuntimeError: cudaErrorNoDevice: no CUDA-capable device is detected"
    asked = probe("devices", "cupy-cuda12x", "answered", trial("devices", "failed", words))
    finding = only(judge(RULE, machine(dist("cupy-cuda12x", "13.4.0"), probes=(asked,))))
    assert (finding.severity, evidence(finding)["asked live: the GPUs that cupy-cuda12x sees"]) == ("error", words)


def test_a_session_that_has_no_cuda() -> None:
    log = "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=x"
    finding = only(judge(RULE, machine(ORT, probes=(session(*NO_DEVICE, log=log),))))
    assert (finding.severity, finding.subject) == ("error", "onnxruntime-gpu 1.20.2")
    assert (
        "CUDA failure 100: no CUDA-capable device is detected"
        in evidence(finding)["asked live: CUDA session in a fresh process"]
    )


def test_one_order_of_imports_that_works_is_enough() -> None:
    both = (session(*UNLOADED), session(*ON_GPU, after=("torch",)))
    assert judge(RULE, machine(ORT, TORCH, probes=both)).status == "passed"


def test_a_crash_is_not_silent() -> None:
    crashed = probe("ort-session", CUDA, "crashed", trial("session", "died"), reason="was killed by SIGSEGV")
    dead = probe("devices", "torch", "crashed", trial("devices", "died"), reason="was killed by SIGSEGV")
    assert judge(RULE, machine(ORT, TORCH, probes=(crashed, dead))).status == "passed"


@pytest.mark.parametrize(
    ("value", "severity", "words"),
    [
        ("", "warning", "is empty"),
        ("-1", "warning", "begins with -1, which is no GPU"),
        ("3", "error", "names GPU 3, and there is 1 GPU, counted from 0"),
    ],
)
def test_the_variable_that_hides_every_gpu_is_one_cause_for_all(value: str, severity: str, words: str) -> None:
    asked = (blind("torch", measured={"built for cuda": "12.8"}), session(*NO_DEVICE))
    finding = only(judge(RULE, machine(TORCH, ORT, probes=asked, visible=value)))
    assert (finding.severity, finding.subject) == (severity, "CUDA_VISIBLE_DEVICES")
    assert words in finding.message
    assert "torch 2.8.0+cu128, onnxruntime-gpu 1.20.2" in finding.message
    assert commands(finding) == ["unset CUDA_VISIBLE_DEVICES"]


def test_a_variable_that_hides_nothing_is_not_blamed() -> None:
    finding = only(judge(RULE, machine(TORCH, probes=(blind("torch"),), visible="0")))
    assert finding.subject == "torch 2.8.0+cu128"


def consequences(seen: Inventory, rule: str) -> list[str]:
    case = judge_all(seen)
    assert case.findings[0].rule == rule
    return [f.rule for f in case.consequences(case.findings[0])]


def test_a_cpu_build_explains_it() -> None:
    asked = blind("torch", measured={"built for cuda": "no"})
    assert RULE in consequences(machine(CPU_TORCH, probes=(asked,)), "cpu-only-build")


def test_an_old_driver_explains_it() -> None:
    asked = blind("torch", measured={"built for cuda": "13.0"})
    new = dist("torch", "2.12.0", cuda="13.0", built="2.12.0+cu130")
    old = driver("525.60.13", "12.0")
    assert RULE in consequences(machine(new, probes=(asked,), driver=old), "driver-too-old")


def test_a_package_written_over_explains_it() -> None:
    shared = Overlap(("onnxruntime", "onnxruntime-gpu"), 260, ("x",), (("onnxruntime-gpu", 3),), "onnxruntime")
    seen = machine(dist("onnxruntime", "1.20.1"), ORT, probes=(session(*NOT_LISTED),), overlaps=(shared,))
    assert RULE in consequences(seen, "ort-packages-clash")


def test_a_provider_that_does_not_load_explains_it() -> None:
    provider = lib("onnxruntime/capi/libonnxruntime_providers_cuda.so", "onnxruntime-gpu", sass="80 86")
    log = "Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file: No such file"
    seen = machine(ORT, probes=(session(*UNLOADED, log=log),), libraries=(provider,), gpus=(gpu("A100", (8, 0)),))
    assert RULE in consequences(seen, "ort-provider-unloadable")


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"probes": Unknown("only files were read")}, "only files were read"),
        ({"probes": (probe("devices", "torch", "skipped", reason="no GPU visible"),), "gpus": ()}, "no GPU visible"),
        ({"probes": (session(*UNLOADED),), "gpus": ()}, "no GPU visible"),
        ({"probes": (session(*NO_DEVICE),), "gpus": Unknown("NVML does not answer")}, "NVML does not answer"),
    ],
    ids=["static", "skipped", "no GPU", "GPUs unknown"],
)
def test_what_cannot_be_known_is_not_judged(changes: dict[str, Any], note: str) -> None:
    run = judge(RULE, machine(TORCH, ORT, **changes))
    assert (run.status, run.applies, run.note) == ("skipped", True, note)


def test_assumed_hardware_is_not_judged() -> None:
    seen = replace(machine(ORT, probes=(session(*NO_DEVICE),)), target=Target("python", None, "--python", ("sm_89",)))
    run = judge(RULE, seen)
    assert (run.status, run.note) == ("skipped", "the hardware is assumed, not this machine's")


def test_where_nothing_can_be_asked_it_does_not_apply() -> None:
    run = judge(RULE, machine(dist("numpy", "2.2.6")))
    assert (run.status, run.applies) == ("skipped", False)


def test_a_workload_that_the_cpu_computed_counts_without_questions() -> None:
    seen = machine(TORCH, probes=Unknown("only files were read"), benches=(bench("stft", "cuda:0", 1.0, ran_on="cpu"),))
    run = judge(RULE, seen)
    finding = only(run)
    assert (finding.severity, finding.subject, run.note) == ("error", "stft on cuda:0", "")
    assert finding.message == "stft on cuda:0 was computed by the CPU, although NVIDIA GeForce RTX 4090 is here."
    assert evidence(finding)["measured: stft on cuda:0"] == "asked of cuda:0, computed on cpu"
    assert "torch" in finding.seats


def test_a_workload_that_the_gpu_computed_is_healthy_without_questions() -> None:
    benches = (bench("stft", "cuda:0", 1.0), bench("matmul", "cpu", 1.0))
    run = judge(RULE, machine(TORCH, probes=Unknown("only files were read"), benches=benches))
    assert (run.status, run.note) == ("passed", "")


def test_a_workload_is_further_evidence_where_its_package_sees_no_gpu() -> None:
    benches = (bench("stft", "cuda:0", 1.0, ran_on="cpu"), bench("onnx", "cuda:0", 1.0, ran_on="CPUExecutionProvider"))
    torch, onnx = judge(RULE, machine(TORCH, probes=(blind("torch"),), benches=benches)).findings
    assert torch.subject == "torch 2.8.0+cu128"
    assert evidence(torch)["measured: stft on cuda:0"] == "asked of cuda:0, computed on cpu"
    assert onnx.message.startswith("onnx on cuda:0 was computed by the CPU")


def test_a_half_that_stayed_on_the_cpu_is_told_from_the_whole() -> None:
    half = bench("xtts", "cuda:0", 1.0, ran_on="cpu, cuda:0")
    finding = only(judge(RULE, machine(TORCH, probes=Unknown("only files were read"), benches=(half,))))
    assert "xtts on cuda:0 was computed in part by the CPU" in finding.message
    assert evidence(finding)["measured: xtts on cuda:0"] == "asked of cuda:0, computed on cpu, cuda:0"


@pytest.mark.parametrize(
    "measured",
    [bench("stft", "cuda:0", ending="crashed", ran_on="cpu"), bench("stft", "cpu", 1.0)],
    ids=["did not end", "on the CPU"],
)
def test_a_workload_that_says_nothing_of_the_gpu_is_no_answer(measured: Bench) -> None:
    run = judge(RULE, machine(TORCH, probes=Unknown("only files were read"), benches=(measured,)))
    assert (run.status, run.note) == ("skipped", "only files were read")
