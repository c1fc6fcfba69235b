"""Read the configurations of transformers, diffusers and XTTS: the shape of a model, and what in it cannot work."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from gpu_doctor.errors import UsageError
from gpu_doctor.model.checkpoint import Shape
from gpu_doctor.readers.text import read_bytes

LARGEST = 8 * 2**20
_MOST = 2**40

Config = Mapping[str, Any]

_NAMES = {
    "width": ("hidden_size", "d_model", "n_embd", "dim", "gpt_n_model_channels"),
    "heads": ("num_attention_heads", "decoder_attention_heads", "n_head", "num_heads", "gpt_n_heads"),
    "key_heads": ("num_key_value_heads", "n_head_kv"),
    "head_width": ("head_dim", "d_kv"),
    "layers": ("num_hidden_layers", "decoder_layers", "num_decoder_layers", "n_layer", "num_layers", "gpt_layers"),
    "positions": ("max_position_embeddings", "n_positions", "max_target_positions", "gpt_max_audio_tokens"),
    "vocabulary": ("vocab_size", "gpt_num_audio_tokens"),
}


def read_config(path: str) -> Config:
    """Return the object in a JSON file; raise UsageError for anything else, and for more than 8 MiB."""
    data = read_bytes(path, LARGEST + 1)
    if data is None:
        raise UsageError(f"cannot read {path}")
    if len(data) > LARGEST:
        raise UsageError(f"{path} is too large for a configuration")
    try:
        found = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no object")
    return found


def architecture(config: Config) -> str:
    """Return what the configuration calls the model, or nothing."""
    names = config.get("architectures")
    first = names[0] if isinstance(names, list) and names else None
    words = (first, config.get("_class_name"), config.get("model_type"), config.get("model"))
    return next((word[:100] for word in words if isinstance(word, str) and word), "")


def shape_of(config: Config) -> Shape:
    """Return the shape of a transformer, of its text part where it has several."""
    config = _flat(config)
    found = {name: _number(config, names) for name, names in _NAMES.items()}
    if not found["head_width"] and found["width"] and found["heads"]:
        found["head_width"] = found["width"] // found["heads"]
    return Shape(**found, dtype=_dtype(config), quantized=_quantized(config))


def parameters_of(config: Config) -> int:
    """Estimate the parameters of a transformer from its configuration, 0 where it does not say enough.

    Attention takes 2 × width² and keys and values as wide as their heads, feeding forward 2 matrices, or 3 where it is
    gated; encoders that a decoder looks at are counted with it.
    """
    shape = shape_of(config)
    config = _flat(config)
    if not (shape.width and shape.layers and shape.heads and shape.head_width):
        return 0
    inner = shape.heads * shape.head_width
    keys = (shape.key_heads or shape.heads) * shape.head_width
    attention = 2 * shape.width * inner + 2 * shape.width * keys
    wide = _number(config, ("intermediate_size", "decoder_ffn_dim", "d_ff", "n_inner")) or 4 * shape.width
    gate = 3 if str(config.get("hidden_act", config.get("feed_forward_proj", ""))) in _GATED else 2
    feeding = gate * shape.width * wide
    experts = _number(config, ("num_local_experts", "num_experts", "n_routed_experts")) or 1
    encoder = _number(config, ("encoder_layers", *(("num_layers",) if "num_decoder_layers" in config else ()))) or 0
    decoder = shape.layers * (attention * (2 if encoder else 1) + feeding * experts)
    tied = config.get("tie_word_embeddings", bool(encoder)) or not _speaks(architecture(config))
    tables = 1 if tied else 2
    return decoder + encoder * (attention + feeding) + tables * (shape.vocabulary or 0) * shape.width


def _speaks(name: str) -> bool:
    """Tell whether a model ends in a table of words beside the one that it begins with, as far as its name tells."""
    return not name or "LM" in name or "Generation" in name


def problems_of(config: Config) -> Iterator[str]:
    """Yield what in a configuration cannot work, each in a sentence."""
    shape = shape_of(config)
    stated = _number(_flat(config), _NAMES["head_width"])
    if shape.width and shape.heads and not stated and shape.width % shape.heads:
        yield f"Its width {shape.width} cannot be divided among {shape.heads} attention heads."
    if shape.heads and shape.key_heads and shape.heads % shape.key_heads:
        yield f"{shape.heads} attention heads cannot share {shape.key_heads} heads of keys and values evenly."
    yield from _zeros(config)
    yield from _blocks(config)
    axes = config.get("axes_dims_rope")
    width = config.get("attention_head_dim")
    if _numbers(axes) and isinstance(width, int) and sum(axes or ()) != width:
        yield f"axes_dims_rope add up to {sum(axes or ())}, and attention_head_dim is {width}."


def _zeros(config: Config) -> Iterator[str]:
    for names in _NAMES.values():
        for name in names:
            value = config.get(name)
            if type(value) is int and value <= 0 and name != "d_kv":
                yield f"{name} is {value}."


def _blocks(config: Config) -> Iterator[str]:
    """Compare the channels of a diffusion model's blocks with its heads.

    Where num_attention_heads is absent, what is called attention_head_dim counts the heads:
    https://github.com/huggingface/diffusers/issues/2011.
    """
    if not str(config.get("_class_name", "")).startswith("UNet"):
        return
    channels, heads = config.get("block_out_channels"), config.get("num_attention_heads")
    name = "num_attention_heads" if heads is not None else "attention_head_dim"
    heads = heads if heads is not None else config.get("attention_head_dim")
    if not _numbers(channels) or heads is None:
        return
    each = [heads] * len(channels) if isinstance(heads, int) else heads
    if not _numbers(each) or len(each) != len(channels):
        yield f"{name} has not one number for each of the {len(channels)} blocks."
        return
    for wide, count in zip(channels, each, strict=True):
        if count <= 0 or wide % count:
            yield f"A block of {wide} channels cannot be divided among {count} heads ({name})."


_GATED = ("silu", "swiglu", "gated-gelu", "gelu_pytorch_tanh", "geglu")


def _flat(config: Config) -> Config:
    """Return a configuration with what it keeps in the part about its text model."""
    inner = (config.get(key) for key in ("text_config", "llm_config", "model_args"))
    found: dict[str, Any] = dict(config)
    for part in inner:
        found |= part if isinstance(part, dict) else {}
    return found


def _number(config: Config, names: tuple[str, ...]) -> int | None:
    values = (config.get(name) for name in names)
    return next((value for value in values if type(value) is int and 0 < value < _MOST), None)


def _numbers(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def _dtype(config: Config) -> str:
    found = config.get("dtype") or config.get("torch_dtype")
    return found.removeprefix("torch.")[:20] if isinstance(found, str) else ""


def _quantized(config: Config) -> str:
    found = config.get("quantization_config")
    method = found.get("quant_method") if isinstance(found, dict) else None
    return method[:20] if isinstance(method, str) else ""
