"""Which number format to compute in on a GPU, by what its generation has and what it refused."""

from __future__ import annotations

from gpu_doctor.facts.formats import NumberFormats
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe


def torch_format(formats: NumberFormats, capability: Capability, *refused: str) -> str:
    """Return the format to compute in with torch: the best that such GPUs have and this one did not refuse."""
    fit = (name for name in ("bfloat16", "float16") if name not in refused and formats.has("torch", name, capability))
    return next(fit, "float32")


def ctranslate2_format(formats: NumberFormats, capability: Capability, offered: frozenset[str]) -> str:
    """Return the compute type to ask CTranslate2 for: the best of what it offers on such a GPU."""
    short = formats.has("ctranslate2", "float16", capability)
    wanted = ("float16", "int8_float16") if short else ("int8_float32", "int8")
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
