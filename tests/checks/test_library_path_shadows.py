"""library-path-shadows: LD_LIBRARY_PATH in front of what the packages brought."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import SymbolNeed
from gpu_doctor.model.probes import Outcome, Probe
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import PREFIX, SITE, dist, host, inventory, lib, probe, resolution, trial

TORCH = dist("torch", "2.8.0", cuda="12.8")
OLD = "/opt/cudnn-9.1/lib"
LOADER, OPS = "nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cudnn/lib/libcudnn_ops.so.9"
CUSPARSE, NVJITLINK = "nvidia/cusparse/lib/libcusparse.so.12", "nvidia/nvjitlink/lib/libnvJitLink.so.12"
LIBRARIES = (
    lib(LOADER, "nvidia-cudnn-cu12"),
    lib(OPS, "nvidia-cudnn-cu12"),
    lib(CUSPARSE, "nvidia-cusparse-cu12"),
    lib(NVJITLINK, "nvidia-nvjitlink-cu12"),
)


def environment(path: str, *resolutions: Any, **changes: Any) -> Inventory:
    variables = (Variable("LD_LIBRARY_PATH", path),) if path else ()
    return inventory(TORCH, libraries=LIBRARIES, resolutions=resolutions, host=host(variables=variables), **changes)


def served(consumer: str, name: str, folder: str, rule: str = "LD_LIBRARY_PATH") -> Any:
    return resolution(consumer, "nvidia-cudnn-cu12", name, found=f"{folder}/{name}", rule=rule)


def test_an_older_cudnns_parts_under_the_packages_loader() -> None:
    finding = only(judge("library-path-shadows", environment(OLD, served(LOADER, "libcudnn_ops.so.9", OLD))))
    assert (finding.severity, finding.subject) == ("error", OLD)
    assert "parts of another cuDNN, while its loader stays" in finding.message
    assert evidence(finding)["LD_LIBRARY_PATH"] == OLD
    assert f"in front of {SITE}/{OPS}" in evidence(finding)["libcudnn_ops.so.9 for libcudnn.so.9"]
    assert commands(finding) == ["unset LD_LIBRARY_PATH"]


def test_the_other_folders_of_the_variable_stay() -> None:
    sick = environment(f"/opt/mine:{OLD}:/opt/other", served(LOADER, "libcudnn_ops.so.9", OLD))
    assert commands(only(judge("library-path-shadows", sick))) == ["export LD_LIBRARY_PATH=/opt/mine:/opt/other"]


def test_a_slash_at_the_end_changes_nothing() -> None:
    sick = environment(f"{OLD}/", served(LOADER, "libcudnn_ops.so.9", OLD))
    assert commands(only(judge("library-path-shadows", sick))) == ["unset LD_LIBRARY_PATH"]


def test_a_system_cuda_in_front_is_inferred() -> None:
    sick = environment("/usr/local/cuda/lib64", served(CUSPARSE, "libnvJitLink.so.12", "/usr/local/cuda/lib64"))
    finding = only(judge("library-path-shadows", sick))
    assert finding.severity == "warning"
    assert "serves 1 library instead" in finding.message


def test_a_symbol_that_the_served_library_lacks_is_the_proof() -> None:
    """undefined symbol: __nvJitLinkCreate_12_8, with a system CUDA 12.1 in front."""
    need = SymbolNeed(
        f"{SITE}/{CUSPARSE}", "nvidia-cusparse-cu12", "__nvJitLinkCreate_12_8",
        "/usr/local/cuda/lib64/libnvJitLink.so.12", False,
    )  # fmt: skip
    found = served(CUSPARSE, "libnvJitLink.so.12", "/usr/local/cuda/lib64")
    finding = only(judge("library-path-shadows", environment("/usr/local/cuda/lib64", found, symbols=(need,))))
    assert finding.severity == "error"
    assert evidence(finding)["undefined symbol"].startswith("__nvJitLinkCreate_12_8")


def test_a_whole_other_cudnn_is_inferred() -> None:
    """Loader and parts of one folder fit each other; that they fit the program is not known."""
    whole = environment(
        OLD,
        served("torch/lib/libtorch_cuda.so", "libcudnn.so.9", OLD),
        served(f"{OLD}/libcudnn.so.9", "libcudnn_ops.so.9", OLD),
    )
    finding = only(judge("library-path-shadows", whole))
    assert finding.severity == "warning"
    assert "serves 2 libraries instead" in finding.message


def test_each_folder_is_its_own_finding() -> None:
    sick = environment(
        f"{OLD}:/usr/local/cuda/lib64",
        served(LOADER, "libcudnn_ops.so.9", OLD),
        served(CUSPARSE, "libnvJitLink.so.12", "/usr/local/cuda/lib64"),
    )
    assert [f.subject for f in judge("library-path-shadows", sick).findings] == [OLD, "/usr/local/cuda/lib64"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", served(LOADER, "libcudnn_ops.so.9", f"{SITE}/nvidia/cudnn/lib", "DT_RUNPATH of libcudnn.so.9")),
        (f"{SITE}/nvidia/cudnn/lib", served(LOADER, "libcudnn_ops.so.9", f"{SITE}/nvidia/cudnn/lib")),
        (
            f"{PREFIX}/lib64/python3.11/site-packages/nvidia/cudnn/lib",
            served(LOADER, "libcudnn_ops.so.9", f"{PREFIX}/lib64/python3.11/site-packages/nvidia/cudnn/lib"),
        ),
        ("/opt/mine", served(LOADER, "libmine.so.1", "/opt/mine")),
        ("/opt/cudnn", served(LOADER, "libcudnn_ops.so.9", OLD)),
        (OLD, served(LOADER, "libcudnn_ops.so.9", OLD, "ld.so.cache")),
        (OLD, resolution(LOADER, "nvidia-cudnn-cu12", "libcudnn_ops.so.9", found=None)),
    ],
    ids=[
        "not set",
        "the packages' own folder",
        "their own folder through lib64",
        "another library",
        "a folder whose name begins alike",
        "another rule of the loader",
        "found nowhere",
    ],
)
def test_healthy(path: str, found: Any) -> None:
    run = judge("library-path-shadows", environment(path, found))
    assert (run.status, run.findings) == ("passed", ())


def test_what_it_breaks_is_its_consequence() -> None:
    missing = resolution(LOADER, "nvidia-cudnn-cu12", "libcudnn_engines_runtime_compiled.so.9", found=None)
    case = judge_all(environment(OLD, served(LOADER, "libcudnn_ops.so.9", OLD), missing))
    primary = case.findings[0]
    assert primary.rule == "library-path-shadows"
    assert [f.rule for f in case.consequences(primary)] == ["cudnn-unreachable"]


def test_a_variable_whose_effect_was_not_modelled_is_not_judged() -> None:
    run = judge("library-path-shadows", environment(OLD))
    assert (run.status, run.applies) == ("skipped", True)


def test_without_a_gpu_stack_there_is_nothing_to_judge() -> None:
    run = judge("library-path-shadows", inventory(dist("flask", "3.0")))
    assert (run.status, run.applies) == ("skipped", False)


def asked(outcome: Outcome, words: str = "") -> Probe:
    check = trial("torch.backends.cudnn.version", outcome, words)
    return probe("cudnn", "nvidia-cudnn-cu12: libcudnn.so.9", "answered", trial("cudnnGetVersion"), check)


def test_a_cudnn_that_works_with_the_foreign_parts_is_not_proven_ill() -> None:
    """A newer cuDNN in front: another version than was installed, and it does its work."""
    here = environment(OLD, served(LOADER, "libcudnn_ops.so.9", OLD), probes=(asked("passed"),))
    assert only(judge("library-path-shadows", here)).severity == "warning"


def test_a_cudnn_that_fails_with_the_foreign_parts_is_the_proof() -> None:
    words = "RuntimeError: cuDNN version incompatibility"
    here = environment(OLD, served(LOADER, "libcudnn_ops.so.9", OLD), probes=(asked("failed", words),))
    finding = only(judge("library-path-shadows", here))
    assert (finding.severity, finding.evidence[0].value) == ("error", words)
