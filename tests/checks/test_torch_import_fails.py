"""torch-import-fails: the import of torch that ends in anything but success."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.checks.shared import live
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Damage, Inventory, Overlap
from gpu_doctor.model.libraries import SymbolNeed
from gpu_doctor.model.unknown import Unknown, known
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import PREFIX, SITE, dist, host, inventory, lib, probe, resolution

TORCH = dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
CUSPARSE = f"{SITE}/nvidia/cusparse/lib/libcusparse.so.12"
NVJITLINK = f"{SITE}/nvidia/nvjitlink/lib/libnvJitLink.so.12"
NO_SYMBOL = (
    f"ImportError: {SITE}/torch/lib/../../nvidia/cusparse/lib/libcusparse.so.12: undefined symbol: "
    "__nvJitLinkCreate_12_8, version libnvJitLink.so.12"
)


def ended(
    ending: str, reason: str = "", *packages: Any, probes: dict[str, Any] | None = None, **rest: Any
) -> Inventory:
    asked = probe("import", "torch", ending, reason=reason, **(probes or {}))
    return inventory(*(packages or (TORCH,)), probes=(asked,), **rest)


def raised(words: str, *packages: Any, **rest: Any) -> Inventory:
    return ended("raised", words, *packages, **rest)


SEGFAULT = "was killed by SIGSEGV (Segmentation fault)"


@pytest.mark.parametrize(
    ("ending", "reason", "words"),
    [
        ("crashed", SEGFAULT, "the process was killed by SIGSEGV (Segmentation fault)"),
        ("crashed", "was killed by SIGABRT (Aborted)", "the process was killed by SIGABRT (Aborted)"),
        ("crashed", "ended with exit code 0 without an answer", "ended with exit code 0 without an answer"),
        ("crashed", "was stopped because it held 9.0 GiB of memory", "was stopped because it held 9.0 GiB"),
        ("timed out", "did not answer in 90 s", "the process timed out: it did not answer in 90 s"),
        ("stuck", "did not answer in 90 s and cannot be killed", "cannot be killed"),
        ("raised", "ImportError: no\nmore", "ImportError: no."),
        ("raised", "", "an exception without words"),
    ],
)
def test_the_message_names_how_it_ended(ending: str, reason: str, words: str) -> None:
    finding = only(judge("torch-import-fails", ended(ending, reason)))
    assert (finding.severity, finding.subject) == ("error", "torch")
    assert finding.message.startswith("torch 2.8.0+cu128 cannot be imported: ")
    assert words in finding.message


def test_the_evidence_is_what_was_seen_from_inside() -> None:
    library = f"{SITE}/torch/lib/libtorch_global_deps.so"
    sick = ended("crashed", SEGFAULT, probes={"loading": library, "log": "one\ntwo\nthree\nfour"})
    finding = only(judge("torch-import-fails", sick))
    (asked,) = known(sick.probes)
    assert finding.evidence == live.testimony(asked)
    assert library in evidence(finding).values()
    assert "last loading libtorch_global_deps.so" in finding.message


def test_without_a_known_cause_the_files_are_written_again() -> None:
    finding = only(judge("torch-import-fails", ended("crashed", SEGFAULT)))
    line = f"uv pip install --python {PREFIX}/bin/python --reinstall --no-deps torch==2.8.0"
    assert commands(finding) == [line]


def test_a_timeout_asks_for_patience_before_anything_is_changed() -> None:
    finding = only(judge("torch-import-fails", ended("timed out", "did not answer in 90 s")))
    assert finding.remedy is not None
    assert finding.remedy.safety == "manual"
    assert commands(finding) == ["gpu-doctor check --probe-timeout 300"]


def test_a_library_that_cannot_be_opened_is_installed_by_the_version_that_torch_asks_for() -> None:
    torch = dist("torch", "2.8.0", cuda="12.8", requires=("nvidia-cusparselt-cu12==0.7.1",))
    words = "ImportError: libcusparseLt.so.0: cannot open shared object file: No such file or directory"
    finding = only(judge("torch-import-fails", raised(words, torch)))
    assert commands(finding) == [f"uv pip install --python {PREFIX}/bin/python nvidia-cusparselt-cu12==0.7.1"]


def test_a_library_whose_wheel_is_installed_and_that_is_not_found_is_written_again() -> None:
    wheel = dist("nvidia-cusparselt-cu12", "0.7.1")
    words = "ImportError: libcusparseLt.so.0: cannot open shared object file: No such file or directory"
    finding = only(judge("torch-import-fails", raised(words, TORCH, wheel)))
    assert commands(finding)[0].endswith("--reinstall --no-deps nvidia-cusparselt-cu12==0.7.1")


def test_a_library_of_the_system_has_no_remedy_here() -> None:
    words = "ImportError: libgomp.so.1: cannot open shared object file: No such file or directory"
    assert only(judge("torch-import-fails", raised(words))).remedy is None


# --- One illness, one alarm -------------------------------------------------------------------------------------------


def wrong_nvjitlink(**rest: Any) -> Inventory:
    torch = dist("torch", "2.8.0", cuda="12.8", requires=("nvidia-nvjitlink-cu12==12.8.93",))
    libraries = (lib(CUSPARSE, "nvidia-cusparse-cu12"), lib(NVJITLINK, "nvidia-nvjitlink-cu12"))
    lacks = SymbolNeed(CUSPARSE, "nvidia-cusparse-cu12", "__nvJitLinkCreate_12_8", NVJITLINK, False)
    packages = (torch, dist("nvidia-nvjitlink-cu12", "12.4.127"), dist("nvidia-cusparse-cu12", "12.5.8.93"))
    return raised(NO_SYMBOL, *packages, libraries=libraries, symbols=(lacks,), **rest)


def test_another_nvjitlink_than_torch_asks_for_is_the_cause() -> None:
    case = judge_all(wrong_nvjitlink())
    primary, effect = case.findings
    assert (primary.rule, primary.severity) == ("package-version-conflict", "error")
    assert (effect.rule, effect.severity) == ("torch-import-fails", "note")
    assert case.consequences(primary) == (effect,)
    assert "ImportError: libcusparse.so.12: undefined symbol: __nvJitLinkCreate_12_8" in effect.message


def test_a_folder_in_front_of_the_packages_is_the_cause() -> None:
    other = "/usr/local/cuda-12.4/lib64/libnvJitLink.so.12"
    served = resolution(CUSPARSE, "nvidia-cusparse-cu12", "libnvJitLink.so.12", found=other, rule="LD_LIBRARY_PATH")
    lacks = SymbolNeed(CUSPARSE, "nvidia-cusparse-cu12", "__nvJitLinkCreate_12_8", other, False)
    libraries = (lib(CUSPARSE, "nvidia-cusparse-cu12"), lib(NVJITLINK, "nvidia-nvjitlink-cu12"))
    variables = (Variable("LD_LIBRARY_PATH", "/usr/local/cuda-12.4/lib64"),)
    sick = raised(
        NO_SYMBOL, TORCH, libraries=libraries, symbols=(lacks,), resolutions=(served,), host=host(variables=variables)
    )
    assert [(f.rule, f.severity) for f in judge_all(sick).findings] == [
        ("library-path-shadows", "error"),
        ("torch-import-fails", "note"),
    ]


def test_lost_files_of_a_library_that_torch_loads_are_the_cause() -> None:
    lost = Damage(f"{SITE}/torch/lib/libtorch_cpu.so", "torch", "truncated", "400 bytes", "200 bytes")
    case = judge_all(raised("ImportError: libtorch_cpu.so: file too short", damages=(lost,)))
    assert [(f.rule, f.severity) for f in case.findings] == [
        ("package-files-damaged", "error"),
        ("torch-import-fails", "note"),
    ]


def test_where_a_crash_names_nothing_the_libraries_that_torch_asks_for_are_suspects() -> None:
    torch = dist("torch", "2.8.0", cuda="12.8", requires=("nvidia-cudnn-cu12==9.10.2.21",))
    cudnn = dist("nvidia-cudnn-cu12", "9.10.2.21"), dist("nvidia-cudnn-cu13", "9.12.0.46")
    owners = tuple(item.name for item in cudnn)
    mixed = Overlap(owners, 8, (f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9",), ((owners[0], 8),), owners[1])
    case = judge_all(ended("crashed", SEGFAULT, torch, *cudnn, overlaps=(mixed,)))
    assert [f.rule for f in case.findings if f.consequence_of is None] == ["packages-overwrite"]
    assert [f.rule for f in case.findings if f.consequence_of] == ["torch-import-fails"]


def test_a_package_that_cannot_live_with_torch_is_no_reason_why_torch_fails() -> None:
    vision = dist("torchvision", "0.22.0", requires=("torch==2.7.0",))
    case = judge_all(ended("crashed", SEGFAULT, TORCH, vision))
    alarms = {f.rule for f in case.findings if f.consequence_of is None}
    assert alarms == {"package-version-conflict", "torch-import-fails"}


# --- The healthy twin, and what cannot be known -----------------------------------------------------------------------


def test_an_import_that_answers_passes() -> None:
    assert judge("torch-import-fails", ended("answered")).status == "passed"


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("skipped", "import torch was not wanted"), ("unrunnable", "the interpreter ended with exit code 127")],
)
def test_an_import_that_was_not_tried_is_not_judged(ending: str, reason: str) -> None:
    run = judge("torch-import-fails", ended(ending, reason))
    assert (run.status, run.applies, run.note) == ("skipped", True, reason)


def test_files_alone_do_not_tell() -> None:
    run = judge("torch-import-fails", inventory(TORCH, probes=Unknown("only files were read")))
    assert (run.status, run.note) == ("skipped", "only files were read")


def test_an_inventory_that_asked_something_else_does_not_tell() -> None:
    run = judge("torch-import-fails", inventory(TORCH, probes=(probe("import", "ctranslate2"),)))
    assert (run.status, run.note) == ("skipped", "torch was not imported")


def test_without_torch_there_is_nothing_to_judge() -> None:
    run = judge("torch-import-fails", inventory(dist("ctranslate2", "4.6.1"), probes=(probe("import", "ctranslate2"),)))
    assert (run.status, run.applies) == ("skipped", False)
