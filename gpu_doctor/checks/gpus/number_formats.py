"""Which number formats a GPU computes in at full speed.

Source: NVIDIA, CUDA C++ Programming Guide, table "Arithmetic Instructions" (native half precision from 5.3, but at
1/64 of float32's rate on 6.1; bfloat16 from 8.0); OpenNMT, CTranslate2 documentation, page "Quantization" (float16
from 7.0, bfloat16 from 8.0, int8 from 7.0 and on 6.1).
"""

from __future__ import annotations

from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe

_SLOW_HALF = (6, 1)
_FIRST = {"float16": (5, 3), "bfloat16": (8, 0)}
_FIRST_TENSOR_CORES = (7, 0)


def has_format(name: str, capability: Capability) -> bool:
    """Tell whether GPUs of this capability compute in `float16` or `bfloat16`."""
    return capability >= _FIRST[name] and not (name == "float16" and capability == _SLOW_HALF)


def ctranslate2_has_format(name: str, capability: Capability) -> bool:
    """Tell whether CTranslate2 offers the format on such GPUs; what has no tensor cores is too slow for it."""
    return has_format(name, capability) and capability >= _FIRST_TENSOR_CORES


def torch_format(capability: Capability, *refused: str) -> str:
    """Return the format to compute in with torch: the best that such GPUs have and this one did not refuse."""
    wanted = ("bfloat16", "float16") if capability >= _FIRST["bfloat16"] else ("float16",)
    return next((name for name in wanted if name not in refused and has_format(name, capability)), "float32")


def ctranslate2_format(capability: Capability, offered: frozenset[str]) -> str:
    """Return the compute type to ask CTranslate2 for: the best of what it offers on such a GPU."""
    wanted = ("float16", "int8_float16") if capability >= _FIRST_TENSOR_CORES else ("int8_float32", "int8")
    return next((name for name in wanted if name in offered), "float32")


def capability_of(inventory: Inventory, probe: Probe) -> Capability | None:
    """Return the capability of the GPU that a probe asked, or None where that is not known or it asked the CPU.

    What it measured comes first, then the GPU that it names, then what all GPUs of this machine have.
    """
    major, _, minor = (probe.value("capability") or "").partition(".")
    if major.isdecimal() and minor.isdecimal():
        return int(major), int(minor)
    if probe.subject == "CPU" or not isinstance(inventory.gpus, tuple):
        return None
    number = probe.subject.partition("GPU ")[2]
    named = inventory.gpus[int(number) :][:1] if number.isdecimal() else inventory.gpus
    found = {gpu.capability for gpu in named}
    return found.pop() if len(found) == 1 else None
