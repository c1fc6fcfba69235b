"""Which attention kernel torch should use."""

from __future__ import annotations

from packaging.version import Version

from gpu_doctor.facts.advice import AdviceFacts
from gpu_doctor.model.advice import Choice
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

_SDPA = Version("2.0")


def attention(
    inventory: Inventory, findings: tuple[Finding, ...], gpu: Gpu | None, dtype: str, facts: AdviceFacts
) -> Choice:
    """Choose `flash-attn`, a kernel of torch's own (`sdpa flash`, `sdpa efficient`, `sdpa math`), or `eager`."""
    torch = inventory.distribution("torch")
    if torch is not None and not isinstance(torch.version, Unknown) and torch.version < _SDPA:
        return Choice("eager", f"{torch.label} has no scaled_dot_product_attention: that begins with 2.0")
    if gpu is None:
        return Choice("sdpa math", "the flash kernels are made for GPUs")
    if dtype == "float32":
        return _efficient(gpu, facts, f"flash kernels compute in half precision, and {gpu.sm} computes here in float32")
    package = inventory.distribution("flash-attn")
    if package is not None and facts.has_attention("flash-attn", gpu.capability):
        broken = next((f for f in findings if f.severity == "error" and "flash-attn" in f.seats), None)
        if broken is None:
            return Choice("flash-attn", f"{package.label} is installed and {gpu.sm} runs it")
        return Choice("sdpa flash", f"{package.label} is installed, but: {broken.message.removesuffix('.')}")
    if facts.has_attention("flash", gpu.capability):
        return Choice("sdpa flash", f"torch brings it, and {gpu.sm} runs it")
    ampere = f"FlashAttention-2 needs sm_80, this is {gpu.sm}"
    return _efficient(gpu, facts, ampere)


def idle_flash(inventory: Inventory, gpu: Gpu | None, facts: AdviceFacts) -> str:
    """Return the warning about a flash-attn that this GPU cannot run, or nothing."""
    package = inventory.distribution("flash-attn")
    if package is None or gpu is None or facts.has_attention("flash-attn", gpu.capability):
        return ""
    return f'{package.label} does not run on {gpu.sm}: never ask for attn_implementation="flash_attention_2" here.'


def _efficient(gpu: Gpu, facts: AdviceFacts, why: str) -> Choice:
    kernel = "sdpa efficient" if facts.has_attention("efficient", gpu.capability) else "sdpa math"
    return Choice(kernel, why)
