"""package-run-fails: what is imported well and does not work, without any GPU's part in it."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.inventory import Inventory, Overlap
from gpu_doctor.model.probes import Probe, Trial
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import PREFIX, dist, inventory, probe, resolution, trial

RULE = "package-run-fails"
CT2, ORT = dist("ctranslate2", "4.6.3"), dist("onnxruntime-gpu", "1.22.0")
NOT_THERE = "OSError: libnvrtc.so.12: cannot open shared object file: No such file or directory"
DIFFERS = "differs from the CPU by 3.1e-01, more than 6e-02"


def seen(*items: Any, **changes: Any) -> Inventory:
    probes = tuple(item for item in items if isinstance(item, Probe))
    return inventory(*(item for item in items if not isinstance(item, Probe)), probes=probes, **changes)


def on_cpu(*trials: Trial, ending: str = "answered", **changes: Any) -> Probe:
    return probe("ctranslate2", "CPU", ending, *trials, **changes)


def session(*trials: Trial, provider: str = "CPUExecutionProvider", **changes: Any) -> Probe:
    return probe("ort-session", provider, "answered", trial("available providers"), *trials, **changes)


def loads(package: str, *, well: bool, after: tuple[str, ...] = ()) -> Probe:
    tried = trial("libnvrtc.so.12") if well else trial("libnvrtc.so.12", "failed", NOT_THERE)
    return probe("library", package, "answered", tried, after=after)


def test_a_wrong_result_on_the_cpu() -> None:
    sick = on_cpu(trial("run cpu float32"), trial("run cpu int8", "wrong", DIFFERS))
    finding = only(judge(RULE, seen(CT2, sick)))
    assert (finding.severity, finding.subject) == ("error", "ctranslate2: CPU")
    assert finding.message == (
        f"ctranslate2 4.6.3 can be imported and does not work: `run cpu int8` came out wrong: {DIFFERS}."
    )
    assert evidence(finding)["asked live: run cpu int8 in CTranslate2 on the CPU"] == DIFFERS
    (line,) = commands(finding)
    assert line.startswith(f"uv pip install --python {PREFIX}/bin/python --reinstall")
    assert line.endswith(" ctranslate2==4.6.3")


def test_a_session_that_cannot_be_opened_on_the_cpu() -> None:
    sick = session(trial("session", "failed", "RuntimeException: no kernel for MatMul"))
    finding = only(judge(RULE, seen(ORT, sick)))
    assert (finding.severity, finding.subject) == ("error", "onnxruntime: CPUExecutionProvider")
    assert "onnxruntime-gpu 1.22.0 can be imported and does not work: `session` failed: Runtime" in finding.message


def test_a_run_that_ends_the_process() -> None:
    words = "was killed by SIGILL (Illegal instruction)"
    sick = on_cpu(trial("run cpu float32", "died", words), ending="crashed", reason=words, log="Aborting")
    finding = only(judge(RULE, seen(CT2, sick)))
    assert finding.message.endswith(f"`run cpu float32` ended the process, which {words}.")
    assert evidence(finding)["its last output"] == "Aborting"


def test_a_process_that_ends_between_two_experiments() -> None:
    sick = on_cpu(trial("run cpu float32"), ending="raised", reason="ModuleNotFoundError: No module named 'numpy'")
    finding = only(judge(RULE, seen(CT2, sick)))
    assert finding.message.endswith("does not work: it ended early: ModuleNotFoundError: No module named 'numpy'.")


def test_what_is_only_slow_is_a_warning() -> None:
    words = "did not answer in 180 s"
    sick = on_cpu(trial("run cpu int8", "died", words), ending="timed out", reason=words)
    finding = only(judge(RULE, seen(CT2, sick)))
    assert (finding.severity, "--probe-timeout" in commands(finding)[0]) == ("warning", True)


def test_files_that_were_overwritten_explain_it() -> None:
    shared = Overlap(("onnxruntime", "onnxruntime-gpu"), 260, ("x",), (("onnxruntime-gpu", 3),), "onnxruntime")
    sick = session(trial("session"), trial("run", "wrong", "the result is not that of the CPU"))
    case = judge_all(seen(dist("onnxruntime", "1.22.0"), ORT, sick, overlaps=(shared,)))
    clash = next(finding for finding in case.findings if finding.rule == "ort-packages-clash")
    assert RULE in [finding.rule for finding in case.consequences(clash)]


def test_a_library_that_is_opened_by_name_and_does_not_load_costs_one_feature() -> None:
    asks = resolution("torch/lib/libcaffe2_nvrtc.so", "torch", "libnvrtc.so.12", found=None)
    sick = seen(dist("torch", "2.8.0", cuda="12.8"), loads("torch", well=False), resolutions=(asks,))
    finding = only(judge(RULE, sick))
    assert (finding.severity, finding.subject) == ("warning", "torch")
    assert finding.message == f"torch 2.8.0 opens libnvrtc.so.12 at the first use, in vain: {NOT_THERE}."
    assert evidence(finding)["asked live: load libnvrtc.so.12 for torch"] == NOT_THERE
    assert commands(finding)[0].endswith(" nvidia-cuda-nvrtc-cu12")
    assert asks.consumer in finding.seats


def test_an_order_of_imports_that_helps_is_named() -> None:
    orders = loads("cupy-cuda12x", well=False), loads("cupy-cuda12x", well=True, after=("torch",))
    finding = only(judge(RULE, seen(dist("cupy-cuda12x", "13.6.0"), *orders)))
    assert (finding.severity, finding.remedy) == ("note", None)
    assert finding.message.endswith("opens libnvrtc.so.12 at the first use, in vain, except after import torch.")


@pytest.mark.parametrize("present", [True, False])
def test_tensorrt_matters_only_where_it_is_installed(present: bool) -> None:
    lost = trial("library of the provider", "wrong", "libonnxruntime_providers_tensorrt.so was not loaded")
    items = (ORT, session(trial("session"), lost, provider="TensorrtExecutionProvider"))
    run = judge(RULE, seen(*items, *((dist("tensorrt-cu12", "10.9.0"),) if present else ())))
    assert [finding.severity for finding in run.findings] == ["warning"] * present


def test_what_works_and_what_others_report_is_none_of_its() -> None:
    healthy = on_cpu(trial("run cpu float32"), trial("run cpu bfloat16", "skipped", "not supported here"))
    cublas = probe("library", "ctranslate2", "answered", trial("libcublas.so.12", "failed", NOT_THERE))
    driverless = trial("libcupti.so.12", "failed", "OSError: libcuda.so.1: cannot open shared object file")
    cupti = probe("library", "torch", "answered", driverless)
    crash = session(trial("session", "died", "was killed by SIGSEGV"), provider="CUDAExecutionProvider")
    assert judge(RULE, seen(CT2, ORT, healthy, cublas, cupti, crash, session(trial("run")), gpus=())).status == "passed"


def test_where_nothing_was_asked_nothing_is_known() -> None:
    assert judge(RULE, inventory(CT2)).status == "skipped"
    skipped = judge(RULE, seen(CT2, probe("ctranslate2", "CPU", "skipped", reason="import ctranslate2 failed")))
    assert (skipped.status, skipped.note, skipped.applies) == ("skipped", "import ctranslate2 failed", True)
    assert judge(RULE, seen(probe("import", "torch"))).applies is False
