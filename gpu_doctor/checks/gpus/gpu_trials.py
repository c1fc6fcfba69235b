"""Tell which rule owns an experiment that ended badly, so that each is reported once and none by nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpu_doctor.checks.gpus.number_formats import capability_of
from gpu_doctor.checks.shared.live import answers, asked, failures
from gpu_doctor.checks.shared.stack import gpu_known
from gpu_doctor.facts.stack import is_onnxruntime
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.probes import Kind, Probe, Trial
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, known

NO_IMAGE = re.compile(
    r"no kernel image is available|cudaErrorNoKernelImageForDevice|PTX was compiled with an unsupported toolchain"
    r"|CUDA_ERROR_NO_BINARY_FOR_GPU|was built for sm\d+"
)
_NO_MEMORY = re.compile(r"out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation", re.IGNORECASE)
_NOT_SUPPORTED = re.compile(
    r"not (?:currently |yet )?(?:supported|implemented)|NOT_SUPPORTED|ARCH_MISMATCH|unsupported|only supported on",
    re.IGNORECASE,
)
TRANSFORMS = ("stft", "istft", "fft fp64")
RUNS = "package-run-fails"
Witness = tuple[Probe, Trial]

_SHORT = ("matmul fp16", "matmul bf16", "matmul fp8")
_ORT_CPU, _ORT_CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
WITHOUT_GPU = ("CPU", _ORT_CPU)


def gpu_answers(inventory: Inventory, *kinds: Kind) -> tuple[Probe, ...]:
    """Return the probes of these kinds that asked a GPU; give up on the check, with the reason, where none did."""
    taken = answers(inventory, *kinds)
    found = tuple(probe for probe in taken if on_gpu(probe))
    if found:
        return found
    wanted = [p for p in known(inventory.probes) if p.kind in kinds and p.subject not in WITHOUT_GPU]
    if not wanted:
        raise DoesNotApply("nothing is installed that could be asked this")
    untaken = (probe.reason for probe in wanted if probe not in taken)
    raise CannotKnow(next(untaken, "no GPU visible" if inventory.gpus == () else "no GPU was asked"))


def on_gpu(probe: Probe) -> bool:
    """Tell whether a probe asked a GPU; a session that asks for CUDA is on one only where it got it."""
    if probe.kind != "ort-session":
        return probe.subject not in WITHOUT_GPU
    got = probe.trial("providers of the session")
    return probe.subject != _ORT_CPU and got is not None and got.outcome == "passed"


def owned(inventory: Inventory, probe: Probe, rule: str) -> tuple[Trial, ...]:
    """Return the experiments of a probe that ended badly and that this rule reports."""
    return tuple(trial for trial in failures(probe) if owner(inventory, probe, trial) == rule)


def illnesses(inventory: Inventory, probes: Iterable[Probe], rule: str) -> tuple[tuple[Witness, ...], ...]:
    """Return what this rule reports of these probes: one group for each question, whatever was imported before it."""
    groups: dict[tuple[str, str], list[Witness]] = {}
    for probe in probes:
        for trial in owned(inventory, probe, rule):
            groups.setdefault((probe.kind, probe.subject), []).append((probe, trial))
    return tuple(tuple(group) for group in groups.values())


def owner(inventory: Inventory, probe: Probe, trial: Trial) -> str:
    """Return the one rule that reports an experiment which ended badly; of other kinds than these, nothing."""
    owners = {"torch-gpu": _of_torch, "ctranslate2": _of_ctranslate2, "ort-session": _of_session, "library": _of_loader}
    return owners[probe.kind](inventory, probe, trial) if probe.kind in owners else ""


def package(probe: Probe) -> str:
    """Return the package that a probe ran."""
    return {"torch-gpu": "torch", "cufft": "torch", "ort-session": "onnxruntime"}.get(probe.kind, probe.kind)


def subject(probe: Probe) -> str:
    """Return what a finding about a probe is called: the GPU, as torch speaks for it, or a package and where it ran."""
    return probe.subject if probe.kind == "torch-gpu" else f"{package(probe)}: {probe.subject}"


def gpu_name(probe: Probe) -> str:
    """Return which GPU a probe asked, and its name where the probe came so far; through what, where not by torch."""
    if probe.kind == "ort-session":
        return "the GPU in a session of ONNX Runtime"
    name = probe.value("device")
    through = " in CTranslate2" if probe.kind == "ctranslate2" else ""
    return f"{probe.subject} ({name}){through}" if name else f"{probe.subject}{through}"


def _of_torch(inventory: Inventory, probe: Probe, trial: Trial) -> str:
    if trial.name == "is available" and _sees_none(inventory):
        return "silent-cpu-fallback"  # which asks torch for its GPUs as it asks the others
    if trial.outcome != "wrong" and not _without_code(inventory, probe, trial):
        if _NO_MEMORY.search(trial.detail) and _starved(probe):
            return "gpu-out-of-memory"
        if trial.name == "pinned memory" and inventory.host.wsl:
            return "wsl-pinned-memory"
        if trial.name in TRANSFORMS:
            return "cufft-failure"
        if trial.name in _SHORT and _NOT_SUPPORTED.search(trial.detail):
            return "dtype-unsupported-by-gpu"
    return _of_gpu(inventory, probe, trial)


def _sees_none(inventory: Inventory) -> bool:
    looks = (probe.trial("devices") for probe in asked(inventory, "devices", "torch"))
    return any(look is not None and look.outcome in ("wrong", "failed") for look in looks)


def _of_ctranslate2(inventory: Inventory, probe: Probe, trial: Trial) -> str:
    if probe.subject in WITHOUT_GPU:
        return RUNS
    on_cpu = (p.trial(trial.name) for p in asked(inventory, "ctranslate2", "CPU"))
    if trial.name in ("model", "run cpu float32") and any(same and same.outcome == trial.outcome for same in on_cpu):
        return ""  # said of the CPU already
    if trial.name == "device count" and trial.outcome != "died":
        return "silent-cpu-fallback"  # which asks CTranslate2 for its GPUs as it asks the others
    return _of_gpu(inventory, probe, trial)


def _of_session(inventory: Inventory, probe: Probe, trial: Trial) -> str:
    if probe.subject == _ORT_CPU:
        return RUNS
    if trial.name in ("run", "convolution"):
        return _of_gpu(inventory, probe, trial)
    if probe.subject != _ORT_CUDA:
        return _of_tensorrt(inventory, trial)
    if trial.name == "available providers" and len({d.name for d in inventory.distributions if _is_ort(d)}) > 1:
        return "ort-packages-clash"
    died = trial.name == "session" and trial.outcome == "died"
    return "ort-provider-unloadable" if died or trial.name == "library of the provider" else "silent-cpu-fallback"


def _is_ort(item: Distribution) -> bool:
    return item.active and is_onnxruntime(item.name)


def _of_tensorrt(inventory: Inventory, trial: Trial) -> str:
    """Return the rule for a session with TensorRT: without it that fails, and without a GPU nothing is known."""
    present = any(item.active and item.name.startswith("tensorrt") for item in inventory.distributions)
    loads = trial.name == "library of the provider" or (gpu_known(inventory) and trial.name != "available providers")
    return RUNS if present and loads else ""


def _of_loader(inventory: Inventory, probe: Probe, trial: Trial) -> str:
    if probe.subject.startswith("onnxruntime"):
        return "ort-provider-unloadable"
    if "libcuda.so.1: cannot open" in trial.detail or (trial.outcome == "died" and probe.ending != "crashed"):
        return ""  # what lacks a driver, or was slow, is not broken
    return "cublas-unreachable" if trial.name.startswith("libcublas.so") else RUNS


def _of_gpu(inventory: Inventory, probe: Probe, trial: Trial) -> str:
    if trial.outcome == "wrong":
        return "gpu-result-wrong"
    return "kernel-image-missing" if _without_code(inventory, probe, trial) else "gpu-operation-fails"


def _without_code(inventory: Inventory, probe: Probe, trial: Trial) -> bool:
    """Tell whether the GPU has no code for this, on a GPU whose capability is known, as that rule needs it."""
    return bool(NO_IMAGE.search(trial.detail)) and capability_of(inventory, probe) is not None


def _starved(probe: Probe) -> bool:
    """Tell whether not even a small block of memory could be had, which explains every other lack of it."""
    block = probe.trial("allocate memory")
    return block is not None and block.outcome == "failed" and _NO_MEMORY.search(block.detail) is not None
