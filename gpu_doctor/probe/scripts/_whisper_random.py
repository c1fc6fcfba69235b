"""Write a Whisper model of true size and random weights, as CTranslate2 reads it; Python 3.8 and numpy.

No question of its own: `bench_whisper.py` runs this file and takes `write_model` from it. The file is written as the
format lays it down rather than through `ctranslate2.specs`, which imports torch: that would bring torch's CUDA
libraries into a process that would not have them with real weights, and hide that they are missing.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import random
import shutil
import struct
import tempfile
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    Shape = tuple[int, ...]

# Layers of the encoder (the decoder has as many), width, heads, mel bands, vocabulary:
# https://github.com/openai/whisper/blob/main/model-card.md and the config.json of each model.
SIZES = {
    "tiny": (4, 384, 6, 80, 51865),
    "base": (6, 512, 8, 80, 51865),
    "small": (12, 768, 12, 80, 51865),
    "medium": (24, 1024, 16, 80, 51865),
    "large-v2": (32, 1280, 20, 80, 51865),
    "large-v3": (32, 1280, 20, 128, 51866),
}
END_OF_TEXT = 50257
# In the order of their tokens: https://github.com/openai/whisper/blob/main/whisper/tokenizer.py
_LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml"
    " cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am"
    " yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)

_FRAMES, _POSITIONS = 1500, 448
_TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
_TIMESTAMPS = 1501
# The head of model.bin, and the numbers that stand for types: ctranslate2's specs/model_spec.py.
_FORMAT, _REVISION, _INT8, _INT16, _FLOAT16 = 6, 3, 1, 2, 4
_GELU = 3
_SPARE_BYTES = 64 * 2**20


def write_model(folder: str, size: str, seed: int, for_faster_whisper: bool) -> BinaryIO:
    """Write the model's files into this folder and return the open file that holds the weights.

    That file has no name of its own, so that its gigabytes are free again however this process ends; `model.bin` leads
    to it as long as it is open. The weights are float16, as in the models that people use. Raise OSError where the
    folder's disk has no room, ValueError for a size that there is not.
    """
    if size not in SIZES:
        raise ValueError(f"Whisper has no size {size!r}, only {', '.join(SIZES)}")
    layers, width, heads, mels, words = SIZES[size]
    tensors = dict(_tensors(layers, width, mels, words))
    _require_room(folder, size, 2 * sum(math.prod(shape) for shape in tensors.values()))
    numpy = importlib.import_module("numpy")
    weights = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the caller closes it
    Path(folder, "model.bin").symlink_to(f"/proc/self/fd/{weights.fileno()}")
    _write_weights(weights, tensors, dict(_settings(heads)), _Pool(numpy, words * width, width, seed))
    vocabulary = _vocabulary(words)
    languages = words - END_OF_TEXT - 2 - len(_TASKS) - _TIMESTAMPS
    settings = {
        "alignment_heads": [[layer, head] for layer in range(layers // 2, layers) for head in range(heads)],
        "lang_ids": list(range(END_OF_TEXT + 2, END_OF_TEXT + 2 + languages)),
        "suppress_ids": [],
        "suppress_ids_begin": [],
    }
    _write_json(folder, "config.json", settings)
    _write_json(folder, "vocabulary.json", vocabulary)
    if for_faster_whisper:
        _write_json(folder, "preprocessor_config.json", {"feature_size": mels})
        _write_tokenizer(os.path.join(folder, "tokenizer.json"), vocabulary)
    return weights


def _require_room(folder: str, size: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        where = os.path.dirname(folder)
        raise OSError(
            f"a Whisper {size} needs {needed / 2**30:.1f} GiB and {where} has {free / 2**30:.1f} GiB free:"
            " let TMPDIR name a folder with more"
        )


# --- The weights ------------------------------------------------------------------------------------------------------


def _tensors(layers: int, width: int, mels: int, words: int) -> Iterator[tuple[str, Shape]]:
    """Yield the name and the shape of all that is learned; the output's projection is the embedding once more."""
    for name, inputs in (("conv1", mels), ("conv2", width)):
        yield f"encoder/{name}/weight", (width, inputs, 3)
        yield f"encoder/{name}/bias", (width,)
    yield "decoder/embeddings/weight", (words, width)
    for part, positions, crossing in (("encoder", _FRAMES, False), ("decoder", _POSITIONS, True)):
        yield f"{part}/position_encodings/encodings", (positions, width)
        yield from _norm(part, width)
        for number in range(layers):
            layer = f"{part}/layer_{number}"
            # What belongs together is one matrix: query, key and value of the same input, key and value of the other.
            yield from _block(f"{layer}/self_attention", ((3, 1), (1, 1)), width)
            if crossing:
                yield from _block(f"{layer}/attention", ((1, 1), (2, 1), (1, 1)), width)
            yield from _block(f"{layer}/ffn", ((4, 1), (1, 4)), width)


def _block(name: str, linears: tuple[tuple[int, int], ...], width: int) -> Iterator[tuple[str, Shape]]:
    yield from _norm(name, width)
    for number, (rows, columns) in enumerate(linears):
        yield f"{name}/linear_{number}/weight", (rows * width, columns * width)
        yield f"{name}/linear_{number}/bias", (rows * width,)


def _norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}/layer_norm/gamma", (width,)
    yield f"{name}/layer_norm/beta", (width,)


def _settings(heads: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the name, the type and the value of what is not learned."""
    for part in ("encoder", "decoder"):
        yield f"{part}/num_heads", (_INT16, heads)
    yield "decoder/pre_norm", (_INT8, 1)
    yield "decoder/activation", (_INT8, _GELU)
    yield "decoder/alignment_layer", (_INT16, -1)
    yield "decoder/alignment_heads", (_INT16, 1)
    for name in ("scale_embeddings", "alibi", "alibi_use_positive_positions", "scale_alibi"):
        yield f"decoder/{name}", (_INT8, 0)
    yield "decoder/start_from_zero_embedding", (_INT8, 0)


class _Pool:
    """Give each tensor its numbers from one pool, so that gigabytes of them cost neither time nor memory."""

    def __init__(self, numpy: Any, largest: int, width: int, seed: int) -> None:
        self._random = random.Random(seed)
        generator = numpy.random.default_rng(seed)
        self._numbers = numpy.empty(largest, dtype="float16")
        step = 2**20
        for at in range(0, largest, step):
            part = generator.standard_normal(min(step, largest - at), dtype="float32")
            # So scaled, a product with normalized values stays as large as they are, whatever the width.
            self._numbers[at : at + step] = part / math.sqrt(width)
        self._ones = numpy.ones(width, dtype="float16")

    def take(self, name: str, shape: Shape) -> Any:
        if name.endswith("/gamma"):
            return self._ones
        size = math.prod(shape)
        begin = self._random.randrange(len(self._numbers) - size + 1)
        return self._numbers[begin : begin + size]


def _write_weights(
    file: BinaryIO, tensors: dict[str, Shape], settings: dict[str, tuple[int, int]], pool: _Pool
) -> None:
    file.write(struct.pack("<I", _FORMAT) + _text("WhisperSpec") + struct.pack("<I", _REVISION))
    file.write(struct.pack("<I", len(tensors) + len(settings)))
    for name, (kind, value) in settings.items():
        data = struct.pack("<b" if kind == _INT8 else "<h", value)
        file.write(_text(name) + struct.pack("<BBI", 0, kind, len(data)) + data)
    for name, shape in tensors.items():
        numbers = pool.take(name, shape)
        head = struct.pack(f"<B{len(shape)}IBI", len(shape), *shape, _FLOAT16, numbers.nbytes)
        file.write(_text(name) + head)
        file.write(numbers.data)
    file.write(struct.pack("<I", 1) + _text("decoder/projection/weight") + _text("decoder/embeddings/weight"))
    file.flush()


def _text(words: str) -> bytes:
    return struct.pack("<H", len(words) + 1) + words.encode("ascii") + b"\0"


# --- The words --------------------------------------------------------------------------------------------------------


def byte_letters() -> list[str]:
    """Return, for each byte, the letter that stands for it in the tokens of GPT-2 and Whisper."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return [chr(byte if byte in shown else next(hidden)) for byte in range(256)]


def _vocabulary(words: int) -> list[str]:
    """Return all tokens: every byte, made-up words, and Whisper's own at their places."""
    letters = sorted(byte_letters())  # as in GPT-2, those of visible bytes first
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
    base = len(syllables)
    made_up = [
        "Ġ" + syllables[number // base**2] + syllables[number // base % base] + syllables[number % base]
        for number in range(END_OF_TEXT - len(letters) - 1)
    ]
    times = [f"{number * 0.02:.2f}" for number in range(_TIMESTAMPS)]
    languages = _LANGUAGES.split()[: words - END_OF_TEXT - 2 - len(_TASKS) - _TIMESTAMPS]
    own = ["endoftext", "startoftranscript", *languages, *_TASKS, *times]
    # By the empty token newer CTranslate2 tells the models for many languages from those for English.
    return [*letters, *made_up, "", *(f"<|{name}|>" for name in own)]


def _write_json(folder: str, name: str, content: object) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(content, file)


def _write_tokenizer(path: str, vocabulary: list[str]) -> None:
    """Write what faster-whisper reads by the library that it reads it with."""
    library = importlib.import_module("tokenizers")
    known = {token: number for number, token in enumerate(vocabulary[:END_OF_TEXT])}
    tokenizer = library.Tokenizer(library.models.BPE(vocab=known, merges=[]))
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    tokenizer.add_special_tokens(vocabulary[END_OF_TEXT:])
    tokenizer.save(path)
