"""Ask one GPU for what programs ask it, and compare each result with the CPU's; Python 3.8, torch only.

Argument: {"device": "cuda:0", or "cpu" for the same experiments without a GPU}.
Answer: {"device": its name, "capability": "8.9", "torch", "cuda", "free_memory" and "total_memory" in bytes,
"first_launch_seconds", and for each of NVIDIA's libraries that is mapped by now its name and its real path}.
"""

from __future__ import annotations

import importlib
import math
import os
import re
import runpy
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Case = tuple[str, Any, Any, float]
    Experiment = Callable[[Any], Any]

# Nothing here needs more, so that a GPU that others use as well is still asked.
_BLOCK = 16 * 2**20
# Winograd's convolutions, Bluestein's transforms and fused attention do several sums one after the other.
_SEVERAL_STEPS = 4.0
# TF32 keeps 10 bits of each factor's fraction, as float16 does: https://docs.nvidia.com/cuda/floating-point/
_TF32_UNIT = 2.0**-11
# https://github.com/pytorch/pytorch/blob/v2.8.0/aten/src/ATen/native/cuda/Blas.cpp: "capability >= 9.0 or 8.9"
_FIRST_FP8 = (8, 9)
# Size, hop and window: XTTS's two, Whisper's, a prime number and an odd one; cuFFT has other kernels for each.
_TRANSFORMS = ((1024, 256, 1024), (2048, 256, 1024), (400, 160, 400), (1021, 255, 1021), (625, 125, 625))
_MAPPED = re.compile(r"(lib(?:cudart|cublas|cublasLt|cudnn|cufft|cusolver|cusparse|nvrtc|cuda)\.so)[.\d]*$")


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Make every experiment in turn, and say on what."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)  # the CPU only computes what is compared, beside other questions that it serves
    bench = _beside("_bench.py")["Bench"](torch, argument["device"], notes)
    told = {"torch": torch.__version__, "cuda": torch.version.cuda or "none"}  # type: dict[str, Any]
    if not bench.trial("is available", _is_available):
        bench.lost = bench.lost or "torch cannot use the GPU"
    for name, function in _EXPERIMENTS:
        bench.trial(name, function)
    return {**told, **bench.about, **_mapped()}


def _beside(name: str) -> dict[str, Any]:
    return runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), name))


def _is_available(bench: Any) -> dict[str, object]:
    if not bench.on_gpu:
        bench.about.update(device="CPU", capability="none")
        return {"devices": 1}
    cuda = bench.torch.cuda
    cuda.init()  # says why it cannot be used, where is_available() only says no
    if not cuda.is_available():
        raise RuntimeError("torch.cuda.is_available() says no")
    count = cuda.device_count()
    if bench.device.index >= count:
        raise RuntimeError(f"torch sees {count} GPUs, and no {bench.device}")
    cuda.set_device(bench.device)
    found = cuda.get_device_properties(bench.device)
    bench.about.update(device=found.name, capability=f"{found.major}.{found.minor}", total_memory=found.total_memory)
    return {"devices": count}


def _launch_kernel(bench: Any) -> dict[str, object]:
    if bench.on_gpu:  # makes the context, so that what follows is the launch alone
        bench.about["free_memory"] = bench.torch.cuda.mem_get_info(bench.device)[0]
    began = time.perf_counter()
    numbers = bench.torch.arange(1024, device=bench.device) * 3
    _same(bench, numbers, bench.torch.tensor([3 * n for n in range(1024)]))
    bench.about["first_launch_seconds"] = seconds = round(time.perf_counter() - began, 2)
    return {"seconds": seconds}


def _allocate_memory(bench: Any) -> dict[str, object]:
    block = bench.torch.full((_BLOCK,), 7, dtype=bench.torch.uint8, device=bench.device)
    if int(block.to(bench.torch.int32).sum()) != 7 * _BLOCK:
        raise bench.notes.Wrong("what was written is not what is read")
    return {"bytes": _BLOCK}


def _copy(bench: Any) -> dict[str, object]:
    numbers = bench.torch.arange(_BLOCK // 8, dtype=bench.torch.int64)
    _same(bench, numbers.to(bench.device).clone(), numbers)
    return {"bytes": _BLOCK}


def _pinned_memory(bench: Any) -> dict[str, object]:
    if not bench.on_gpu:
        raise bench.notes.Skip("pinned memory serves copies to a GPU")
    numbers = bench.torch.arange(_BLOCK // 8, dtype=bench.torch.int64).pin_memory()
    _same(bench, numbers.to(bench.device, non_blocking=True), numbers)
    return {"bytes": _BLOCK}


def _same(bench: Any, result: Any, wanted: Any) -> None:
    if not bench.torch.equal(result.cpu(), wanted):
        raise bench.notes.Wrong("whole numbers come back changed")


def _matmul(kind: str) -> Experiment:
    def experiment(bench: Any) -> Any:
        torch = bench.torch
        dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(kind, torch.float32)
        # Where TF32 is allowed, both factors of a product are rounded first.
        rounded_to = 2 * _TF32_UNIT if kind == "tf32" else 0.0
        torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"

        def cases() -> Iterator[Case]:
            for rows, inner, columns in ((256, 512, 256), (127, 301, 65)):
                a, b = bench.noise(rows, inner).to(dtype), bench.noise(inner, columns).to(dtype)
                product = torch.matmul(a.to(bench.device), b.to(bench.device))
                allowed = bench.tolerance(dtype, math.sqrt(inner), rounded_to=rounded_to)
                yield f"{rows}×{inner}×{columns}", product, torch.matmul(a.double(), b.double()), allowed

        try:
            return bench.compare(cases())
        finally:
            torch.backends.cuda.matmul.allow_tf32 = False

    return experiment


def _matmul_fp8(bench: Any) -> Any:
    torch, capability = bench.torch, bench.about["capability"]
    kind = getattr(torch, "float8_e4m3fn", None)
    if kind is None or not hasattr(torch, "_scaled_mm"):
        raise bench.notes.Skip("this torch has no FP8")
    if bench.on_gpu and tuple(map(int, capability.split("."))) < _FIRST_FP8:
        raise bench.notes.Skip(f"GPUs of compute capability {capability} have no FP8")
    # Rounded to FP8 first, so that the reference multiplies the same numbers.
    a, b = (bench.noise(*shape).float().to(kind).float() for shape in ((256, 512), (512, 128)))
    try:
        product = _beside("_torch_matmul.py")["fp8_product"](torch, a.to(bench.device), b.to(bench.device))()
    except NotImplementedError as error:
        ending = error if bench.on_gpu else bench.notes.Skip("this torch multiplies FP8 on GPUs alone")
        raise ending from None
    allowed, wanted = bench.tolerance(torch.bfloat16, math.sqrt(512)), a.double() @ b.double()
    return bench.compare(iter([("256×512×128", product, wanted, allowed)]))


def _convolution(bench: Any) -> Any:
    torch = bench.torch
    torch.backends.cudnn.allow_tf32 = False
    layers = (
        ("conv2d", torch.nn.functional.conv2d, (4, 16, 24, 24), (32, 16, 3, 3), {"padding": 1}),
        ("conv1d", torch.nn.functional.conv1d, (2, 80, 201), (64, 80, 7), {"padding": 9, "dilation": 3}),
        ("conv_transpose1d", torch.nn.functional.conv_transpose1d, (2, 64, 50), (64, 32, 16), {"stride": 8}),
    )  # an image's layer, and the two of which vocoders are made

    def cases() -> Iterator[Case]:
        for dtype in (torch.float32, torch.float16):
            for name, layer, *shapes, options in layers:
                x, w = (bench.noise(*shape).to(dtype) for shape in shapes)
                wanted = bench.reference(_forward_and_backward, torch, layer, x.double(), w.double(), options)
                got = _forward_and_backward(torch, layer, x.to(bench.device), w.to(bench.device), options)
                terms = (w[0].numel(), w.numel() / w.shape[1], x.numel() / x.shape[1])
                for at, part in enumerate(("", " input's gradient", " weight's gradient")):
                    allowed = bench.tolerance(dtype, math.sqrt(terms[at])) * _SEVERAL_STEPS
                    yield f"{name} {str(dtype)[6:]}{part}", got[at], wanted[at], allowed

    return bench.compare(cases())


def _forward_and_backward(torch: Any, layer: Callable[..., Any], x: Any, w: Any, options: dict[str, int]) -> Any:
    x, w = x.requires_grad_(), w.requires_grad_()
    y = layer(x, w, **options)
    # A gradient that is neither random nor constant: the same in every dtype and on every device.
    ramp = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).to(torch.float16)
    # Given as grad_outputs, it would make torch import its compiler: seconds, and one more thing that can break.
    return (y.detach(), *torch.autograd.grad((y * ramp.to(y.device).to(y.dtype)).sum(), (x, w)))


def _stft(bench: Any) -> Any:
    def cases() -> Iterator[Case]:
        for size, hop, length in _TRANSFORMS:
            sound, window, options = _sound(bench, size, hop, length)
            options["return_complex"] = True
            wanted = bench.reference(bench.torch.stft, sound.double(), window=window.double(), **options)
            got = bench.torch.stft(sound.to(bench.device), window=window.to(bench.device), **options)
            yield f"n_fft {size}", got, wanted, bench.tolerance(bench.torch.float32, math.log2(size)) * _SEVERAL_STEPS

    return bench.compare(cases())


def _istft(bench: Any) -> Any:
    torch = bench.torch

    def cases() -> Iterator[Case]:
        for size, hop, length in _TRANSFORMS:
            sound, window, options = _sound(bench, size, hop, length)
            wide = bench.reference(torch.stft, sound.double(), window=window.double(), return_complex=True, **options)
            spectrum = wide.to(torch.complex64)
            wanted = bench.reference(torch.istft, spectrum.to(torch.complex128), window=window.double(), **options)
            got = torch.istft(spectrum.to(bench.device), window=window.to(bench.device), **options)
            yield f"n_fft {size}", got, wanted, bench.tolerance(torch.float32, math.log2(size)) * _SEVERAL_STEPS

    return bench.compare(cases())


def _sound(bench: Any, size: int, hop: int, length: int) -> tuple[Any, Any, dict[str, Any]]:
    window = bench.torch.hann_window(length, dtype=bench.torch.float64).float()
    return bench.noise(2, 22050).float(), window, {"n_fft": size, "hop_length": hop, "win_length": length}


def _fft_fp64(bench: Any) -> Any:
    torch = bench.torch

    def cases() -> Iterator[Case]:
        for size in (1024, 1000, 1021):
            signal = bench.noise(8, size)
            order = torch.arange(size)
            angle = (order[:, None] * order[: size // 2 + 1] % size).double() * (-2 * math.pi / size)
            # The sum that defines it: a reference that no FFT library has touched.
            wanted = torch.complex(signal @ angle.cos(), signal @ angle.sin())
            got = torch.fft.rfft(signal.to(bench.device))
            yield f"size {size}", got, wanted, bench.tolerance(torch.float64, math.sqrt(size))

    return bench.compare(cases())


def _linalg(name: str) -> Experiment:
    def experiment(bench: Any) -> Any:
        torch, size = bench.torch, 160
        # Far from singular (condition below 10), so that the error is the algorithm's and not the matrix's.
        matrix = bench.noise(size, size) / (2 * math.sqrt(size)) + 2 * torch.eye(size, dtype=torch.float64)
        if name in ("cholesky", "eigh"):
            matrix = matrix @ matrix.T
        a = matrix.float()
        function, wide, there = getattr(torch.linalg, name), a.double(), a.to(bench.device)
        if name == "solve":
            b = bench.noise(size, 4).float()
            got, wanted = function(there, b.to(bench.device)), bench.reference(function, wide, b.double())
        elif name == "cholesky":
            got, wanted = function(there), bench.reference(function, wide)
        else:
            # Vectors may differ in sign; what they are multiplied back to may not.
            parts = [part.cpu().double() for part in function(there)]
            product = (parts[0] * parts[1]) @ parts[2] if name == "svd" else (parts[1] * parts[0]) @ parts[1].T
            got, wanted = product, wide
        return bench.compare(iter([(f"{size}×{size}", got, wanted, bench.tolerance(torch.float32, size))]))

    return experiment


def _attention(bench: Any) -> Any:
    torch = bench.torch
    if not hasattr(torch.nn.functional, "scaled_dot_product_attention"):
        raise bench.notes.Skip("this torch has none")

    def cases() -> Iterator[Case]:
        for dtype in (torch.float32, torch.float16):
            q, k, v = (bench.noise(2, 8, 128, 64).to(dtype) for _ in range(3))
            scores = q.double() @ k.double().transpose(-1, -2) / math.sqrt(64)
            got = torch.nn.functional.scaled_dot_product_attention(*(x.to(bench.device) for x in (q, k, v)))
            allowed = bench.tolerance(dtype, math.sqrt(128)) * _SEVERAL_STEPS
            yield str(dtype)[6:], got, scores.softmax(-1) @ v.double(), allowed

    return bench.compare(cases())


def _mapped() -> dict[str, str]:
    """Return which of NVIDIA's libraries this process has mapped, by name, and from where."""
    found = {}  # type: dict[str, list[str]]
    with open("/proc/self/maps") as maps:
        for line in maps:
            path = "/" + line.rstrip("\n").partition("/")[2]
            name = _MAPPED.search(path)
            if name and path not in found.setdefault(name.group(1), []):
                found[name.group(1)].append(path)
    return {name: ", ".join(paths) for name, paths in found.items()}


_EXPERIMENTS = (
    ("launch kernel", _launch_kernel),
    ("allocate memory", _allocate_memory),
    ("copy", _copy),
    ("pinned memory", _pinned_memory),
    ("matmul fp32", _matmul("fp32")),
    ("matmul tf32", _matmul("tf32")),
    ("matmul fp16", _matmul("fp16")),
    ("matmul bf16", _matmul("bf16")),
    ("convolution", _convolution),
    ("attention", _attention),
    ("stft", _stft),
    ("istft", _istft),
    ("fft fp64", _fft_fp64),
    ("linalg solve", _linalg("solve")),
    ("linalg svd", _linalg("svd")),
    ("linalg cholesky", _linalg("cholesky")),
    ("linalg eigh", _linalg("eigh")),
    ("matmul fp8", _matmul_fp8),  # the last, because few need what it may break
)
