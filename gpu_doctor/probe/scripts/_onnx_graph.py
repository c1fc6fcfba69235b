"""Write an ONNX graph of convolutions and a product, and compute what it must give; Python 3.8, standard library only.

No question of its own: a benchmark runs this file and takes `Graph` from it. numpy is handed in.
"""

from __future__ import annotations

import os
import runpy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# ONNX: the enum values, and versions of format and operators that every release from 2021 on reads.
_FLOAT, _INTS = 1, 7
_FORMAT = 7
_OPERATORS = 13
_PROTOBUF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_protobuf.py")
_field: Callable[[int, Any], bytes] = runpy.run_path(_PROTOBUF)["field"]


class Graph:
    """Hold a graph of `layers` times Conv 3×3 and Relu, and a MatMul at the end; its first dimension is the batch.

    `model` is its file's content; `operations` are those of one image.
    """

    def __init__(self, numpy: Any, channels: int, side: int, layers: int, seed: int) -> None:
        self._numpy = numpy
        self._random = numpy.random.RandomState(seed)
        self.channels, self.side = channels, side
        # So that the values neither grow nor fade from layer to layer (He et al., 2015, doi:10.1109/ICCV.2015.123).
        usual = (2 / (9 * channels)) ** 0.5
        self._kernels = [self._noise(usual, channels, channels, 3, 3) for _ in range(layers)]
        self._matrix = self._noise(side**-0.5, side, side)
        self.operations = 2.0 * channels * side * side * (9 * channels * layers + side)
        self.model = self._written()

    def images(self, count: int) -> Any:
        """Return so many images of noise."""
        return self._noise(1.0, count, self.channels, self.side, self.side)

    def expected(self, images: Any) -> Any:
        """Return what the graph must give for these images, computed with numpy in double precision."""
        numpy, side = self._numpy, self.side
        values = images.astype("float64")
        for kernel in self._kernels:
            wide = numpy.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))
            parts = (
                numpy.einsum("oc,nchw->nohw", kernel[:, :, y, x], wide[:, :, y : y + side, x : x + side], optimize=True)
                for y in range(3)
                for x in range(3)
            )
            values = numpy.maximum(sum(parts), 0.0)
        return values @ self._matrix

    def _noise(self, scale: float, *shape: int) -> Any:
        return self._random.normal(0.0, scale, shape).astype("float32")

    def _written(self) -> bytes:
        """Return the model as onnx.proto has it, whose field numbers these are."""
        padding = _field(1, "pads") + b"".join(_field(8, 1) for _ in range(4)) + _field(20, _INTS)
        graph, name = b"", "images"
        for number, kernel in enumerate(self._kernels):
            conv, relu, weights = f"conv{number}", f"relu{number}", f"kernel{number}"
            graph += _field(1, _node("Conv", (name, weights), conv) + _field(5, padding))
            graph += _field(1, _node("Relu", (conv,), relu)) + _field(5, _tensor(weights, kernel))
            name = relu
        graph += _field(1, _node("MatMul", (name, "matrix"), "result")) + _field(5, _tensor("matrix", self._matrix))
        shape = (self.channels, self.side, self.side)
        graph += _field(2, "graph") + _field(11, _value("images", shape)) + _field(12, _value("result", shape))
        return _field(1, _FORMAT) + _field(7, graph) + _field(8, _field(2, _OPERATORS))


def _node(operator: str, inputs: tuple[str, ...], output: str) -> bytes:
    named = b"".join(_field(1, name) for name in inputs) + _field(2, output)
    return named + _field(3, output) + _field(4, operator)


def _tensor(name: str, values: Any) -> bytes:
    dimensions = b"".join(_field(1, size) for size in values.shape)
    return dimensions + _field(2, _FLOAT) + _field(8, name) + _field(9, values.astype("<f4").tobytes())


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    """Describe an input or output whose first dimension is open."""
    dimensions = _field(1, _field(2, "batch")) + b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, dimensions)))
