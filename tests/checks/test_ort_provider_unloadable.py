"""ort-provider-unloadable: CUDAExecutionProvider is listed and does not load."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory, Overlap
from gpu_doctor.model.libraries import Resolution
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.remedy import InstallPackages, Remedy, RunByHand, SetVariable
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import FACTS, commands, evidence, judge, judge_all, only
from tests.kit import SITE, dist, driver, host, inventory, lib, probe, resolution, trial

OLD, NEW = dist("onnxruntime-gpu", "1.20.2"), dist("onnxruntime-gpu", "1.22.0")
PROVIDER = "onnxruntime/capi/libonnxruntime_providers_cuda.so"
NEEDS = (
    "libcublasLt.so.12",
    "libcublas.so.12",
    "libcurand.so.10",
    "libcufft.so.11",
    "libcudart.so.12",
    "libcudnn.so.9",
)
FOLDERS = {"libcublasLt.so.12": "cublas", "libcublas.so.12": "cublas", "libcurand.so.10": "curand", "libcufft.so.11": "cufft",
           "libcudart.so.12": "cuda_runtime", "libcudnn.so.9": "cudnn"}  # fmt: skip
INSTALLED = tuple(lib(f"nvidia/{folder}/lib/{name}", f"nvidia-{folder}") for name, folder in FOLDERS.items())


def need(name: str, found: str | None = None, after: tuple[str, ...] = ()) -> Resolution:
    return resolution(PROVIDER, "onnxruntime-gpu", name, found=found, after=after, how="needed")


def environment(*packages: Any, installed: bool = True, **changes: Any) -> Inventory:
    libraries = (lib(PROVIDER, "onnxruntime-gpu"), *(INSTALLED if installed else ()))
    return inventory(*packages, **{"libraries": libraries, "resolutions": tuple(map(need, NEEDS)), **changes})


def test_libraries_that_are_nowhere() -> None:
    finding = only(judge("ort-provider-unloadable", environment(OLD, installed=False)))
    assert (finding.severity, finding.subject) == ("error", "onnxruntime-gpu 1.20.2")
    assert "libcublasLt.so.12, libcublas.so.12, libcurand.so.10, …, which are not installed" in finding.message
    assert "fall back to the CPU" in finding.message
    (line,) = commands(finding)
    assert {"nvidia-cublas-cu12", "nvidia-curand-cu12", "nvidia-cufft-cu12", "nvidia-cudnn-cu12"} < set(line.split())


def test_the_wheels_are_those_of_onnxruntimes_cuda() -> None:
    """libcudnn.so.9 comes in wheels for CUDA 11, 12 and 13."""
    cuda_13 = dist("onnxruntime-gpu", "1.27.0", cuda="13.0", built="1.27.0")
    wants = environment(cuda_13, installed=False, resolutions=(need("libcudnn.so.9"),))
    assert commands(only(judge("ort-provider-unloadable", wants)))[0].endswith(" nvidia-cudnn-cu13")


def test_libraries_that_an_old_release_cannot_preload() -> None:
    finding = only(judge("ort-provider-unloadable", environment(OLD)))
    assert finding.severity == "warning"
    assert "where the loader does not look" in finding.message
    (line,) = commands(finding)
    assert line.startswith(f"export LD_LIBRARY_PATH={SITE}/nvidia/cublas/lib:")
    assert line.count("/lib:") + 1 == len(set(FOLDERS.values()))


VARIABLE = SetVariable("LD_LIBRARY_PATH", ":".join(f"{SITE}/nvidia/{name}/lib" for name in sorted({*FOLDERS.values()})))
SHORT = "only processes started from the activated environment have it"


def test_the_variable_is_the_least_and_a_release_that_can_preload_lasts() -> None:
    finding = only(judge("ort-provider-unloadable", environment(OLD)))
    summary = "Start the program with the libraries' folders in LD_LIBRARY_PATH."
    assert finding.remedy == Remedy(summary, "safe", (VARIABLE,), SHORT)
    assert finding.durable is not None
    (step,) = finding.durable.steps
    assert isinstance(step, InstallPackages)
    row = FACTS.onnxruntime(Version(step.requirements[0].removeprefix("onnxruntime-gpu==")))
    assert row is not None
    assert (row.cuda_major, row.cudnn_major, row.preload_dlls) == (12, 9, True)
    assert finding.durable.price == (
        "changes onnxruntime-gpu 1.20.2; the program must call that before its first session"
    )


def test_a_pin_forbids_the_release_that_can_preload() -> None:
    pinned = dist("kokoro", "0.9", requires=("onnxruntime-gpu<1.21",))
    assert only(judge("ort-provider-unloadable", environment(OLD, pinned))).durable is None


def test_the_call_of_the_program_is_named_beside_what_can_be_done_without_it() -> None:
    finding = only(judge("ort-provider-unloadable", environment(NEW)))
    summary = "Start the program with the libraries' folders in LD_LIBRARY_PATH, or call onnxruntime.preload_dlls() "
    remedy = Remedy(f"{summary}before the first session.", "safe", (VARIABLE,), SHORT)
    assert (finding.severity, finding.remedy, finding.durable) == ("note", remedy, None)


def test_the_folders_of_sister_wheels_are_one_line() -> None:
    finding = only(judge("ort-provider-unloadable", environment(OLD)))
    (row,) = (row for row in finding.evidence if row.what == "installed, not searched")
    assert (row.value, row.where) == (", ".join(NEEDS), f"{SITE}/nvidia/*/lib")
    alone = environment(OLD, resolutions=(need("libcudnn.so.9"),))
    rows = only(judge("ort-provider-unloadable", alone)).evidence
    assert next(row.where for row in rows if row.what == "installed, not searched") == f"{SITE}/nvidia/cudnn/lib"


def test_what_was_seen_live_stands_before_what_the_files_say() -> None:
    seen = environment(OLD, probes=(session(False, log=FAILED), session(False, "torch", log=FAILED)))
    whats = [row.what for row in only(judge("ort-provider-unloadable", seen)).evidence]
    assert [what.startswith("asked live: ") for what in whats][:3] == [True, True, False]


def test_what_the_variable_held_stays() -> None:
    before = host(variables=(Variable("LD_LIBRARY_PATH", "/opt/mine"),))
    assert commands(only(judge("ort-provider-unloadable", environment(OLD, host=before))))[0].endswith(":/opt/mine")


def test_a_release_that_can_preload_cannot_load_what_is_not_there() -> None:
    finding = only(judge("ort-provider-unloadable", environment(NEW, installed=False)))
    assert finding.severity == "error"
    assert "preload" not in commands(finding)[0]


@pytest.mark.parametrize("gpus", [(), Unknown("NVML does not answer")], ids=["none", "unknown"])
def test_without_a_gpu_the_cpu_is_where_it_runs_anyway(gpus: Any) -> None:
    assert only(judge("ort-provider-unloadable", environment(OLD, installed=False, gpus=gpus))).severity == "warning"


def test_only_what_is_absent_is_named() -> None:
    some = tuple(item for item in INSTALLED if "cudnn" not in item.path)
    finding = only(
        judge("ort-provider-unloadable", environment(OLD, libraries=(lib(PROVIDER, "onnxruntime-gpu"), *some)))
    )
    assert "needs libcudnn.so.9, which is not installed" in finding.message
    assert evidence(finding)["installed, not searched"].startswith("lib")


def test_the_driver_is_not_a_package_to_install() -> None:
    """A provider that needs libcuda on a machine without a driver is not what is ill."""
    found = tuple(need(name, f"/opt/cuda/lib64/{name}") for name in NEEDS)
    both = environment(OLD, resolutions=(*found, need("libcuda.so.1")))
    assert judge("ort-provider-unloadable", both).status == "passed"


def test_everything_on_the_path_is_healthy() -> None:
    found = tuple(need(name, f"/usr/local/cuda/lib64/{name}") for name in NEEDS)
    assert judge("ort-provider-unloadable", environment(OLD, resolutions=found)).status == "passed"


def test_the_tensorrt_provider_is_another_matter() -> None:
    tensorrt = resolution(
        "onnxruntime/capi/libonnxruntime_providers_tensorrt.so", "onnxruntime-gpu", "libnvinfer.so.10", found=None
    )
    found = tuple(need(name, f"/usr/local/cuda/lib64/{name}") for name in NEEDS)
    assert judge("ort-provider-unloadable", environment(OLD, resolutions=(*found, tensorrt))).status == "passed"


def test_a_provider_that_is_gone_is_not_judged() -> None:
    run = judge("ort-provider-unloadable", environment(OLD, libraries=()))
    assert (run.status, run.applies) == ("skipped", True)


def test_a_provider_that_cannot_be_read_is_not_judged() -> None:
    broken = replace(lib(PROVIDER, "onnxruntime-gpu"), elf=Unknown("cut short"))
    run = judge("ort-provider-unloadable", environment(OLD, libraries=(broken,), resolutions=()))
    assert (run.status, run.applies, run.note) == ("skipped", True, "libonnxruntime_providers_cuda.so: cut short")


@pytest.mark.parametrize("package", [dist("onnxruntime", "1.20.1"), dist("torch", "2.8.0")], ids=["CPU", "none"])
def test_without_onnxruntime_gpu_there_is_nothing_to_judge(package: Any) -> None:
    run = judge("ort-provider-unloadable", environment(package))
    assert (run.status, run.applies) == ("skipped", False)


def test_an_unknown_version_cannot_be_told_to_preload() -> None:
    finding = only(judge("ort-provider-unloadable", environment(dist("onnxruntime-gpu", Unknown("no METADATA")))))
    assert finding.severity == "warning"
    assert commands(finding)[0].startswith("export LD_LIBRARY_PATH=")


def test_the_clash_explains_it_where_it_is_as_grave() -> None:
    shared = Overlap(("onnxruntime", "onnxruntime-gpu"), 260, ("x",), (("onnxruntime-gpu", 3),), "onnxruntime")
    case = judge_all(environment(dist("onnxruntime", "1.20.1"), OLD, overlaps=(shared,)))
    primary = case.findings[0]
    assert primary.rule == "ort-packages-clash"
    assert [f.rule for f in case.consequences(primary)] == ["ort-provider-unloadable"]


def test_a_clash_that_works_does_not_hide_missing_libraries() -> None:
    shared = Overlap(("onnxruntime", "onnxruntime-gpu"), 260, ("x",), (("onnxruntime", 3),), "onnxruntime-gpu")
    case = judge_all(environment(dist("onnxruntime", "1.20.1"), OLD, installed=False, overlaps=(shared,)))
    assert case.verdict == "sick"
    assert [(f.rule, f.severity) for f in case.findings] == [
        ("ort-provider-unloadable", "error"), ("ort-packages-clash", "warning"),
    ]  # fmt: skip


# --- What sessions showed ---------------------------------------------------------------------------------------------

LIBRARY = f"onnxruntime-gpu: {PROVIDER.rpartition('/')[2]}"
NOT_THERE = "libcudnn.so.9: cannot open shared object file: No such file or directory"
FAILED = f"[E:onnxruntime] FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: {NOT_THERE}\nFailed to create"
PRELOADED = ("onnxruntime.preload_dlls()",)


def session(loads: bool, *after: str, log: str = "") -> Probe:
    opened = (trial("available providers"), trial("session"))
    mapped = trial("library of the provider", "passed" if loads else "wrong", "" if loads else "not loaded")
    return probe("ort-session", "CUDAExecutionProvider", "answered", *opened, mapped, after=after, log=log)


def crash(*after: str) -> Probe:
    trials = trial("available providers"), trial("session", "died", "was killed by SIGSEGV")
    return probe(
        "ort-session", "CUDAExecutionProvider", "crashed", *trials, reason="was killed by SIGSEGV", after=after
    )


def names(*absent: str, after: tuple[str, ...] = ()) -> Probe:
    words = "OSError: {}: cannot open shared object file: No such file or directory"
    trials = (trial(n, "failed" if n in absent else "passed", words.format(n) if n in absent else "") for n in NEEDS)
    return probe("library", LIBRARY, "answered", *trials, after=after)


def test_a_session_proves_it_on_a_machine_without_gpu() -> None:
    seen = environment(OLD, gpus=(), probes=(session(False, log=FAILED), session(False, "torch", log=FAILED)))
    finding = only(judge("ort-provider-unloadable", seen))
    assert finding.severity == "error"
    assert evidence(finding)["asked live: CUDA session in a fresh process"] == f"its library does not load: {NOT_THERE}"
    assert evidence(finding)["asked live: CUDA session after import torch"].endswith(NOT_THERE)
    assert commands(finding)[0].startswith("export LD_LIBRARY_PATH=")


def test_a_session_that_loads_clears_what_the_files_suggest() -> None:
    run = judge("ort-provider-unloadable", environment(OLD, gpus=(), probes=(session(True),)))
    assert (run.status, run.findings) == ("passed", ())


NO_DRIVER = FAILED.replace("libcudnn.so.9", "libcuda.so.1")


def test_a_provider_that_lacks_only_the_driver_is_healthy_on_a_machine_without_one() -> None:
    run = judge("ort-provider-unloadable", environment(NEW, gpus=(), probes=(session(False, log=NO_DRIVER), names())))
    assert run.findings == ()


def test_a_preload_that_leaves_only_the_driver_to_want_is_one_call_away() -> None:
    preloaded = (session(False, *PRELOADED, log=NO_DRIVER), names(after=PRELOADED))
    probes = (session(False, log=FAILED), *preloaded)
    finding = only(judge("ort-provider-unloadable", environment(NEW, gpus=(), probes=probes)))
    assert "except after onnxruntime.preload_dlls()" in finding.message
    assert "lacks nothing but the driver's" in str(finding.evidence)


def test_it_loads_and_finds_no_device_is_not_this_illness() -> None:
    log = "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1"
    assert judge("ort-provider-unloadable", environment(NEW, probes=(session(True, log=log),))).status == "passed"


def test_the_order_that_works_is_named() -> None:
    seen = environment(OLD, probes=(session(False, log=FAILED), session(True, "torch")))
    finding = only(judge("ort-provider-unloadable", seen))
    assert finding.severity == "warning"
    assert finding.message.endswith("sessions fall back to the CPU, except after import torch.")
    assert evidence(finding)["asked live: CUDA session after import torch"] == "its library loads"


def test_a_preload_that_was_seen_to_work_is_one_call_away() -> None:
    seen = environment(NEW, probes=(session(False, log=FAILED), session(True, *PRELOADED)))
    finding = only(judge("ort-provider-unloadable", seen))
    assert finding.remedy is not None
    assert (finding.severity, "or call onnxruntime.preload_dlls()" in finding.remedy.summary) == ("note", True)


def test_where_the_libraries_are_nowhere_to_be_seen_the_call_is_for_a_person() -> None:
    unnamed = FAILED.replace(NOT_THERE, "cannot be told")
    probes = (session(False, log=unnamed), session(True, *PRELOADED))
    finding = only(judge("ort-provider-unloadable", environment(NEW, resolutions=(), probes=probes)))
    step = RunByHand("python -c 'import onnxruntime; onnxruntime.preload_dlls()'", "a call for the program itself")
    summary = "Call onnxruntime.preload_dlls() before the first session."
    assert (finding.remedy, finding.durable) == (Remedy(summary, "manual", (step,)), None)


def test_a_preload_that_was_seen_to_fail_is_not_recommended() -> None:
    seen = environment(NEW, probes=(session(False, log=FAILED), session(False, *PRELOADED, log=FAILED)))
    finding = only(judge("ort-provider-unloadable", seen))
    assert finding.severity == "error"
    assert finding.remedy is not None
    assert "preload" not in finding.remedy.summary


def test_the_names_that_were_tried_are_those_that_are_missing() -> None:
    """A session says only the first, and the model of the loader may be wrong."""
    seen = environment(
        OLD, installed=False, probes=(session(False, log=FAILED), names("libcufft.so.11", "libcudnn.so.9"))
    )
    finding = only(judge("ort-provider-unloadable", seen))
    assert "needs libcufft.so.11, libcudnn.so.9, which are not installed" in finding.message
    assert commands(finding)[0].endswith("nvidia-cufft-cu12 nvidia-cudnn-cu12")


def test_a_session_finds_what_the_model_of_the_loader_does_not() -> None:
    found = tuple(need(name, f"/usr/local/cuda/lib64/{name}") for name in NEEDS)
    seen = environment(OLD, installed=False, resolutions=found, probes=(session(False, log=FAILED),))
    finding = only(judge("ort-provider-unloadable", seen))
    assert (finding.severity, "libcudnn.so.9, which is not installed" in finding.message) == ("error", True)


def test_a_library_that_is_there_and_broken_is_named_with_the_loaders_words() -> None:
    log = "Failed to load library libonnxruntime_providers_cuda.so with error: /x/libcublas.so.12: file too short"
    broken = probe(
        "library", LIBRARY, "answered", trial("libcublas.so.12", "failed", "OSError: libcublas.so.12: file too short")
    )
    finding = only(judge("ort-provider-unloadable", environment(OLD, probes=(session(False, log=log), broken))))
    assert "installed and cannot be loaded (libcublas.so.12: file too short)" in finding.message


def test_a_reason_without_a_name_is_quoted() -> None:
    log = "Failed to load library libonnxruntime_providers_cuda.so with error: undefined symbol: cudaNew"
    seen = environment(OLD, resolutions=(), probes=(session(False, log=log),))
    finding = only(judge("ort-provider-unloadable", seen))
    assert "cannot be loaded (undefined symbol: cudaNew)" in finding.message
    assert finding.remedy is None


def test_a_crash_on_a_gpu_is_an_error() -> None:
    finding = only(judge("ort-provider-unloadable", environment(NEW, probes=(crash(),))))
    assert (finding.severity, finding.remedy) == ("error", None)
    assert "ends the process while it is loaded" in finding.message
    assert evidence(finding)["asked live: CUDA session in a fresh process"].startswith(
        "the process was killed by SIGSEGV"
    )


def test_a_crash_without_a_gpu_is_the_release_not_the_libraries() -> None:
    seen = environment(NEW, gpus=(), probes=(crash(), names()))
    finding = only(judge("ort-provider-unloadable", seen))
    assert (finding.severity, "where it sees no GPU" in finding.message) == ("warning", True)


def test_a_gpu_that_the_variable_hides_is_none() -> None:
    blind = host(variables=(Variable("CUDA_VISIBLE_DEVICES", ""),))
    assert (
        only(judge("ort-provider-unloadable", environment(NEW, host=blind, probes=(crash(), names())))).severity
        == "warning"
    )


def test_a_driver_that_is_too_old_explains_the_crash() -> None:
    seen = environment(NEW, driver=driver("470.82.01", "11.4"), probes=(crash(), names()), resolutions=())
    case = judge_all(seen)
    assert case.findings[0].rule == "driver-too-old"
    assert "ort-provider-unloadable" in [f.rule for f in case.consequences(case.findings[0])]


def test_a_crash_without_a_gpu_says_nothing_of_the_gpu_that_is_assumed() -> None:
    assumed = Target("python", None, "--python", ("sm_89",))
    seen = environment(NEW, target=assumed, probes=(crash(), names()))
    assert judge("ort-provider-unloadable", seen).status == "passed"


def test_a_session_that_was_not_asked_leaves_the_files_word() -> None:
    skipped = probe("ort-session", "CUDAExecutionProvider", "skipped", reason="import onnxruntime-gpu failed")
    assert only(judge("ort-provider-unloadable", environment(OLD, probes=(skipped,)))).severity == "warning"


def test_a_provider_that_cannot_be_read_is_judged_by_its_session() -> None:
    broken = replace(lib(PROVIDER, "onnxruntime-gpu"), elf=Unknown("cut short"))
    seen = environment(OLD, libraries=(broken,), resolutions=(), probes=(session(True),))
    assert judge("ort-provider-unloadable", seen).status == "passed"
