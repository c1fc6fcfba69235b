"""Say what an error of the GPU means, and what follows from it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_doctor.model.remedy import Remedy, RunByHand


@dataclass(frozen=True, slots=True)
class _Meaning:
    """Join the words of an error with what it means, a sentence after a space, and with what heals it."""

    words: re.Pattern[str]
    sentence: str
    remedy: Remedy


def explained(detail: str) -> tuple[str, Remedy | None]:
    """Return what an error means (empty where nothing is known of it) and what to do."""
    for meaning in _MEANINGS:
        if meaning.words.search(detail):
            return f" {meaning.sentence}", meaning.remedy
    return "", None


_SHOW_MEMORY = RunByHand("nvidia-smi --query-compute-apps=pid,name,used_memory --format=csv", "shows who holds memory")
_SHOW_ERRORS = RunByHand("nvidia-smi -q -d ECC,ROW_REMAPPER", "counts the memory errors of the GPU")
_SHOW_LOG = RunByHand("sudo dmesg | grep -i xid", "shows what the driver wrote down, by its Xid number")

# The first that fits; what each code means is from the CUDA Runtime API, cuBLAS and cuDNN references of NVIDIA.
_MEANINGS = (
    _Meaning(
        re.compile(r"uncorrectable ECC|hardware stack error|ECC error"),
        "The GPU's memory is damaged.",
        Remedy(
            "Look at the GPU's error counters; a GPU that goes on counting must be replaced.",
            "manual",
            (_SHOW_ERRORS, _SHOW_LOG),
        ),
    ),
    _Meaning(
        re.compile(r"launch timed out"),
        "A display on this GPU ends kernels that run too long, or the GPU hangs.",
        Remedy("Take the display off this GPU, and read the driver's log.", "manual", (_SHOW_LOG,)),
    ),
    _Meaning(
        re.compile(r"illegal memory access|device-side assert|misaligned address|illegal instruction|launch failure"),
        "The experiment's data cannot be the reason: the build of torch, the driver or the GPU is at fault.",
        Remedy(
            "Read the driver's log, then try the driver's next release and another build of torch.",
            "manual",
            (_SHOW_LOG, _SHOW_ERRORS),
        ),
    ),
    _Meaning(
        re.compile(
            r"CUBLAS_STATUS_(?:NOT_INITIALIZED|ALLOC_FAILED)|out of memory|CUDNN_STATUS_(?:ALLOC_FAILED|INTERNAL)"
        ),
        "Most often there was no memory left for the library's own workspace.",
        Remedy("Free memory of this GPU, then check again.", "manual", (_SHOW_MEMORY,)),
    ),
    _Meaning(
        re.compile(r"CUDNN_STATUS_\w*VERSION_MISMATCH|CUDNN_STATUS_NOT_INITIALIZED|cuDNN version incompat"),
        "The cuDNN in the process is not the one that this torch was built for, or cannot start on this driver.",
        Remedy("Compare the cuDNN that the process has mapped with the one that torch's package asks for.", "manual"),
    ),
    _Meaning(
        re.compile(
            r"driver|initialization error|CUDA unknown error|system not yet initialized|busy or unavailable", re.I
        ),
        "The driver refuses, not torch.",
        Remedy("Look at the driver and at who uses the GPU (compute mode, containers).", "manual", (_SHOW_LOG,)),
    ),
)
