"""A stand-in for ONNX Runtime that really computes: it decodes a model of one MatMul or Conv as onnx.proto has it.

`ONNXRUNTIME` is the text of a module. `GPU_DOCTOR_FAKE_ORT` holds words that change it: `maps` (the CUDA provider's
library is loaded), `device` (and it finds a GPU), `raises`, `dies`, `lies` (a wrong result), `nan`.
"""

from __future__ import annotations

ONNXRUNTIME = """
import mmap, os, struct, sys

__version__ = "1.22.0"
WORDS = os.environ.get("GPU_DOCTOR_FAKE_ORT", "").split()
LIBRARY = os.path.join(os.path.dirname(__file__), "libonnxruntime_providers_cuda.so")
KEPT = []


def preload_dlls():
    print("preloaded")
    WORDS.append("maps")


def get_available_providers():
    return ["CPUExecutionProvider"] if "unlisted" in WORDS else ["CUDAExecutionProvider", "CPUExecutionProvider"]


class GraphOptimizationLevel:
    ORT_DISABLE_ALL = 0


class SessionOptions:
    graph_optimization_level = 99


class InferenceSession:
    def __init__(self, model, options, providers):
        assert options.graph_optimization_level == GraphOptimizationLevel.ORT_DISABLE_ALL
        cuda = providers == ["CUDAExecutionProvider"]
        if cuda and "dies" in WORDS:
            os.kill(os.getpid(), 11)
        if cuda and "maps" in WORDS:
            with open(LIBRARY, "rb") as file:
                KEPT.append(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
        elif cuda:
            sys.stderr.write("Failed to load library %s with error: libx.so.1: cannot open\\n" % LIBRARY)
        if cuda and "raises" in WORDS:
            raise RuntimeError("CUDA failure 100")
        self.providers = ["CPUExecutionProvider"]
        if cuda and "device" in WORDS:
            self.providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        graph = one(fields(model), 7)
        assert one(fields(model), 1) == 7 and one(fields(one(fields(model), 8)), 2) == 13
        self.operator = one(fields(one(graph, 1)), 4).decode()
        self.inputs = [tensor(value) for number, value in fields(graph) if number == 5]

    def get_providers(self):
        return self.providers

    def run(self, outputs, feed):
        assert outputs is None and feed == {}
        result = {"MatMul": product, "Conv": convolution}[self.operator](*self.inputs)
        if "lies" in WORDS:
            result[3] += 1
        return [Array(result if "nan" not in WORDS else [float("nan")] * len(result))]


class Array:
    def __init__(self, values):
        self.values = values

    def reshape(self, shape):
        assert shape == -1
        return self

    def tolist(self):
        return self.values


def fields(message):
    if isinstance(message, list):
        return message
    found, at = [], 0
    while at < len(message):
        key, at = varint(message, at)
        value, at = varint(message, at)
        if key & 7 == 2:
            value, at = message[at : at + value], at + value
        found.append((key >> 3, value))
    return found


def varint(message, at):
    value = shift = 0
    while True:
        value |= (message[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not message[at - 1] & 128:
            return value, at


def one(message, wanted):
    (value,) = [value for number, value in fields(message) if number == wanted]
    return value


def tensor(message):
    assert one(message, 2) == 1
    shape = [value for number, value in fields(message) if number == 1]
    raw = one(message, 9)
    return shape, struct.unpack("<%df" % (len(raw) // 4), raw)


def product(left, right):
    (rows, inner), a = left
    (_, columns), b = right
    return [sum(a[i * inner + k] * b[k * columns + j] for k in range(inner)) for i in range(rows) for j in range(columns)]


def convolution(image, kernel):
    (_, _, height, width), a = image
    (_, _, size, _), b = kernel
    span = range(size)
    return [
        sum(a[(i + y) * width + j + x] * b[y * size + x] for y in span for x in span)
        for i in range(height - size + 1)
        for j in range(width - size + 1)
    ]
"""
