"""Whether a model fits here, and in which number format it should be loaded.

The estimate: weights in the format of the computation (what is stored in one byte a number stays so), keys and values
of the longest context up to 4096 tokens (2 × layers × heads of keys × width of a head × tokens), activations of one
pass (16 × width × tokens; a fifth of the weights where no configuration says the width), and the CUDA context.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.advice.hardware import budget, gib, ram
from gpu_doctor.advice.precision import BYTES
from gpu_doctor.facts.advice import AdviceFacts
from gpu_doctor.model.advice import Choice, EngineAdvice, Fit, MemoryEstimate, ModelAdvice
from gpu_doctor.model.checkpoint import Checkpoint, Part, Shape
from gpu_doctor.model.hardware import Gpu, Host

CONTEXT = 4096
_WIDE = {"F64", "F32", "BF16", "F16"}
_HOST_SHARE = 0.8
_STATED = {"bfloat16": "bfloat16", "float16": "float16", "float32": "float32", "half": "float16"}


@dataclass(frozen=True, slots=True)
class _Need:
    weights: int
    largest: int
    cache: int
    activations: int
    overhead: int

    @property
    def beside(self) -> int:
        """Return what is needed beside the weights."""
        return self.cache + self.activations + self.overhead


def judge_model(
    model: Checkpoint, gpu: Gpu | None, engine: EngineAdvice, host: Host, facts: AdviceFacts
) -> ModelAdvice:
    """Choose the format, estimate the memory, and collect what in the configuration cannot work here."""
    dtype = _dtype(model, gpu, engine, facts)
    need = _need(model, BYTES[dtype.value], 0 if gpu is None else facts.overhead_bytes("context"))
    memory = _compare(need, gpu, ram(host), _formula(model, dtype.value))
    problems = model.problems + _unsupported(model, gpu, dtype, facts)
    return ModelAdvice(
        model.path, model.kind, model.architecture, model.parameters, dtype, memory, tuple(dict.fromkeys(problems))
    )


def _dtype(model: Checkpoint, gpu: Gpu | None, engine: EngineAdvice, facts: AdviceFacts) -> Choice:
    stated = _stated(model)
    if model.kind == "ctranslate2" or stated is None or gpu is None:
        return engine.dtype
    if stated == "float32" or facts.formats.has("torch", stated, gpu.capability):
        half = stated == "float32" and engine.dtype.value != "float32"
        return engine.dtype if half else Choice(stated, f"the model's own format, and {gpu.sm} computes in it")
    return Choice(engine.dtype.value, f"the model's own format is {stated}, which {gpu.sm} does not compute in")


def _unsupported(model: Checkpoint, gpu: Gpu | None, dtype: Choice, facts: AdviceFacts) -> tuple[str, ...]:
    stated = _stated(model)
    if gpu is None or stated in (None, "float32") or facts.formats.has("torch", str(stated), gpu.capability):
        return ()
    return (f"The model is stored for {stated}, which {gpu.sm} does not compute in: load it with {dtype.value}.",)


def _stated(model: Checkpoint) -> str | None:
    words = next((part.shape.dtype for part in model.parts if part.shape and part.shape.dtype), "")
    if words:
        return _STATED.get(words.removeprefix("torch."))
    stored = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
    counted: dict[str, int] = {}
    for tensors in (item for part in model.parts for item in part.tensors):
        counted[tensors.dtype] = counted.get(tensors.dtype, 0) + tensors.bytes
    return stored.get(max(counted, key=lambda name: counted[name])) if counted else None


def _need(model: Checkpoint, number: int, overhead: int) -> _Need:
    sizes = [_weights(part, number) for part in model.parts]
    half = max(2, number)
    shapes = [part.shape for part in model.parts if part.shape is not None]
    cache = max((_cache(shape, half) for shape in shapes), default=0)
    widths = [(shape.width, _tokens(shape)) for shape in shapes if shape.width]
    activations = max((16 * width * tokens * half for width, tokens in widths), default=sum(sizes) // 5)
    return _Need(sum(sizes), max(sizes, default=0), cache, activations, overhead)


def _weights(part: Part, number: int) -> int:
    quantized = bool(part.shape and part.shape.quantized)
    wide = sum(item.parameters for item in part.tensors if item.dtype in _WIDE and not quantized)
    rest = sum(item.bytes for item in part.tensors if item.dtype not in _WIDE or quantized)
    return wide * number + rest


def _cache(shape: Shape, number: int) -> int:
    heads, width = shape.key_heads or shape.heads, shape.head_width
    if not (shape.layers and heads and width and shape.vocabulary):
        return 0
    return 2 * shape.layers * heads * width * _tokens(shape) * number


def _tokens(shape: Shape) -> int:
    return min(shape.positions or CONTEXT, CONTEXT)


def _compare(need: _Need, gpu: Gpu | None, host: int | None, formula: str) -> MemoryEstimate:
    total = need.weights + need.beside
    device = host if gpu is None else budget(gpu)
    kept = total if gpu is None else need.weights
    fit: Fit = "unknown"
    if device is None:
        why = f"it takes {gib(total)}; how much memory there is, is not known"
    elif gpu is None:
        fit = "fits" if total <= device * _HOST_SHARE else "does not fit"
        why = f"it takes {gib(total)} of {gib(device)} of RAM"
    elif total <= device:
        fit, why = "fits", f"it takes {gib(total)} of {gib(device)} of {gpu.name}"
    elif need.weights // 20 + need.beside <= device and (host is None or kept <= host * _HOST_SHARE):
        fit = "fits with offload"
        why = f"it takes {gib(total)} of {gib(device)} of {gpu.name}; {gib(kept)} of weights can wait in RAM"
    else:
        fit = "does not fit"
        why = f"it takes {gib(total)} of {gib(device)} of {gpu.name}, and {gib(kept)} of RAM to offload"
    sizes = (total, need.weights, need.cache, need.activations, need.overhead)
    return MemoryEstimate(fit, *sizes, device, kept, host, formula, why)


def _formula(model: Checkpoint, dtype: str) -> str:
    counted = f" ({model.estimated})" if model.estimated else ""
    return f"weights in {dtype}{counted}, keys and values and activations of up to {CONTEXT} tokens, CUDA context"
