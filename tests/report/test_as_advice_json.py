"""The JSON of `advise` keeps its promise: the published schema, and the values that the schema cannot check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpu_doctor.model.advice import Advice
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.report import as_advice_json
from tests.advice.kit import CT2, PATIENTS, TORCH, advised_for, patient
from tests.advice.test_models import checkpoint
from tests.checks.judge import judge_all
from tests.kit import gpu, interpreter, inventory

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "advice-1.json").read_text(encoding="utf-8"))


def shaped(seen: Inventory, advice: Advice) -> Any:
    text = as_advice_json.render(judge_all(seen), advice, "0.1.0")
    assert text.isascii()
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", sorted(PATIENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_patient_follows_the_schema(path: Path) -> None:
    seen = patient(path.stem)
    assert shaped(seen, advised_for(seen))["device"] in ("cpu", "cuda:0")


def test_the_whole_document_has_the_promised_fields() -> None:
    seen = inventory(TORCH, CT2, gpus=(gpu(free_bytes=2**34),))
    document = shaped(seen, advised_for(seen, checkpoint(1.0)))
    assert {name: document[name] for name in ("schema", "framework", "device", "dtype", "basis")} == {
        "schema": "gpu-doctor/advice/1",
        "framework": "torch",
        "device": "cuda:0",
        "dtype": "bfloat16",
        "basis": "known",
    }
    assert document["gpu"]["sm"] == "sm_89"
    assert [engine["installed"] for engine in document["engines"]] == [True, True, False]
    assert (document["model"]["memory"]["fit"], document["model"]["parameters"]) == ("fits", 10**9)
    assert document["settings"][0]["name"] == "PYTORCH_CUDA_ALLOC_CONF"
    assert document["unknown"] == {}
    assert isinstance(document["workers"]["value"], int)


def test_what_is_not_known_is_null_and_says_why() -> None:
    seen = inventory(TORCH, gpus=(gpu(memory_bytes=None),), interpreter=interpreter(executable=None))
    document = shaped(seen, advised_for(seen))
    assert (document["whisper"], document["diffusion"], document["python"], document["model"]) == (None,) * 4
    assert set(document["unknown"]) == {"whisper", "diffusion"}


def test_the_finding_behind_the_cpu_is_named() -> None:
    document = shaped(patient("torch26-5090"), advised_for(patient("torch26-5090")))
    assert (document["engines"][0]["rule"], document["gpu"]) == ("kernel-image-missing", None)


def test_another_basis_does_not_follow_the_schema() -> None:
    document = shaped(inventory(TORCH), advised_for(inventory(TORCH)))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate({**document, "basis": "guessed"})
