"""The repairs that an environment remembers: whole texts, and JSON by its published schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from gpu_doctor.model.past import Ending, PastRepair, PastTreatment
from gpu_doctor.report import as_history
from gpu_doctor.report.paper import Look
from tests.report.patients import HOME, VENV

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/history-1.json").read_text(encoding="utf-8"))
LINKED = PastTreatment("cudnn-unreachable", "ctranslate2: loader", "It aborts.", "Place links beside the loader.", True)
FAILED = PastTreatment(
    "ort-packages-clash", "onnxruntime", "They clash.", "Keep one.", False, "uv ended with exit code 1"
)
OPEN = PastTreatment("torch-import-fails", "torch", "It dies.", "Install it again.", None)


def repair(number: int, ending: Ending | None, *treatments: PastTreatment) -> PastRepair:
    id_ = f"2026112{number}-101112-ab1{number}"
    journal = f"{VENV}/.gpu-doctor/repairs/{id_}/journal.jsonl"
    return PastRepair(id_, f"2026-11-2{number}T10:11:12Z", "fix cudnn", "0.1.0", journal, treatments, ending)


MANY = [
    repair(4, None, LINKED, OPEN),
    repair(3, "kept", LINKED, FAILED),
    repair(2, "rolled back", FAILED),
    repair(1, "undone", LINKED),
]

TEXT = """\
20261124-101112-ab14 · cut off · 2026-11-24T10:11:12Z · fix cudnn
  cudnn-unreachable · ctranslate2: loader: Place links beside the loader.
  torch-import-fails · torch: cut off
  `gpu-doctor undo` takes it back whole

20261123-101112-ab13 · kept · 2026-11-23T10:11:12Z · fix cudnn
  cudnn-unreachable · ctranslate2: loader: Place links beside the loader.
  ort-packages-clash · onnxruntime: not kept: uv ended with exit code 1

20261122-101112-ab12 · rolled back · 2026-11-22T10:11:12Z · fix cudnn
  ort-packages-clash · onnxruntime: not kept: uv ended with exit code 1

20261121-101112-ab11 · undone · 2026-11-21T10:11:12Z · fix cudnn
  cudnn-unreachable · ctranslate2: loader: Place links beside the loader.
"""


def test_the_repairs_are_told_a_paragraph_each() -> None:
    assert as_history.render(MANY, VENV, Look(home=HOME)) == TEXT


def test_in_ascii_the_same_is_told() -> None:
    assert as_history.render(MANY, VENV, Look(home=HOME, unicode=False)) == TEXT.replace("·", "-")


def test_no_repair_is_said() -> None:
    assert as_history.render([], VENV, Look(home=HOME)) == "No repair of ~/venv is known.\n"


def test_colours_mark_how_each_ended() -> None:
    shown = as_history.render(MANY, VENV, Look(colour=True))
    assert "\x1b[1;31mcut off\x1b[0m" in shown
    assert "\x1b[32mkept\x1b[0m" in shown


def test_what_is_foreign_cannot_steer_the_terminal() -> None:
    evil = repair(1, "kept", replace(LINKED, subject="\x1b[2J", summary="\x9b\r\nkept"))
    shown = as_history.render([replace(evil, asked="\x1b]0;owned\x07")], VENV, Look())
    assert not set(shown) & set("\x1b\x9b\x07\r")
    assert as_history.render_json([evil]).isascii()


@pytest.mark.parametrize(("ending", "word"), [("kept", "kept"), ("undone", "undone"), (None, "cut off")])
def test_how_it_ended_is_two_words_at_most(ending: Ending | None, word: str) -> None:
    assert as_history.how(repair(1, ending)) == word


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("repairs", [[], MANY])
def test_every_history_follows_the_schema(repairs: list[PastRepair]) -> None:
    document = json.loads(as_history.render_json(repairs))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert [item["ending"] for item in document["repairs"]] == [as_history.how(item) for item in repairs]


def test_a_repair_has_the_promised_fields() -> None:
    (shown,) = json.loads(as_history.render_json([repair(3, "kept", FAILED)]))["repairs"]
    assert shown == {
        "id": "20261123-101112-ab13",
        "at": "2026-11-23T10:11:12Z",
        "asked": "fix cudnn",
        "doctor": "0.1.0",
        "journal": f"{VENV}/.gpu-doctor/repairs/20261123-101112-ab13/journal.jsonl",
        "ending": "kept",
        "treatments": [
            {
                "rule": "ort-packages-clash",
                "subject": "onnxruntime",
                "message": "They clash.",
                "summary": "Keep one.",
                "kept": False,
                "why": "uv ended with exit code 1",
            }
        ],
    }
