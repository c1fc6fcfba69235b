"""The products of square matrices, in each number format that the device has; Python 3.8, torch only.

No question of its own: `bench_torch.py` and `torch_gpu.py` run this file.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Case = tuple[str, Any, Any, float]

# Enough to keep the largest GPU busy; on a CPU each product takes a fraction of a second, also where it has no
# instructions for the short formats and torch multiplies them one by one.
_SIDE_GPU, _SIDE_CPU, _SIDE_CPU_SHORT = 8192, 1024, 256
# Not square, so that a transposed result is seen; multiples of 16, as FP8 wants them.
_SMALL = (256, 512, 128)
# TF32 keeps 10 bits of each factor's fraction: https://docs.nvidia.com/cuda/floating-point/
_TF32_UNIT = 2.0**-11
_FP8_FACTORS = 4.0


def add_cases(meter: Any) -> str:
    """Add a product in each number format, and say what is run."""
    for kind, dtype, reason in meter.formats():
        side = _side(meter, kind)
        case = meter.add(f"matmul {kind} {side}", "TFLOP/s", kind, 2.0 * side**3 / 1e12, reason)
        case.make = _product(meter, side, dtype)
        case.check = _check(meter, kind, dtype)
    reason = meter.lacks(8, 9) or ("" if hasattr(meter.torch, "float8_e4m3fn") else "this torch has no FP8")
    side = _side(meter, "fp8")
    case = meter.add(f"matmul fp8 {side}", "TFLOP/s", "fp8", 2.0 * side**3 / 1e12, reason)
    case.make = _product(meter, side, None)
    case.check = _check(meter, "fp8", None)
    return f"products of two square matrices of {_side(meter, 'float32')} rows" + (
        "" if meter.on_gpu else f", in short formats of {_SIDE_CPU_SHORT}"
    )


def _side(meter: Any, kind: str) -> int:
    if meter.on_gpu:
        return _SIDE_GPU
    return _SIDE_CPU if kind in ("float32", "tf32") else _SIDE_CPU_SHORT


def make_batch(meter: Any, size: int) -> Callable[[], Any]:
    """Return what multiplies so many pairs of matrices at once."""
    side = _SIDE_GPU // 4 if meter.on_gpu else _SIDE_CPU // 2
    dtype = meter.torch.float16 if meter.on_gpu else meter.torch.float32
    a = meter.torch.randn(size, side, side, device=meter.device, dtype=dtype)
    return lambda: meter.torch.bmm(a, a)


def _product(meter: Any, side: int, dtype: Any) -> Callable[[], Callable[[], Any]]:
    def make() -> Callable[[], Any]:
        a, b = (meter.torch.randn(side, side, device=meter.device) for _ in range(2))
        if dtype is None:
            return fp8_product(meter.torch, a, b)
        a, b = a.to(dtype), b.to(dtype)
        return lambda: meter.torch.matmul(a, b)

    return make


def fp8_product(torch: Any, a: Any, b: Any) -> Callable[[], Any]:
    """Return what multiplies them in FP8: cuBLASLt wants the second matrix by columns."""
    a, columns = a.to(torch.float8_e4m3fn), b.t().contiguous().to(torch.float8_e4m3fn).t()
    one = torch.ones((), device=a.device)
    options = {"scale_a": one, "scale_b": one, "out_dtype": torch.bfloat16, "use_fast_accum": True}

    def run() -> Any:
        result = torch._scaled_mm(a, columns, **options)
        return result[0] if isinstance(result, tuple) else result  # before torch 2.5 with the largest value

    return run


def _check(meter: Any, kind: str, dtype: Any) -> Callable[[], Any]:
    torch, bench = meter.torch, meter.bench
    rows, inner, columns = _SMALL

    def cases() -> Iterator[Case]:
        a, b = bench.noise(rows, inner), bench.noise(inner, columns)
        if dtype is None:
            a, b = (x.float().to(torch.float8_e4m3fn).float() for x in (a, b))
            got = fp8_product(torch, a.to(meter.device), b.to(meter.device))()
            # The sums are kept in fewer bits than float32 has.
            allowed = _FP8_FACTORS * bench.tolerance(torch.bfloat16, math.sqrt(inner))
        else:
            a, b = a.to(dtype), b.to(dtype)
            got = torch.matmul(a.to(meter.device), b.to(meter.device))
            rounded_to = 2 * _TF32_UNIT if kind == "tf32" else 0.0
            allowed = bench.tolerance(dtype, math.sqrt(inner), rounded_to=rounded_to)
        yield f"{rows}×{inner}×{columns}", got, a.double() @ b.double(), allowed

    return lambda: bench.compare(cases())
