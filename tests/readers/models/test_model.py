"""Models as programs save them: folders, shards, pipelines, pickles, configurations alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.errors import UsageError
from gpu_doctor.readers.models.model import read_checkpoint
from tests.readers.models.files import header, write
from tests.readers.models.test_config import CLIP, LLAMA, UNET


def save(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def index(folder: Path, *names: str) -> Path:
    return save(
        folder / "model.safetensors.index.json", {"weight_map": {f"w{n}": name for n, name in enumerate(names)}}
    )


def test_a_folder_of_transformers(tmp_path: Path) -> None:
    save(tmp_path / "config.json", LLAMA)
    write(tmp_path / "model.safetensors", header(a=("BF16", [10, 10])))
    model = read_checkpoint(str(tmp_path))
    assert (model.kind, model.architecture, model.parameters, model.estimated) == (
        "transformers",
        "LlamaForCausalLM",
        100,
        "",
    )
    assert model.parts[0].shape is not None
    assert read_checkpoint(str(tmp_path / "model.safetensors")).parts == model.parts
    assert read_checkpoint(str(tmp_path / "config.json")).parts == model.parts


def test_shards_are_added_and_each_is_counted_once(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors", header(a=("F16", [3])))
    write(tmp_path / "b.safetensors", header(b=("F16", [4]), c=("F32", [1])))
    write(tmp_path / "left-over.safetensors", header(d=("F16", [50])))
    file = index(tmp_path, "a.safetensors", "b.safetensors", "b.safetensors")
    for path in (file, tmp_path):
        assert read_checkpoint(str(path)).parameters == 8


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "..", "a/b.safetensors", "x\0y"])
def test_an_index_cannot_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="outside its folder"):
        read_checkpoint(str(index(tmp_path, name)))


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"b\.safetensors is missing"):
        read_checkpoint(str(index(tmp_path, "b.safetensors")))
    with pytest.raises(UsageError, match="no weight_map"):
        read_checkpoint(str(save(tmp_path / "x.safetensors.index.json", {"weight_map": 3})))


def test_a_pipeline_of_diffusers(tmp_path: Path) -> None:
    parts = {"unet": ["diffusers", "UNet2DConditionModel"], "text_encoder": ["t", "C"], "scheduler": ["d", "S"]}
    save(tmp_path / "model_index.json", {"_class_name": "StableDiffusionPipeline", "../x": ["a", "b"], **parts})
    save(tmp_path / "unet" / "config.json", {**UNET, "attention_head_dim": 7})
    write(tmp_path / "unet" / "diffusion_pytorch_model.safetensors", header(a=("F16", [7])))
    write(tmp_path / "unet" / "diffusion_pytorch_model.fp16.safetensors", header(a=("F16", [7])))
    save(tmp_path / "text_encoder" / "config.json", CLIP)
    write(tmp_path / "text_encoder" / "model.fp16.safetensors", header(a=("F16", [5])))
    (tmp_path / "scheduler").mkdir()
    model = read_checkpoint(str(tmp_path))
    assert (model.kind, model.architecture) == ("diffusers", "StableDiffusionPipeline")
    assert {part.name: part.parameters for part in model.parts} == {"unet": 7, "text_encoder": 5}
    assert model.problems[0].startswith("unet: A block of 320 channels")


def test_a_pipeline_without_its_parts(tmp_path: Path) -> None:
    save(tmp_path / "model_index.json", {"unet": ["diffusers", "UNet2DConditionModel"]})
    with pytest.raises(UsageError, match="holds none of them"):
        read_checkpoint(str(tmp_path))


def test_ctranslate2_is_known_by_its_file(tmp_path: Path) -> None:
    save(tmp_path / "config.json", {"alignment_heads": [[1, 0]], "suppress_ids": []})
    (tmp_path / "model.bin").write_bytes(bytes(1000))
    model = read_checkpoint(str(tmp_path))
    assert (model.kind, model.parts[0].bytes, model.estimated) == ("ctranslate2", 1000, "from the sizes of the files")


def test_pickles_are_measured_and_never_opened(tmp_path: Path) -> None:
    save(tmp_path / "config.json", {"model": "xtts", "model_args": {"gpt_layers": 30}})
    pickle = tmp_path / "model.pth"
    pickle.write_bytes(bytes(4000))
    (tmp_path / "speakers_xtts.pth").write_bytes(bytes(4000))
    pickle.chmod(0)
    model = read_checkpoint(str(tmp_path))
    assert (model.kind, model.parameters, model.parts[0].bytes) == ("xtts", 1000, 4000)
    assert read_checkpoint(str(pickle)).parameters == 1000


def test_the_format_of_a_pickle_is_the_configurations(tmp_path: Path) -> None:
    save(tmp_path / "config.json", LLAMA)
    (tmp_path / "pytorch_model.bin").write_bytes(bytes(4000))
    (tmp_path / "training_args.bin").write_bytes(bytes(4000))
    assert read_checkpoint(str(tmp_path)).parameters == 2000


def test_a_configuration_alone_is_estimated(tmp_path: Path) -> None:
    model = read_checkpoint(str(save(tmp_path / "config.json", LLAMA)))
    assert model.estimated == "from the configuration alone"
    assert round(model.parameters / 1e9, 2) == 8.03


@pytest.mark.parametrize("name", ["", "absent", "model.gguf", "config.json"])
def test_what_is_no_model_is_one_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    (tmp_path / "config.json").write_text("{}")
    target = tmp_path / "empty" if not name else tmp_path / name
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError):
        read_checkpoint(str(target))
