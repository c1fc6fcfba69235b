"""Compute in an ONNX Runtime session of one provider; Python 3.8, standard library and onnxruntime only.

Argument: {"provider": its name, "library": the file name of its library, empty where it is built in, "after": modules
to import first, "preload": whether to call preload_dlls(), "no_gpu": why nothing can run on a GPU, empty where it can}.
Answer: {"version": of onnxruntime}.
ONNX Runtime prints why a provider is left out, so its words are in the log.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import runpy
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Tensor = tuple[tuple[int, ...], Sequence[float]]

# ONNX: the enum values, and versions of format and operators that every release from 2021 on reads.
_FLOAT = 1
_FORMAT = 7
_OPERATORS = 13
_PROTOBUF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_protobuf.py")
_field: Callable[[int, Any], bytes] = runpy.run_path(_PROTOBUF)["field"]
_SIDE = 8
_KERNEL = 3


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Make the experiments one after another, as far as they make sense."""
    # Python's lines and those of the libraries then stand in the log as they were said.
    with contextlib.redirect_stdout(sys.stderr):
        for module in argument["after"]:
            importlib.import_module(module)
        onnxruntime = importlib.import_module("onnxruntime")
        if argument["preload"]:
            onnxruntime.preload_dlls()
        _Experiments(onnxruntime, argument, notes).make()
    return {"version": getattr(onnxruntime, "__version__", "")}


class _Experiments:
    def __init__(self, onnxruntime: Any, argument: dict[str, Any], notes: Any) -> None:
        self.onnxruntime = onnxruntime
        self.provider = argument["provider"]
        self.provider_library = argument["library"]
        self.no_gpu = argument["no_gpu"]
        self.notes = notes
        self.session: Any = None

    def make(self) -> None:
        if not self.notes.trial("available providers", self._available):
            return
        self.notes.trial("session", self._open, _product()[0])
        if self.provider_library:
            self.notes.trial("library of the provider", self._mapped)
        if self.session is None or not self.notes.trial("providers of the session", self._providers):
            return
        self.notes.trial("run", self._run, _product()[1])
        self.notes.trial("convolution", self._convolve)

    def _available(self) -> dict[str, str]:
        listed = ", ".join(self.onnxruntime.get_available_providers())
        if self.provider not in listed.split(", "):
            raise self.notes.Wrong(self.provider + " is not among " + listed, listed=listed)
        return {"listed": listed}

    def _open(self, model: bytes) -> None:
        options = self.onnxruntime.SessionOptions()
        # The models have no inputs: an optimizer would compute their results on the CPU and keep those.
        options.graph_optimization_level = self.onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self.session = self.onnxruntime.InferenceSession(model, options, providers=[self.provider])
        except Exception as error:
            if self.no_gpu and self.provider_library and _is_mapped(self.provider_library):
                raise self.notes.Skip(f"{self.no_gpu}: {error}") from error
            raise

    def _mapped(self) -> None:
        if not _is_mapped(self.provider_library):
            raise self.notes.Wrong(self.provider_library + " was not loaded into the process")

    def _providers(self) -> dict[str, str]:
        chosen = ", ".join(self.session.get_providers())
        if self.provider in chosen.split(", "):
            return {"providers": chosen}
        if self.no_gpu and _is_mapped(self.provider_library):
            raise self.notes.Skip(self.no_gpu)
        raise self.notes.Wrong("the session has " + chosen + " only", providers=chosen)

    def _convolve(self) -> dict[str, float]:
        model, expected = _convolution()
        self._open(model)
        return self._run(expected)

    def _run(self, expected: list[float]) -> dict[str, float]:
        result = self.session.run(None, {})[0].reshape(-1).tolist()
        difference = max(abs(a - b) for a, b in zip(result, expected))  # noqa: B905 - Python 3.8
        # Every number is a small integer, exact in each type that a GPU may compute with; a NaN equals nothing.
        if result != expected:
            raise self.notes.Wrong("the result is not that of the CPU", greatest_difference=difference)
        return {"greatest_difference": difference}


def _is_mapped(library: str) -> bool:
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as lines:
        return any(line.rstrip("\n").endswith("/" + library) for line in lines)


def _product() -> tuple[bytes, list[float]]:
    """Return the model of a product of two matrices, and its result."""
    a = [float(i * 7 % 5 - 2) for i in range(_SIDE * _SIDE)]
    b = [float(i * 3 % 7 - 3) for i in range(_SIDE * _SIDE)]
    cells = range(_SIDE)
    expected = [sum(a[i * _SIDE + k] * b[k * _SIDE + j] for k in cells) for i in cells for j in cells]
    shape = (_SIDE, _SIDE)
    return _model("MatMul", (shape, a), (shape, b), shape), expected


def _convolution() -> tuple[bytes, list[float]]:
    """Return the model of a convolution, which cuDNN computes on a GPU, and its result."""
    image = [float(i * 5 % 7 - 3) for i in range(_SIDE * _SIDE)]
    kernel = [float(i % 3 - 1) for i in range(_KERNEL * _KERNEL)]
    size = _SIDE - _KERNEL + 1
    offsets = [(y, x) for y in range(_KERNEL) for x in range(_KERNEL)]
    expected = [
        sum(image[(i + y) * _SIDE + j + x] * kernel[y * _KERNEL + x] for y, x in offsets)
        for i in range(size)
        for j in range(size)
    ]
    inputs = ((1, 1, _SIDE, _SIDE), image), ((1, 1, _KERNEL, _KERNEL), kernel)
    return _model("Conv", inputs[0], inputs[1], (1, 1, size, size)), expected


def _model(operator: str, first: Tensor, second: Tensor, shape: tuple[int, ...]) -> bytes:
    """Return an ONNX model of one node with two constants; the field numbers are those of onnx.proto."""
    node = _field(1, "a") + _field(1, "b") + _field(2, "c") + _field(4, operator)
    dimensions = b"".join(_field(1, _field(1, size)) for size in shape)
    output = _field(1, "c") + _field(2, _field(1, _field(1, _FLOAT) + _field(2, dimensions)))
    graph = _field(1, node) + _field(2, "graph") + _constant("a", first) + _constant("b", second) + _field(12, output)
    return _field(1, _FORMAT) + _field(7, graph) + _field(8, _field(2, _OPERATORS))


def _constant(name: str, tensor: Tensor) -> bytes:
    shape, values = tensor
    dimensions = b"".join(_field(1, size) for size in shape)
    content = struct.pack(f"<{len(values)}f", *values)
    return _field(5, dimensions + _field(2, _FLOAT) + _field(8, name) + _field(9, content))
