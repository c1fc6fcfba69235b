"""Run tiny generated CTranslate2 models and compare with the CPU; Python 3.8, standard library and ctranslate2 only.

Argument: {"device": "cpu" or "cuda", "index": the GPU's number}.
Answer: {"version", "devices": the GPUs that it counts}.
Trials: "device count", "compute types", "model" (writing the models), "run cpu float32", then for the device one
"run DEVICE TYPE" for each type that it supports, and "convolution DEVICE float32", the call by which Whisper needs
cuDNN on a GPU. Their values are the largest error relative to the CPU's float32 result, and the seconds.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from pathlib import Path

import ctranslate2  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WIDTH, _WORDS, _POSITIONS, _MELS = 64, 128, 32, 80
_SENTENCE = [str(word) for word in (3, 14, 15, 92, 65, 35, 89, 79)]
# The largest error that the number format explains, relative to the largest value.
_BEARABLE = {"float32": 2e-3, "float16": 2e-2, "bfloat16": 6e-2, "int8": 6e-2, "int16": 2e-2}
_TYPES = ("float32", "float16", "bfloat16", "int8", "int8_float16", "int8_float32", "int16")


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Make the experiments that this device allows; what may kill the process comes last."""
    device, index = argument["device"], argument["index"]
    types = []  # type: list[str]
    if notes.trial("device count", _count, device, notes) and notes.trial(
        "compute types", _types, device, index, types
    ):
        with tempfile.TemporaryDirectory() as folder:
            if notes.trial("model", _write_models, folder):
                _run_all(folder, device, index, types, notes)
    return {"version": ctranslate2.__version__, "devices": ctranslate2.get_cuda_device_count()}


def _run_all(folder: str, device: str, index: int, types: list[str], notes: Any) -> None:
    language = _Language(str(Path(folder, "language")), notes)
    if notes.trial("run cpu float32", language.reference):
        for name in _TYPES:
            if name not in types:
                notes.skip(f"run {device} {name}", "not supported here")
            elif (device, name) != ("cpu", "float32"):
                notes.trial(f"run {device} {name}", language.compare, device, index, name)
    notes.trial(f"convolution {device} float32", _convolve, str(Path(folder, "whisper")), device, index, notes)


def _count(device: str, notes: Any) -> dict[str, Any]:
    found = ctranslate2.get_cuda_device_count()
    if device == "cuda" and not found:
        raise notes.Wrong("ctranslate2 counts no GPU", devices=0)
    return {"devices": found}


def _types(device: str, index: int, into: list[str]) -> dict[str, Any]:
    into += sorted(ctranslate2.get_supported_compute_types(device, index))
    return {"types": ", ".join(into)}


class _Language:
    """Score one sentence with a decoder of random weights."""

    def __init__(self, path: str, notes: Any) -> None:
        self._path = path
        self._notes = notes
        self._right = []  # type: list[float]

    def reference(self) -> dict[str, Any]:
        begin = time.perf_counter()
        self._right = self._scores("cpu", 0, "float32")
        _require_sound(self._right, len(_SENTENCE) - 1, self._notes)
        return {"seconds": round(time.perf_counter() - begin, 3)}

    def compare(self, device: str, index: int, kind: str) -> dict[str, Any]:
        begin = time.perf_counter()
        found = self._scores(device, index, kind)
        seconds = round(time.perf_counter() - begin, 3)
        return _compared(found, self._right, kind, seconds, self._notes)

    def _scores(self, device: str, index: int, kind: str) -> list[float]:
        model = ctranslate2.Generator(self._path, device=device, device_index=index, compute_type=kind)
        return list(model.score_batch([_SENTENCE])[0].log_probs)


def _convolve(path: str, device: str, index: int, notes: Any) -> dict[str, Any]:
    numpy = importlib.import_module("numpy")
    sound = numpy.sin(numpy.arange(_MELS * 2 * _POSITIONS, dtype="float32") * 0.37).reshape(1, _MELS, 2 * _POSITIONS)
    results = []
    begin = time.perf_counter()
    for where, number in (("cpu", 0), (device, index)):
        begin = time.perf_counter()
        model = ctranslate2.models.Whisper(path, device=where, device_index=number, compute_type="float32")
        encoded = model.encode(ctranslate2.StorageView.from_array(sound), to_cpu=True)
        results.append([float(value) for value in numpy.array(encoded).ravel()])
    _require_sound(results[0], _POSITIONS * _WIDTH, notes)
    return _compared(results[1], results[0], "float32", round(time.perf_counter() - begin, 3), notes)


def _compared(found: list[float], right: list[float], kind: str, seconds: float, notes: Any) -> dict[str, Any]:
    _require_sound(found, len(right), notes)
    largest = max(abs(value) for value in right)
    error = max(abs(found[at] - right[at]) for at in range(len(right))) / largest
    measured = {"relative_error": f"{error:.1e}", "seconds": seconds}
    bearable = _BEARABLE[kind.partition("_")[0]]
    if error > bearable:
        raise notes.Wrong(f"differs from the CPU by {error:.1e}, more than {bearable:.0e}", **measured)
    return measured


def _require_sound(values: list[float], length: int, notes: Any) -> None:
    if len(values) != length:
        raise notes.Wrong(f"{len(values)} values instead of {length}")
    if not all(abs(value) < 1e30 for value in values):  # neither is NaN
        raise notes.Wrong("not a number, or infinite, among the values")
    if max(values) == min(values):
        raise notes.Wrong(f"all values are {values[0]!r}")


# --- The models -------------------------------------------------------------------------------------------------------


def _write_models(folder: str) -> dict[str, Any]:
    """Write a decoder and a Whisper model with random weights, the same on every machine."""
    fill = _Filler()
    language = ctranslate2.specs.TransformerDecoderModelSpec.from_config(1, 4)
    fill.decoder(language.decoder, cross=False)
    language.register_vocabulary([str(word) for word in range(_WORDS)])
    whisper = ctranslate2.specs.WhisperSpec(1, 4, 1, 4)
    fill.encoder(whisper.encoder)
    fill.decoder(whisper.decoder, cross=True)
    whisper.register_vocabulary(["<|endoftext|>", "<|startoftranscript|>"] + [str(word) for word in range(_WORDS - 2)])
    for name, spec in (("language", language), ("whisper", whisper)):
        place = Path(folder, name)
        place.mkdir()
        spec.validate()
        spec.optimize()
        spec.save(str(place))
    return {}


class _Filler:
    """Give random weights to the layers of a model; numpy comes with ctranslate2, which asks for it."""

    def __init__(self) -> None:
        self._numpy = importlib.import_module("numpy")
        self._random = self._numpy.random.RandomState(42)

    def encoder(self, spec: Any) -> None:
        for convolution, width in ((spec.conv1, _MELS), (spec.conv2, _WIDTH)):
            convolution.weight = self._weights(_WIDTH, width, 3)
            convolution.bias = self._weights(_WIDTH)
        spec.position_encodings.encodings = self._weights(_POSITIONS, _WIDTH)
        self._norm(spec.layer_norm)
        for layer in spec.layer:
            self._attention(layer.self_attention, fused=(3,))
            self._feed(layer.ffn)

    def decoder(self, spec: Any, cross: bool) -> None:
        spec.embeddings.weight = self._weights(_WORDS, _WIDTH)
        spec.position_encodings.encodings = self._weights(_POSITIONS, _WIDTH)
        self._norm(spec.layer_norm)
        self._linear(spec.projection, _WORDS, _WIDTH)
        for layer in spec.layer:
            self._attention(layer.self_attention, fused=(3,))
            if cross:
                self._attention(layer.attention, fused=(1, 2))
            self._feed(layer.ffn)

    def _attention(self, spec: Any, fused: tuple[int, ...]) -> None:
        self._norm(spec.layer_norm)
        for number, parts in enumerate((*fused, 1)):
            self._linear(spec.linear[number], parts * _WIDTH, _WIDTH)

    def _feed(self, spec: Any) -> None:
        self._norm(spec.layer_norm)
        self._linear(spec.linear_0, 4 * _WIDTH, _WIDTH)
        self._linear(spec.linear_1, _WIDTH, 4 * _WIDTH)

    def _linear(self, spec: Any, rows: int, columns: int) -> None:
        spec.weight = self._weights(rows, columns)
        spec.bias = self._weights(rows)

    def _norm(self, spec: Any) -> None:
        spec.gamma = self._numpy.ones(_WIDTH, dtype="float32")
        spec.beta = self._numpy.zeros(_WIDTH, dtype="float32")

    def _weights(self, *shape: int) -> Any:
        return self._random.normal(0.0, 0.3, shape).astype("float32")
