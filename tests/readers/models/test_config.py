"""Configurations: shapes, estimated parameters, and what cannot work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.errors import UsageError
from gpu_doctor.model.checkpoint import Shape
from gpu_doctor.readers.models.config import LARGEST, architecture, parameters_of, problems_of, read_config, shape_of

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}
WHISPER: dict[str, Any] = {
    "architectures": ["WhisperForConditionalGeneration"],
    "d_model": 1280,
    "encoder_layers": 32,
    "decoder_layers": 32,
    "decoder_attention_heads": 20,
    "decoder_ffn_dim": 5120,
    "vocab_size": 51866,
}
T5: dict[str, Any] = {
    "architectures": ["T5ForConditionalGeneration"],
    "d_model": 1024,
    "d_ff": 2816,
    "num_layers": 24,
    "num_decoder_layers": 24,
    "num_heads": 16,
    "d_kv": 64,
    "feed_forward_proj": "gated-gelu",
    "vocab_size": 32128,
    "tie_word_embeddings": True,
}
CLIP: dict[str, Any] = {
    "architectures": ["CLIPTextModel"],
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "vocab_size": 49408,
}
UNET: dict[str, Any] = {"_class_name": "UNet2DConditionModel", "block_out_channels": [320, 640, 1280]}


def test_the_shape_of_a_transformer() -> None:
    assert shape_of(LLAMA) == Shape(4096, 32, 8, 128, 32, 131072, 128256, "bfloat16")
    assert architecture(LLAMA) == "LlamaForCausalLM"


def test_the_text_part_of_a_model_with_several() -> None:
    assert shape_of({"model_type": "llava", "text_config": LLAMA}).width == 4096


def test_quantization_is_named() -> None:
    assert shape_of({**LLAMA, "quantization_config": {"quant_method": "gptq"}}).quantized == "gptq"


def test_xtts_keeps_its_shape_in_model_args() -> None:
    config = {"model": "xtts", "model_args": {"gpt_n_model_channels": 1024, "gpt_n_heads": 16, "gpt_layers": 30}}
    assert (shape_of(config).width, shape_of(config).layers, architecture(config)) == (1024, 30, "xtts")


# Counted in the model classes of transformers 5.24, built from the same configurations.
@pytest.mark.parametrize(
    ("config", "counted"),
    [(LLAMA, 8_030_261_248), (WHISPER, 1_543_490_560), (T5, 750_251_008), (CLIP, 63_165_952)],
    ids=["llama", "whisper", "t5", "clip"],
)
def test_parameters_are_estimated_within_one_percent(config: dict[str, Any], counted: int) -> None:
    assert abs(parameters_of(config) / counted - 1) < 0.01


def test_a_configuration_that_says_too_little() -> None:
    assert parameters_of({"hidden_size": 4096}) == 0


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"hidden_size": 1000, "num_attention_heads": 12}, "width 1000 cannot be divided among 12"),
        ({**LLAMA, "num_key_value_heads": 5}, "32 attention heads cannot share 5"),
        ({**LLAMA, "num_hidden_layers": 0}, "num_hidden_layers is 0"),
        (
            {**UNET, "attention_head_dim": [5, 10, 21]},
            "1280 channels cannot be divided among 21 heads (attention_head_dim)",
        ),
        ({**UNET, "attention_head_dim": 7}, "320 channels cannot be divided among 7"),
        ({**UNET, "attention_head_dim": [5, 10]}, "not one number for each of the 3 blocks"),
        ({**UNET, "num_attention_heads": 0}, "among 0 heads (num_attention_heads)"),
        ({"_class_name": "F", "axes_dims_rope": [16, 56], "attention_head_dim": 128}, "add up to 72"),
    ],
)
def test_what_cannot_work_is_said(config: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in problems_of(config))


@pytest.mark.parametrize(
    "config",
    [
        LLAMA,
        WHISPER,
        T5,
        {**LLAMA, "hidden_size": 1000, "head_dim": 64},  # the heads need not fill the width
        {**UNET, "attention_head_dim": [5, 10, 20]},
        {**UNET, "attention_head_dim": 8},
        {"_class_name": "F", "axes_dims_rope": [16, 56, 56], "attention_head_dim": 128},
        {"hidden_size": "many", "num_attention_heads": None, "block_out_channels": "x"},
        {},
    ],
)
def test_what_can_work_is_not(config: dict[str, Any]) -> None:
    assert list(problems_of(config)) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "holds no object"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b" " * (LARGEST + 1), "too large"),
    ],
)
def test_a_hostile_file_is_one_error(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UsageError, match=words):
        read_config(str(tmp_path / "config.json"))


def test_a_sound_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert read_config(str(tmp_path / "config.json")) == LLAMA
    with pytest.raises(UsageError, match="cannot read"):
        read_config(str(tmp_path / "absent.json"))
