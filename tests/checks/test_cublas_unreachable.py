"""cublas-unreachable: a name that only another import answers."""

from __future__ import annotations

from typing import Any

from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory, StrayLink
from gpu_doctor.model.libraries import Resolution, Tried
from gpu_doctor.model.probes import Outcome, Probe
from gpu_doctor.model.remedy import MakeLink, Remedy, SetVariable
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, only
from tests.kit import SITE, dist, host, inventory, lib, probe, resolution, trial

CT2 = dist("ctranslate2", "4.8.5")
TORCH = dist("torch", "2.8.0", cuda="12.8")
CUBLAS = dist("nvidia-cublas-cu12", "12.8.4.1")
LIBCT2 = "ctranslate2.libs/libctranslate2-a7a60d30.so.4.8.5"
LIBCUBLAS = "nvidia/cublas/lib/libcublas.so.12"
LIBRARIES = (lib(LIBCUBLAS, CUBLAS.name), lib("nvidia/cublas/lib/libcublasLt.so.12", CUBLAS.name))


def ask(found: str | None = None, after: tuple[str, ...] = (), **changes: Any) -> Resolution:
    return resolution(LIBCT2, "ctranslate2", "libcublas.so.12", found=found, after=after, **changes)


FRESH = ask()
AFTER_TORCH = ask(LIBCUBLAS, ("torch",), rule="already loaded by torch")


def environment(*packages: Any, asks: tuple[Resolution, ...], **changes: Any) -> Inventory:
    return inventory(*packages, resolutions=asks, **{"libraries": LIBRARIES, **changes})


def test_ctranslate2_with_cublas_where_the_loader_never_looks() -> None:
    finding = only(judge("cublas-unreachable", environment(CT2, CUBLAS, asks=(FRESH,))))
    assert (finding.severity, finding.subject) == ("error", "ctranslate2: libcublas.so.12")
    assert "first use of the GPU" in finding.message
    assert {"ctranslate2", f"{SITE}/{LIBCT2}"} == set(finding.seats)
    assert finding.remedy is not None
    assert finding.remedy.safety == "safe"
    assert commands(finding) == [
        f"ln -sfn ../nvidia/cublas/lib/libcublas.so.12 {SITE}/ctranslate2.libs/libcublas.so.12",
        f"ln -sfn ../nvidia/cublas/lib/libcublasLt.so.12 {SITE}/ctranslate2.libs/libcublasLt.so.12",
    ]


def test_links_are_the_least_and_nothing_lasts() -> None:
    finding = only(judge("cublas-unreachable", environment(CT2, CUBLAS, asks=(FRESH,))))
    links = tuple(
        MakeLink(f"{SITE}/ctranslate2.libs/{name}", f"../nvidia/cublas/lib/{name}")
        for name in ("libcublas.so.12", "libcublasLt.so.12")
    )
    price = "the next sync or reinstall of ctranslate2 takes the links away"
    remedy = Remedy("Place links to cuBLAS beside the library that asks for it.", "safe", links, price)
    assert (finding.remedy, finding.durable) == (remedy, None)


def test_links_are_of_no_use_where_the_loader_does_not_look_beside_it() -> None:
    tried = (Tried("/usr/lib/libcublas.so.12", "default", "no such file"),)
    variables = (Variable("LD_LIBRARY_PATH", f"/opt/mine:{SITE}/nvidia/cublas/lib"),)
    here = environment(CT2, CUBLAS, asks=(ask(tried=tried),), host=host(variables=variables))
    remedy = only(judge("cublas-unreachable", here)).remedy
    assert remedy == Remedy(
        "Start the program with the libraries' folders in LD_LIBRARY_PATH.",
        "safe",
        (SetVariable("LD_LIBRARY_PATH", f"{SITE}/nvidia/cublas/lib:/opt/mine"),),
        "only processes started from the activated environment have it",
    )
    beside = (Tried(f"{SITE}/ctranslate2.libs/libcublas.so.12", "DT_RPATH of …", "no such file"),)
    remedy = only(judge("cublas-unreachable", environment(CT2, CUBLAS, asks=(ask(tried=beside),)))).remedy
    assert remedy is not None
    assert isinstance(remedy.steps[0], MakeLink)


def test_a_link_that_lost_its_target_is_replaced_and_no_second_illness() -> None:
    lost = StrayLink(f"{SITE}/ctranslate2.libs/libcublas.so.12", "../gone/libcublas.so.12", exists=False)
    finding = only(judge("cublas-unreachable", environment(CT2, CUBLAS, asks=(FRESH,), links=(lost,))))
    assert lost.path in finding.seats
    assert commands(finding)[0].endswith(f" {lost.path}")


def test_torch_imported_first_makes_it_a_trap() -> None:
    finding = only(judge("cublas-unreachable", environment(CT2, TORCH, CUBLAS, asks=(FRESH, AFTER_TORCH))))
    assert finding.severity == "warning"
    assert "unless torch was imported first" in finding.message
    assert evidence(finding)["after import torch"] == "already loaded by torch"


def test_without_cublas_its_wheel_is_named() -> None:
    finding = only(judge("cublas-unreachable", environment(CT2, asks=(FRESH,), libraries=())))
    assert finding.severity == "error"
    assert commands(finding) == ["uv pip install --python /opt/app/venv/bin/python nvidia-cublas-cu12"]


def test_a_cublas_beside_its_caller_or_on_the_path_is_healthy() -> None:
    found = ask("ctranslate2.libs/libcublas.so.12", rule="DT_RPATH")
    assert judge("cublas-unreachable", environment(CT2, CUBLAS, asks=(found,))).status == "passed"


def test_a_cpu_machine_does_not_call_cublas() -> None:
    cpu = environment(CT2, asks=(FRESH,), gpus=(), driver=None, libraries=())
    assert only(judge("cublas-unreachable", cpu)).severity == "note"


def test_for_an_unknown_machine_it_is_inferred() -> None:
    unknown = environment(CT2, asks=(FRESH,), gpus=Unknown("NVML does not answer"), libraries=())
    assert only(judge("cublas-unreachable", unknown)).severity == "warning"


def test_onnxruntimes_provider_is_judged_by_its_own_rule() -> None:
    provider = resolution(
        "onnxruntime/capi/libonnxruntime_providers_cuda.so", "onnxruntime-gpu", "libcublas.so.12", found=None
    )
    assert (
        judge("cublas-unreachable", environment(dist("onnxruntime-gpu", "1.20.2"), asks=(provider,))).status == "passed"
    )


def test_two_copies_of_cublas_are_linked_once() -> None:
    twice = (*LIBRARIES, lib("/usr/lib/python3/dist-packages/nvidia/cublas/lib/libcublas.so.12", CUBLAS.name))
    finding = only(judge("cublas-unreachable", environment(CT2, CUBLAS, asks=(FRESH,), libraries=twice)))
    assert len(commands(finding)) == 2


def test_who_does_not_ask_is_not_judged() -> None:
    run = judge("cublas-unreachable", environment(TORCH, asks=()))
    assert (run.status, run.applies) == ("skipped", False)


def test_cupy_gets_all_its_cuda_libraries_at_once() -> None:
    cupy = dist("cupy-cuda12x", "14.2.0")
    needs = resolution("cupy_backends/cuda/libs/cublas.so", cupy.name, "libcublas.so.12", found=None, how="needed")
    here = inventory(cupy, dist("cuda-pathfinder", "1.3.0"), resolutions=(needs,))
    assert commands(only(judge("cublas-unreachable", here)))[0].endswith("'cupy-cuda12x[ctk]'")


def test_a_package_that_asks_for_torch_and_ctranslate2_imports_both() -> None:
    whisperx = dist("whisperx", "3.8.0", requires=("torch~=2.8.0", "ctranslate2>=4.5.0"))
    here = environment(CT2, CUBLAS, TORCH, whisperx, asks=(FRESH, AFTER_TORCH))
    assert only(judge("cublas-unreachable", here)).severity == "note"
    alone = environment(CT2, CUBLAS, whisperx, asks=(FRESH,))
    assert only(judge("cublas-unreachable", alone)).severity == "error"


def test_without_torchs_own_cublas_there_is_one_alarm() -> None:
    """bitsandbytes needs the same library, and is built on the torch that cannot be imported."""
    needs = [
        resolution(path, package, "libcublas.so.12", found=None, how="needed")
        for path, package in (("torch/lib/libtorch_cuda.so", "torch"), ("bitsandbytes/a.so", "bitsandbytes"))
    ]
    here = inventory(TORCH, dist("bitsandbytes", "0.50.2"), resolutions=tuple(needs))
    finding = only(judge("cublas-unreachable", here))
    assert finding.subject == "torch: libcublas.so.12"
    assert finding.remedy is not None
    assert finding.remedy.summary == "Install nvidia-cublas-cu12."


def tried(outcome: Outcome = "passed", words: str = "", after: tuple[str, ...] = (), **measured: str) -> Probe:
    return probe(
        "library", "ctranslate2", "answered", trial("libcublas.so.12", outcome, words, **measured), after=after
    )


NOT_THERE = "OSError: libcublas.so.12: cannot open shared object file: No such file or directory"


def test_what_a_live_process_did_not_find_is_the_first_evidence() -> None:
    finding = only(
        judge("cublas-unreachable", environment(CT2, CUBLAS, asks=(FRESH,), probes=(tried("failed", NOT_THERE),)))
    )
    assert (finding.severity, finding.evidence[0].value) == ("error", NOT_THERE)
    assert "the loader does not find it" in finding.message
    assert "opens libcublas.so.12" in evidence(finding)


def test_what_a_live_process_found_is_no_finding() -> None:
    here = environment(CT2, CUBLAS, asks=(FRESH,), probes=(tried(opened="/usr/lib/libcublas.so.12"),))
    assert judge("cublas-unreachable", here).status == "passed"


def test_a_trap_stays_a_trap_when_both_orders_were_tried() -> None:
    both = (tried("failed", NOT_THERE), tried(after=("torch",), opened=f"{SITE}/{LIBCUBLAS}"))
    finding = only(judge("cublas-unreachable", environment(CT2, TORCH, CUBLAS, asks=(FRESH, AFTER_TORCH), probes=both)))
    assert finding.severity == "warning"
    assert finding.evidence[0].value == NOT_THERE


def test_an_import_that_does_not_help_after_all_makes_it_an_error() -> None:
    both = (tried("failed", NOT_THERE), tried("failed", NOT_THERE, after=("torch",)))
    finding = only(judge("cublas-unreachable", environment(CT2, TORCH, CUBLAS, asks=(FRESH, AFTER_TORCH), probes=both)))
    assert finding.severity == "error"
    assert "unless" not in finding.message


def test_where_the_model_was_wrong_the_live_process_is_right() -> None:
    found = ask("ctranslate2.libs/libcublas.so.12", rule="DT_RPATH")
    here = environment(CT2, CUBLAS, asks=(found,), probes=(tried("failed", NOT_THERE),))
    finding = only(judge("cublas-unreachable", here))
    assert [row.value for row in finding.evidence] == [NOT_THERE]


def test_a_library_that_is_found_and_refused_is_not_linked_again() -> None:
    words = f"OSError: {SITE}/{LIBCUBLAS}: undefined symbol: cublasLtCreate"
    found = ask("ctranslate2.libs/libcublas.so.12", rule="DT_RPATH")
    finding = only(
        judge("cublas-unreachable", environment(CT2, CUBLAS, asks=(found,), probes=(tried("failed", words),)))
    )
    assert "and it does not load" in finding.message
    assert finding.remedy is None
    assert words in evidence(finding).values()


def test_an_import_that_dies_for_want_of_it_is_shown() -> None:
    needs = resolution("torch/lib/libtorch_cuda.so", "torch", "libcublas.so.12", found=None, how="needed")
    failed = probe("import", "torch", "raised", reason=f"ImportError: {NOT_THERE[9:]}")
    finding = only(judge("cublas-unreachable", inventory(TORCH, resolutions=(needs,), probes=(failed,))))
    assert finding.evidence[0].value == failed.reason
