"""The convolutions of image networks and of vocoders, in each number format of the device; Python 3.8, torch only.

No question of its own: `bench_torch.py` runs this file. What counts are the operations of the sum that defines a
convolution; Winograd's algorithm does with fewer, so that float32 may come out above the theoretical limit.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# ResNet's layers of 3×3 (He et al., 2016, doi:10.1109/CVPR.2016.90, table 1): images, channels, side.
_IMAGES_GPU, _IMAGES_CPU = (128, 256, 28), (2, 64, 56)
# HiFi-GAN's residual blocks (Kong et al., 2020, arXiv:2010.05646, appendix A): clips, channels, samples.
_CLIPS_GPU, _CLIPS_CPU, _CLIPS_CPU_SHORT = (16, 256, 8192), (1, 128, 4096), (1, 32, 512)
_KERNEL, _DILATION = 7, 3
# Winograd's and Fourier's convolutions do several sums one after the other.
_SEVERAL_STEPS = 4.0
# TF32 keeps 10 bits of each factor's fraction: https://docs.nvidia.com/cuda/floating-point/
_TF32_UNIT = 2.0**-11


def add_cases(meter: Any) -> str:
    """Add both layers in each number format, and say what is run."""
    for layer in (_Images, _Clips):
        for kind, dtype, reason in meter.formats():
            shape = layer.shape(meter, kind)
            name = f"{layer.name} {kind} {'×'.join(map(str, shape))}"
            case = meter.add(name, "TFLOP/s", kind, layer.operations(*shape) / 1e12, reason)
            case.make = _layer(meter, layer, shape, dtype)
            case.check = _check(meter, layer, kind, dtype)
    return "a 3×3 layer of ResNet on images (channels last) and a dilated layer of HiFi-GAN on sound, forward"


def make_batch(meter: Any, size: int) -> Callable[[], Any]:
    """Return what convolves so many images."""
    dtype = meter.torch.float16 if meter.on_gpu else meter.torch.float32
    _, channels, side = _Images.shape(meter, "float32")
    return _layer(meter, _Images, (size, channels, side), dtype)()


class _Images:
    name = "conv2d"

    @staticmethod
    def shape(meter: Any, _kind: str) -> tuple[int, int, int]:
        return _IMAGES_GPU if meter.on_gpu else _IMAGES_CPU

    @staticmethod
    def operations(images: int, channels: int, side: int) -> float:
        return 2.0 * images * channels * channels * 9 * side * side

    @staticmethod
    def tensors(size: Callable[..., Any], count: int, channels: int, side: int) -> tuple[Any, Any]:
        return size(count, channels, side, side), size(channels, channels, 3, 3)

    @staticmethod
    def forward(torch: Any, x: Any, weight: Any) -> Any:
        return torch.nn.functional.conv2d(x, weight, padding=1)

    @staticmethod
    def laid_out(torch: Any, x: Any) -> Any:
        return x.to(memory_format=torch.channels_last)


class _Clips:
    name = "conv1d"

    @staticmethod
    def shape(meter: Any, kind: str) -> tuple[int, int, int]:
        if meter.on_gpu:
            return _CLIPS_GPU
        # Without instructions for them, torch's CPU kernels take a hundred times as long.
        return _CLIPS_CPU if kind in ("float32", "tf32") else _CLIPS_CPU_SHORT

    @staticmethod
    def operations(clips: int, channels: int, samples: int) -> float:
        return 2.0 * clips * channels * channels * _KERNEL * samples

    @staticmethod
    def tensors(size: Callable[..., Any], count: int, channels: int, samples: int) -> tuple[Any, Any]:
        return size(count, channels, samples), size(channels, channels, _KERNEL)

    @staticmethod
    def forward(torch: Any, x: Any, weight: Any) -> Any:
        padding = _DILATION * (_KERNEL - 1) // 2
        return torch.nn.functional.conv1d(x, weight, padding=padding, dilation=_DILATION)

    @staticmethod
    def laid_out(_torch: Any, x: Any) -> Any:
        return x


def _layer(meter: Any, layer: Any, shape: tuple[int, int, int], dtype: Any) -> Callable[[], Callable[[], Any]]:
    torch = meter.torch

    def random(*sizes: int) -> Any:
        return layer.laid_out(torch, torch.randn(*sizes, device=meter.device).to(dtype))

    def make() -> Callable[[], Any]:
        x, weight = layer.tensors(random, *shape)
        return lambda: layer.forward(torch, x, weight)

    return make


def _check(meter: Any, layer: Any, kind: str, dtype: Any) -> Callable[[], Any]:
    torch, bench = meter.torch, meter.bench

    def cases() -> Iterator[tuple[str, Any, Any, float]]:
        # Few channels and an odd size, as many as the CPU does in double precision in no time.
        x, weight = (bench.noise(*t).to(dtype) for t in layer.tensors(lambda *sizes: sizes, 2, 32, 21))
        got = layer.forward(torch, *(layer.laid_out(torch, t.to(meter.device)) for t in (x, weight)))
        wanted = bench.reference(layer.forward, torch, x.double(), weight.double())
        rounded_to = 2 * _TF32_UNIT if kind == "tf32" else 0.0
        allowed = bench.tolerance(dtype, math.sqrt(weight[0].numel()), rounded_to=rounded_to) * _SEVERAL_STEPS
        yield layer.name, got, wanted, allowed

    return lambda: bench.compare(cases())
