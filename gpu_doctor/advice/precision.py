"""Which number format to compute in, by what the GPU and the framework have."""

from __future__ import annotations

from gpu_doctor.facts.advice import AdviceFacts
from gpu_doctor.model.advice import Choice, Engine
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.hardware import Gpu

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "int8_float16": 1, "int8_float32": 1}


def precision(engine: Engine, gpu: Gpu | None, facts: AdviceFacts, refused: frozenset[str] = frozenset()) -> Choice:
    """Choose the format for an engine on a GPU (None: the CPU); `refused` are those that it was seen to lack."""
    if engine == "onnxruntime":
        return Choice("float32", "an ONNX model has its number format in its own graph")
    if engine == "ctranslate2":
        return _ctranslate2(gpu, facts, refused)
    return _torch(gpu, facts, refused)


def tf32(gpu: Gpu | None, facts: AdviceFacts) -> Choice:
    """Choose whether float32 products may be computed in tf32."""
    if gpu is None:
        return Choice("off", "tf32 is a format of GPUs")
    if facts.formats.has("torch", "tf32", gpu.capability):
        return Choice(
            "on", f"{gpu.sm} multiplies float32 on tensor cores so; torch.set_float32_matmul_precision('high')"
        )
    return Choice("off", f"{gpu.sm} has no tf32: that begins with sm_80")


def refused_formats(findings: tuple[Finding, ...], engine: Engine) -> frozenset[str]:
    """Return the formats that a live probe saw the GPU refuse to this engine."""
    mine = [f for f in findings if f.rule == "dtype-unsupported-by-gpu" and f.subject.startswith(f"{engine} on ")]
    return frozenset(name for name in ("float16", "bfloat16") for f in mine if _names(f.message, name))


def _names(message: str, dtype: str) -> bool:
    return f" {dtype}" in message.replace(",", " ").replace(".", " ")


def _torch(gpu: Gpu | None, facts: AdviceFacts, refused: frozenset[str]) -> Choice:
    if gpu is None:
        return Choice("float32", "CPUs are made for float32")
    for name in ("bfloat16", "float16"):
        if name not in refused and facts.formats.has("torch", name, gpu.capability):
            no = "" if name == "bfloat16" else ", and has no bfloat16"
            return Choice(name, f"{gpu.sm} computes {name} at full speed{no}")
    why = "was seen to refuse the shorter formats" if refused else "has no float16 at full speed"
    return Choice("float32", f"{gpu.sm} {why}")


def _ctranslate2(gpu: Gpu | None, facts: AdviceFacts, refused: frozenset[str]) -> Choice:
    if gpu is None:
        return Choice("int8", "on a CPU the fastest, with a quarter of float32's memory")
    for name in ("float16", "int8_float32"):
        if name not in refused and facts.formats.has("ctranslate2", name, gpu.capability):
            short = "" if name == "float16" else ", whose float16 is slow"
            return Choice(name, f"the best that CTranslate2 offers on {gpu.sm}{short}")
    return Choice("float32", f"CTranslate2 offers nothing shorter on {gpu.sm}")
