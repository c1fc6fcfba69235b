"""What must be looked at, judged and asked for each requirement, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpu_doctor.model.probes import Kind
from gpu_doctor.model.requirement import Requirement

KERNEL_RULE = "kernel-image-missing"
# Illnesses of the machine, which concern whatever wants to use a GPU.
HOST_RULES = (
    *("driver-missing", "driver-library-mismatch", "driver-without-gpu", "fabric-manager-down", "cuda-init-unknown"),
    "gpu-out-of-memory",
)
CUDNN_RULES = ("cudnn-unreachable", "cudnn-broken", "library-path-shadows", "packages-overwrite")
TRANSFORM_RULE = "cufft-failure"
_CUDA_RULES = (
    *HOST_RULES,
    *("driver-too-old", "cpu-only-build", "ort-packages-clash", "packages-overwrite", "package-files-damaged"),
    *("package-version-conflict", "cuda-majors-mixed", "torch-import-fails", "package-import-fails"),
    *("library-path-shadows", "cudnn-unreachable", "cudnn-broken", "cublas-unreachable", "cuda-library-unreachable"),
    *("ort-provider-unloadable", KERNEL_RULE, "silent-cpu-fallback", "gpu-operation-fails", "gpu-result-wrong"),
    *("package-run-fails", "dtype-unsupported-by-gpu"),
)
TORCH, ORT, CT2 = ("torch",), ("onnxruntime-gpu", "onnxruntime"), ("ctranslate2",)
PACKAGES = {
    "torch-cuda": TORCH,
    "stft": TORCH,
    "matmul": TORCH,
    "onnxruntime-cuda": ORT,
    "onnxruntime-tensorrt": ORT,
    "ctranslate2-cuda": CT2,
}
"""The distributions that a requirement is about; one of them must be installed."""


@dataclass(frozen=True, slots=True)
class Need:
    """Say what a requirement needs.

    `hardware`: the GPUs and the driver. `code`: the GPU code in the libraries. `files`: all that files tell. `rules`
    judge that. `kinds` are the live questions that lead to an answer, and `imports` the distributions that they run.
    `thorough` makes experiments that otherwise are not made.
    """

    hardware: bool = False
    code: bool = False
    files: bool = False
    rules: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    imports: frozenset[str] = frozenset()
    thorough: bool = False


def _cuda(*kinds: Kind, imports: tuple[str, ...], rules: tuple[str, ...] = (), thorough: bool = False) -> Need:
    chosen = frozenset((*_CUDA_RULES, *rules))
    return Need(True, True, True, chosen, frozenset(("import", "cuda-init", *kinds)), frozenset(imports), thorough)


_TORCH = _cuda("torch-gpu", "devices", "cudnn", "library", imports=TORCH)
_HARDWARE = Need(hardware=True)
_NEEDS = {
    "torch-cuda": _TORCH,
    "matmul": _TORCH,
    "stft": _cuda("torch-gpu", "devices", "cudnn", "library", "cufft", imports=TORCH, rules=(TRANSFORM_RULE,)),
    # Sessions are opened after `import torch` as well: torch brings libraries that they then find.
    "onnxruntime-cuda": _cuda("ort-session", "cudnn", "library", imports=(*ORT, *TORCH)),
    "onnxruntime-tensorrt": _cuda("ort-session", "cudnn", "library", imports=(*ORT, *TORCH), thorough=True),
    "ctranslate2-cuda": _cuda("ctranslate2", "devices", "cudnn", "library", imports=CT2),
    "cudnn": Need(
        code=True,
        files=True,
        rules=frozenset(CUDNN_RULES),
        kinds=frozenset(("import", "cudnn")),
        imports=frozenset((*TORCH, *ORT, *CT2)),
    ),
    "kernels": Need(code=True),
    "driver": _HARDWARE,
    "cuda": _HARDWARE,
    "gpus": _HARDWARE,
    "vram": _HARDWARE,
    "free-vram": _HARDWARE,
}


def need(requirement: Requirement) -> Need:
    """Return what one requirement needs beyond the interpreter, the packages' names and the machine's own files."""
    return _NEEDS.get(requirement.name, Need())


def together(requirements: Iterable[Requirement]) -> Need:
    """Return what all of these need."""
    each = [need(requirement) for requirement in requirements]
    return Need(
        hardware=any(item.hardware for item in each),
        code=any(item.code for item in each),
        files=any(item.files for item in each),
        rules=frozenset[str]().union(*(item.rules for item in each)),
        kinds=frozenset[Kind]().union(*(item.kinds for item in each)),
        imports=frozenset[str]().union(*(item.imports for item in each)),
        thorough=any(item.thorough for item in each),
    )
