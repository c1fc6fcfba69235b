"""Give a child a GPU whose cuFFT is ill in one known way: a torch without numbers, or the real one on the CPU.

`question(folder, fault, real=…)` writes a question that asks `probe/scripts/cufft.py` on such a GPU. What a healthy
cuFFT refuses is refused here too: an empty input, half precision at most sizes, and anything where memory is full.
This file is also what the child runs, so it imports nothing of ours and is plain Python 3.8.
"""

from __future__ import annotations

import importlib
import sys
import types
import weakref
from pathlib import Path
from typing import Any

INTERNAL = "cuFFT error: CUFFT_INTERNAL_ERROR"
# Each way to be ill, and what the rule must call it where a transform failed first.
FAULTS = {
    "always": "always",
    "wrong results": "wrong results",
    "float32": "float32",
    "many plans": "many plans",
    "some sizes": "some sizes",
    "state": "state",
    "memory stays lost": "memory stays lost",
    "memory is short": "memory",
    "memory was full": "memory was full",
    "nothing": "memory was full",
}
MEMORY = 4 * 2**30
_ROOM = 32 * 2**20


def question(folder: Path, fault: str, *, real: bool = False) -> str:
    """Write the question and return its path."""
    script = Path(__file__).parents[2] / "gpu_doctor" / "probe" / "scripts" / "cufft.py"
    text = f"import runpy\nrunpy.run_path({str(__file__)!r})['begin']({fault!r}, {real})\n"
    text += f"exec(compile(open({str(script)!r}, encoding='utf-8').read(), {str(script)!r}, 'exec'))\n"
    path = folder / "question.py"
    path.write_text(text)
    return str(path)


def begin(fault: str, real: bool) -> None:
    """Make `import torch` give a torch with this fault, in the child."""
    torch: Any = importlib.import_module("torch") if real else _without_numbers()
    sys.modules["torch"] = torch
    gpu = Gpu(torch, fault)
    for name in ("zeros", "ones", "empty"):
        setattr(torch, name, gpu.creating(getattr(torch, name)))
    torch.Tensor.to = gpu.moving(torch.Tensor.to)
    torch.nn.Module.to = lambda module, _device: module
    torch.stft, torch.istft = gpu.watched(torch.stft), gpu.watched(torch.istft)
    torch.fft.rfft = gpu.watched(torch.fft.rfft)
    torch.cuda.set_device = lambda _device: None
    torch.cuda.get_device_capability = lambda _device: (8, 6)
    torch.cuda.get_device_properties = lambda _device: types.SimpleNamespace(is_integrated=False)
    torch.cuda.mem_get_info = lambda _device: (MEMORY - gpu.held - gpu.kept, MEMORY)
    torch.cuda.empty_cache = gpu.empty_cache
    torch.backends.cuda.cufft_plan_cache = {"cuda:0": gpu}


class Gpu:
    """Count what a GPU would hold, and fail as its cuFFT would; also the plan cache of the one GPU there is."""

    def __init__(self, torch: Any, fault: str) -> None:
        self.torch = torch
        self.fault = fault
        self.plans: set[object] = set()
        self.held = MEMORY - 2**20 if fault == "memory is short" else 0
        self.kept = 0
        self.emptied = 0
        self.was_full = False

    @property
    def size(self) -> int:
        return len(self.plans)

    def clear(self) -> None:
        self.plans.clear()

    def empty_cache(self) -> None:
        self.kept, self.emptied = 0, self.emptied + 1

    def creating(self, real: Any) -> Any:
        def create(*shape: Any, **options: Any) -> Any:
            there = options.pop("device", "cpu") == "cuda:0"
            if not there or options.get("dtype") is not self.torch.uint8:
                return self.mark(real(*shape, **options)) if there else real(*shape, **options)
            if self.held + self.kept + shape[0] > MEMORY:
                raise self.torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate much")
            self.held += shape[0]
            block = real(1, **options)
            weakref.finalize(block, self.release, shape[0])
            return block

        return create

    def release(self, size: int) -> None:
        self.held, self.kept = self.held - size, self.kept + size

    def moving(self, real: Any) -> Any:
        def to(tensor: Any, where: Any) -> Any:
            return self.mark(tensor.clone()) if where == "cuda:0" else real(tensor, where)

        return to

    def mark(self, tensor: Any) -> Any:
        tensor.on_the_gpu = True
        return tensor

    def watched(self, real: Any) -> Any:
        def transform(signal: Any, *arguments: Any, **options: Any) -> Any:
            if not getattr(signal, "on_the_gpu", False):
                return real(signal, *arguments, **options)
            size = arguments[0] if arguments else signal.shape[-1]
            self.refuse(signal, size)
            numbers = signal.float() if signal.dtype is self.torch.float16 else signal
            result = real(numbers, *arguments, **options)
            return result * 1.5 if self.fault == "wrong results" else result

        return transform

    def refuse(self, signal: Any, size: int) -> None:
        if getattr(self.torch.Tensor, "asserted", False):
            raise RuntimeError("CUDA error: device-side assert triggered")
        if 0 in tuple(signal.shape):
            self.emptied += 100 if self.fault == "input" else 0
            raise RuntimeError("cuFFT error: CUFFT_INVALID_SIZE")
        half = signal.dtype is self.torch.float16
        if half and size & (size - 1):
            raise RuntimeError("cuFFT only supports dimensions whose sizes are powers of two in half precision")
        full = self.held + self.kept > MEMORY - _ROOM
        self.was_full = self.was_full or full
        self.plans.add((size, signal.dtype))
        ill = {
            "always": True,
            "float32": signal.dtype in (self.torch.float32, self.torch.complex64),
            "many plans": len(self.plans) > 100,
            "some sizes": size > 1500 and size != 2048,
            "state": self.emptied >= 3,
            "input": self.emptied >= 100,
            "half": half,
            "memory stays lost": self.was_full,
        }.get(self.fault, False)
        if ill or full:
            raise RuntimeError(INTERNAL)


class Tensor:
    """Stand for a tensor of which only the shape and the dtype are known, and how far it is from the truth."""

    asserted = False

    def __init__(self, shape: tuple[int, ...], dtype: object, error: float = 0.0) -> None:
        self.shape, self.dtype, self.error, self.device = shape, dtype, error, "cpu"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "on_the_gpu":
            raise AttributeError(name)
        return lambda *_arguments, **_options: self

    def reshape(self, shape: tuple[int, ...]) -> Tensor:
        return Tensor(tuple(shape), self.dtype, self.error)

    def clone(self) -> Tensor:
        return Tensor(self.shape, self.dtype, self.error)

    def to(self, what: Any) -> Tensor:
        return Tensor(self.shape, self.dtype if what == "cpu" else what, self.error)

    def __getitem__(self, index: object) -> Tensor:
        Tensor.asserted = True  # the kernel fails, the call returns
        return self

    def __sub__(self, other: Tensor) -> Tensor:
        return Tensor(self.shape, self.dtype, max(self.error, other.error))

    def __mul__(self, factor: float) -> Tensor:
        return Tensor(self.shape, self.dtype, abs(factor - 1))

    def __float__(self) -> float:
        return self.error


class _Module:
    def to(self, _device: str) -> Any:
        return self

    def parameters(self) -> tuple[()]:
        return ()

    def __call__(self, given: Tensor) -> Tensor:
        return given


def _without_numbers() -> Any:
    torch = types.ModuleType("torch")
    torch.__version__ = "2.8.0+cu128"  # type: ignore[attr-defined]

    def made(*shape: Any, dtype: object = "float32", **options: object) -> Tensor:
        return Tensor(tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else shape, dtype)

    def transformed(signal: Tensor, *arguments: object, **options: object) -> Tensor:
        return Tensor(signal.shape, "complex64")

    def module(*arguments: object, **options: object) -> _Module:
        return _Module()

    kinds = ("float16", "float32", "float64", "complex64", "complex128", "uint8")
    cuda = types.SimpleNamespace(OutOfMemoryError=type("OutOfMemoryError", (RuntimeError,), {}))
    layers = dict.fromkeys(("Conv1d", "GELU", "Linear", "Sequential"), module)
    optimizer = types.SimpleNamespace(AdamW=lambda _parameters: types.SimpleNamespace(step=lambda: None))
    parts = {
        **dict.fromkeys(("arange", "hann_window", "zeros", "ones", "empty", "tensor"), made),
        "Tensor": Tensor,
        "cuda": cuda,
        "optim": optimizer,
        "stft": transformed,
        "istft": transformed,
        "nn": types.SimpleNamespace(Module=_Module, **layers),
        "fft": types.SimpleNamespace(rfft=transformed),
        "version": types.SimpleNamespace(cuda="12.8"),
        "backends": types.SimpleNamespace(cuda=types.SimpleNamespace()),
    }
    for name, part in [*parts.items(), *((kind, kind) for kind in kinds)]:
        setattr(torch, name, part)
    return torch
