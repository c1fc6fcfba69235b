"""Read a model: a folder as programs save it, a safetensors file, or a configuration alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any

from gpu_doctor.errors import UsageError
from gpu_doctor.model.checkpoint import Checkpoint, Kind, Part, Tensors
from gpu_doctor.readers.models.config import architecture, parameters_of, problems_of, read_config, shape_of
from gpu_doctor.readers.models.safetensors import read_safetensors

CONFIG = "config.json"
PIPELINE = "model_index.json"
_INDEX = ".safetensors.index.json"
# Their content is code for an unpickler: only their sizes are read.
_OPAQUE = (".bin", ".pth", ".pt", ".ckpt")
_NOT_WEIGHTS = (
    "training_args.bin",
    "optimizer.bin",
    "scheduler.bin",
    "optimizer.pt",
    "scheduler.pt",
    "speakers_xtts.pth",
)
_MOST_FILES = 2000
_HINT = "name a folder with config.json, a .safetensors file, or a config.json"


def read_checkpoint(path: str) -> Checkpoint:
    """Read what a model's files say; raise UsageError where there is no model, or where a file of it is not sound."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}", _HINT) from error
    if stat.S_ISDIR(mode):
        return _folder(path)
    if path.endswith(".safetensors"):
        return _with_config(path, os.path.dirname(path), (read_safetensors(path),))
    if path.endswith(".json"):
        return _from_json(path)
    if path.endswith(_OPAQUE) and stat.S_ISREG(mode):
        return _with_config(path, os.path.dirname(path), (), (path,))
    raise UsageError(f"{path} is no model that can be read", _HINT)


def _from_json(path: str) -> Checkpoint:
    folder = os.path.dirname(path) or "."
    if path.endswith(_INDEX):
        return _with_config(path, folder, _shards(path))
    if os.path.basename(path) == PIPELINE:
        return _pipeline(folder)
    return _single(path, read_config(path), *_weights(folder))


def _folder(path: str) -> Checkpoint:
    if os.path.isfile(os.path.join(path, PIPELINE)):
        return _pipeline(path)
    tensors, opaque = _weights(path)
    if not tensors and not opaque and not os.path.isfile(os.path.join(path, CONFIG)):
        raise UsageError(f"{path} holds no model", _HINT)
    return _with_config(path, path, tensors, opaque)


def _with_config(
    path: str, folder: str, tensors: tuple[tuple[Tensors, ...], ...], opaque: tuple[str, ...] = ()
) -> Checkpoint:
    config = os.path.join(folder, CONFIG)
    return _single(path, read_config(config) if os.path.isfile(config) else {}, tensors, opaque)


def _single(path: str, config: Any, tensors: Iterable[tuple[Tensors, ...]], opaque: tuple[str, ...]) -> Checkpoint:
    kind = _kind(config, opaque)
    part = _part("", config, tuple(tensors), opaque)
    if not part.tensors and not config:
        raise UsageError(f"{path} says nothing of a model", _HINT)
    return Checkpoint(path, kind, architecture(config), (part,), tuple(problems_of(config)))


def _pipeline(folder: str) -> Checkpoint:
    """Read a pipeline of diffusers: model_index.json names its parts, each a folder of its own."""
    index = read_config(os.path.join(folder, PIPELINE))
    named = [name for name, value in index.items() if isinstance(value, list) and _plain(name)]
    parts: list[Part] = []
    problems: list[str] = []
    for name in named:
        place = os.path.join(folder, name)
        config = os.path.join(place, CONFIG)
        tensors, opaque = _weights(place)
        if not tensors and not opaque and not os.path.isfile(config):
            continue  # a tokenizer or a scheduler
        values = read_config(config) if os.path.isfile(config) else {}
        parts.append(_part(name, values, tensors, opaque))
        problems += [f"{name}: {problem}" for problem in problems_of(values)]
    if not parts:
        raise UsageError(f"{folder} names parts of a pipeline and holds none of them", _HINT)
    return Checkpoint(folder, "diffusers", architecture(index), tuple(parts), tuple(problems))


def _part(name: str, config: Any, tensors: tuple[tuple[Tensors, ...], ...], opaque: tuple[str, ...]) -> Part:
    shape = shape_of(config) if config else None
    if tensors:
        return Part(name, _sum(item for group in tensors for item in group), shape)
    dtype = {"float16": "F16", "bfloat16": "BF16"}.get(shape.dtype if shape else "", "F32")
    width = 4 if dtype == "F32" else 2
    if opaque:
        if _kind(config, opaque) == "ctranslate2":
            dtype, width = "as stored", 1
        size = sum(os.stat(file).st_size for file in opaque)
        return Part(name, (Tensors(dtype, size // width, size),), shape, "from the sizes of the files")
    count = parameters_of(config)
    found = (Tensors(dtype, count, count * width),) if count else ()
    return Part(name, found, shape, "from the configuration alone")


def _kind(config: Any, opaque: tuple[str, ...]) -> Kind:
    if config.get("model") == "xtts" or str(config.get("model_type", "")).startswith("xtts"):
        return "xtts"
    if "_class_name" in config:
        return "diffusers"
    if "model_type" in config or "architectures" in config:
        return "transformers"
    return "ctranslate2" if any(os.path.basename(file) == "model.bin" for file in opaque) else "weights"


def _weights(folder: str) -> tuple[tuple[tuple[Tensors, ...], ...], tuple[str, ...]]:
    """Return the counted tensors of a folder's safetensors files, or the files whose content is not looked at."""
    try:
        names = sorted(os.listdir(folder or "."))[:_MOST_FILES]
    except OSError:
        return (), ()
    index = [name for name in names if name.endswith(_INDEX)]
    if index:
        return _shards(os.path.join(folder, index[0])), ()
    whole = [name for name in names if name.endswith(".safetensors")]
    if whole:
        chosen = _one_variant(whole)
        return tuple(read_safetensors(os.path.join(folder, name)) for name in chosen), ()
    opaque = (os.path.join(folder, name) for name in names if name.endswith(_OPAQUE) and name not in _NOT_WEIGHTS)
    return (), tuple(file for file in opaque if os.path.isfile(file))


def _one_variant(names: list[str]) -> list[str]:
    """Leave out the same weights in another format: diffusers keeps `….fp16.safetensors` beside the full ones."""
    full = [name for name in names if ".fp16." not in name and ".bf16." not in name and ".non_ema." not in name]
    return full or names


def _shards(path: str) -> tuple[tuple[Tensors, ...], ...]:
    """Read all files that an index names; each must lie beside it."""
    table = read_config(path).get("weight_map")
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise UsageError(f"{path} has no weight_map")
    names = sorted(set(table.values()))
    if len(names) > _MOST_FILES or not all(_plain(name) for name in names):
        raise UsageError(f"{path} names files outside its folder, or too many")
    return tuple(_existing(os.path.join(os.path.dirname(path), name), path) for name in names)


def _existing(file: str, index: str) -> tuple[Tensors, ...]:
    if not os.path.exists(file):
        raise UsageError(f"{os.path.basename(file)} is missing, which {index} names")
    return read_safetensors(file)


def _plain(name: str) -> bool:
    return bool(name) and name == os.path.basename(name) and name not in (".", "..") and "\0" not in name


def _sum(tensors: Iterable[Tensors]) -> tuple[Tensors, ...]:
    groups: dict[str, Tensors] = {}
    for item in tensors:
        old = groups.get(item.dtype, Tensors(item.dtype, 0, 0))
        groups[item.dtype] = Tensors(item.dtype, old.parameters + item.parameters, old.bytes + item.bytes)
    return tuple(groups[dtype] for dtype in sorted(groups))
