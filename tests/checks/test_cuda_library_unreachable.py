"""cuda-library-unreachable: CUDA's smaller libraries, asked for by name."""

from __future__ import annotations

from typing import Any

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import InstallPackages, MakeLink, Remedy
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import evidence, judge, judge_all, only
from tests.kit import PREFIX, SITE, dist, elf, inventory, lib, probe, resolution

CUPY = dist("cupy-cuda12x", "13.6.0")
CORE = "cupy/_core/core.cpython-311-x86_64-linux-gnu.so"
NVRTC = lib("nvidia/cuda_nvrtc/lib/libnvrtc.so.12", "nvidia-cuda-nvrtc-cu12")
TORCH = dist("torch", "2.8.0", cuda="12.8", requires=("nvidia-cuda-runtime-cu12==12.8.90",))
UV = (("uv", "pip"), f"{PREFIX}/bin/python")


def ask(name: str, found: str | None = None, **changes: Any) -> Any:
    return resolution(CORE, CUPY.name, name, found=found, **changes)


def sick(*packages: Any, asks: Any = (), **changes: Any) -> Inventory:
    return inventory(*packages, resolutions=asks or (ask("libnvrtc.so.12"),), **changes)


def test_what_lies_where_the_loader_does_not_look_is_linked() -> None:
    finding = only(judge("cuda-library-unreachable", sick(CUPY, libraries=(NVRTC,))))
    assert (finding.severity, finding.subject) == ("error", "cupy-cuda12x")
    assert finding.message == "cupy-cuda12x 13.6.0 opens libnvrtc.so.12, and the loader does not find it."
    assert finding.seats == ("cupy-cuda12x", f"{SITE}/{CORE}")
    link = MakeLink(f"{SITE}/cupy/_core/libnvrtc.so.12", "../../nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
    price = "the next sync or reinstall of cupy-cuda12x takes the links away"
    summary = "Place links to CUDA's libraries beside the library that asks for it."
    assert finding.remedy == Remedy(summary, "safe", (link,), price)
    assert finding.durable is None


def test_what_a_library_looks_for_beside_itself_is_linked_along() -> None:
    """Its own search path counts from the folder of the link, not from that of the file."""
    solver = "nvidia/cusolver/lib/libcusolver.so.11"
    libraries = (
        NVRTC,
        lib("nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.8", NVRTC.package),
        lib(solver, "nvidia-cusolver-cu12", elf=elf("libcusolver.so.11", ("libcusparse.so.12", "libc.so.6"))),
        lib("nvidia/cusparse/lib/libcusparse.so.12", "nvidia-cusparse-cu12", elf=Unknown("cannot be read")),
        lib("nvidia/cufft/lib/libcufft.so.11", "nvidia-cufft-cu12"),
    )
    here = sick(CUPY, asks=(ask("libnvrtc.so.12"), ask("libcusolver.so.11")), libraries=libraries)
    remedy = only(judge("cuda-library-unreachable", here)).remedy
    assert remedy is not None
    assert [step.path.rpartition("/")[2] for step in remedy.steps if isinstance(step, MakeLink)] == [
        *("libcusolver.so.11", "libcusparse.so.12", "libnvrtc-builtins.so.12.8", "libnvrtc.so.12")
    ]


def test_what_is_absent_is_installed_all_at_once() -> None:
    asks = (ask("libnvrtc.so.12"), ask("libcurand.so.10"))
    finding = only(judge("cuda-library-unreachable", sick(CUPY, asks=asks)))
    assert "libnvrtc.so.12, libcurand.so.10, and the loader does not find them" in finding.message
    step = InstallPackages(*UV, ("nvidia-cuda-nvrtc-cu12", "nvidia-curand-cu12"))
    summary = "Install nvidia-cuda-nvrtc-cu12 and nvidia-curand-cu12, then check again for its links."
    assert finding.remedy == Remedy(summary, "ask", (step,), "downloads CUDA's libraries")


def test_torchs_own_come_as_it_pins_them_and_what_is_built_on_it_is_no_second_alarm() -> None:
    needs = tuple(
        resolution(path, package, "libcudart.so.12", found=None, how="needed")
        for path, package in (("torch/lib/libtorch_cuda.so", "torch"), ("bitsandbytes/a.so", "bitsandbytes"))
    )
    failed = probe("import", "torch", "raised", reason="ImportError: libcudart.so.12: cannot open shared object file")
    case = judge_all(inventory(TORCH, dist("bitsandbytes", "0.50.2"), resolutions=needs, probes=(failed,)))
    (primary,) = [finding for finding in case.findings if finding.consequence_of is None]
    assert (primary.rule, primary.subject) == ("cuda-library-unreachable", "torch")
    step = InstallPackages(*UV, ("nvidia-cuda-runtime-cu12==12.8.90",))
    remedy = Remedy("Install nvidia-cuda-runtime-cu12.", "ask", (step,), "downloads CUDA's libraries")
    assert primary.remedy == remedy
    assert [finding.rule for finding in case.consequences(primary)] == ["torch-import-fails"]


def test_an_earlier_import_makes_it_a_trap() -> None:
    asks = (ask("libnvrtc.so.12"), ask("libnvrtc.so.12", NVRTC.path, after=("torch",), rule="already loaded by torch"))
    finding = only(judge("cuda-library-unreachable", sick(CUPY, TORCH, asks=asks, libraries=(NVRTC,))))
    assert finding.severity == "warning"
    assert "unless torch was imported first" in finding.message
    assert evidence(finding)["after import torch"] == "already loaded by torch"


def test_what_is_found_is_healthy() -> None:
    asks = (ask("libnvrtc.so.12", "/usr/lib/libnvrtc.so.12", rule="ld.so.cache"),)
    assert judge("cuda-library-unreachable", sick(CUPY, asks=asks)).status == "passed"


def test_onnxruntimes_provider_is_judged_by_its_own_rule() -> None:
    provider = resolution("onnxruntime/capi/p.so", "onnxruntime-gpu", "libcurand.so.10", found=None)
    here = inventory(dist("onnxruntime-gpu", "1.20.2"), resolutions=(provider,))
    assert judge("cuda-library-unreachable", here).status == "passed"


def test_for_an_unknown_machine_it_is_inferred_and_who_does_not_ask_is_not_judged() -> None:
    unknown = sick(dist("bitsandbytes", "0.50.2"), gpus=Unknown("NVML does not answer"), driver=Unknown("none"))
    assert only(judge("cuda-library-unreachable", unknown)).severity == "warning"
    run = judge("cuda-library-unreachable", inventory(TORCH))
    assert (run.status, run.applies) == ("skipped", False)
