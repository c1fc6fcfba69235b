"""Scaled dot-product attention by each of torch's backends; Python 3.8, torch only.

No question of its own: `bench_torch.py` runs this file. What counts are the operations of the two products, of which
causal attention needs half.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import math
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# The name in torch.nn.attention (2.3 on), the argument of torch.backends.cuda.sdp_kernel (2.0 on), and how torch calls
# it where it warns that it cannot use it.
_BACKENDS = {
    "flash": ("FLASH_ATTENTION", "enable_flash", "Flash attention kernel"),
    "efficient": ("EFFICIENT_ATTENTION", "enable_mem_efficient", "Memory efficient kernel"),
    "cudnn": ("CUDNN_ATTENTION", "", "CuDNN attention kernel"),
    "math": ("MATH", "enable_math", "Math kernel"),
}
_ON_CPU = ("flash", "math")
_HEAD_SIZES = (64, 128)
# Sequences, heads, length.
_GPU, _CPU = (4, 16, 2048), (1, 8, 256)
# Two products, with the exponential between them.
_SEVERAL_STEPS = 4.0


def add_cases(meter: Any) -> str:
    """Add each backend with each head size, number format and mask, and say what is run."""
    shape = _GPU if meter.on_gpu else _CPU
    for backend in _BACKENDS:
        reason = _lacking(meter, backend)
        if reason:
            meter.add(f"attention {backend}", "TFLOP/s", "", reason=reason)
            continue
        for (kind, dtype), size, causal in itertools.product(_formats(meter), _HEAD_SIZES, (False, True)):
            name = f"attention {backend} {kind} head {size}{' causal' * causal}"
            reason = meter.lacks(8, 0) if meter.on_gpu and kind == "bfloat16" else ""
            case = meter.add(name, "TFLOP/s", kind, _operations(*shape, size, causal) / 1e12, reason)
            case.make = _attention(meter, backend, (*shape, size), dtype, causal)
            case.check = _check(meter, backend, size, dtype, causal)
    sequences, heads, length = shape
    return f"attention of {sequences} sequences of {length} with {heads} heads, forward"


def make_batch(meter: Any, size: int) -> Callable[[], Any]:
    """Return what attends to so many sequences, by the backend that torch chooses itself."""
    _, heads, length = _GPU if meter.on_gpu else _CPU
    dtype = meter.torch.float16 if meter.on_gpu else meter.torch.float32
    return _attention(meter, "", (size, heads, length, _HEAD_SIZES[0]), dtype, False)()


def _formats(meter: Any) -> Iterator[tuple[str, Any]]:
    for kind in ("float16", "bfloat16") if meter.on_gpu else ("float32", "bfloat16"):
        yield kind, getattr(meter.torch, kind)


def _operations(sequences: int, heads: int, length: int, size: int, causal: bool) -> float:
    return 4.0 * sequences * heads * length * length * size * (0.5 if causal else 1.0)


def _lacking(meter: Any, backend: str) -> str:
    """Return why this backend cannot be asked for, or nothing."""
    if not hasattr(meter.torch.nn.functional, "scaled_dot_product_attention"):
        return "needs torch 2.0"
    if not meter.on_gpu and backend not in _ON_CPU:
        return "needs a GPU"
    try:
        with _only(meter.torch, backend):
            return ""
    except AttributeError:
        return "needs a newer torch"


def _only(torch: Any, backend: str) -> Any:
    """Return a context in which only this backend is allowed; an empty name leaves the choice to torch."""
    if not backend:
        return contextlib.nullcontext()
    modern, old, _ = _BACKENDS[backend]
    with contextlib.suppress(ImportError):
        module = importlib.import_module("torch.nn.attention")
        if hasattr(module, "sdpa_kernel"):
            return module.sdpa_kernel(getattr(module.SDPBackend, modern))
    if not old:
        raise AttributeError(backend)
    flags = {name: name == old for _, name, _ in _BACKENDS.values() if name}
    return torch.backends.cuda.sdp_kernel(**flags)


def _attend(torch: Any, backend: str, tensors: tuple[Any, ...], causal: bool) -> Any:
    with _only(torch, backend):
        return torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=causal)


def _attention(
    meter: Any, backend: str, shape: tuple[int, ...], dtype: Any, causal: bool
) -> Callable[[], Callable[[], Any]]:
    def make() -> Callable[[], Any]:
        tensors = tuple(meter.torch.randn(*shape, device=meter.device).to(dtype) for _ in range(3))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                _attend(meter.torch, backend, tensors, causal)
            except RuntimeError as error:
                if "out of memory" in str(error):
                    raise
                raise meter.work.notes.Skip(_why_not(backend, error, [str(one.message) for one in said])) from None
        return lambda: _attend(meter.torch, backend, tensors, causal)

    return make


def _why_not(backend: str, error: Exception, said: list[str]) -> str:
    """Return why torch refuses a backend: a warning names each backend, and the next one says what is against it."""
    words = [" ".join(one.partition("(Triggered internally")[0].split()) for one in said]
    for at, line in enumerate(words[:-1]):
        if backend and line.startswith(_BACKENDS[backend][2]):
            return words[at + 1][:300]
    return str(error)[:300]


def _check(meter: Any, backend: str, size: int, dtype: Any, causal: bool) -> Callable[[], Any]:
    torch, bench, length = meter.torch, meter.bench, 128

    def cases() -> Iterator[tuple[str, Any, Any, float]]:
        q, k, v = (bench.noise(2, 4, length, size).to(dtype) for _ in range(3))
        scores = q.double() @ k.double().transpose(-1, -2) / math.sqrt(size)
        if causal:
            later = torch.ones(length, length, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        got = _attend(torch, backend, tuple(x.to(meter.device) for x in (q, k, v)), causal)
        allowed = bench.tolerance(dtype, math.sqrt(length)) * _SEVERAL_STEPS
        yield f"{length} of {size}", got, scores.softmax(-1) @ v.double(), allowed

    return lambda: bench.compare(cases())
