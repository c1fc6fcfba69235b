"""The preflight as text and JSON: the verdict first, then what is unmet with its cause and command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpu_doctor.model.case import Report
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.requirement import Ignored, Judged, Requirement
from gpu_doctor.report import as_preflight, as_preflight_json
from gpu_doctor.report.paper import Look
from tests.report import patients

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
SCHEMA = json.loads((SCHEMAS / "preflight-1.json").read_text(encoding="utf-8"))
PLAIN = Look(home=patients.HOME)

MET = Judged(Requirement("python>=3.10", "python", "", ">=", "3.10"), "met", "Python is 3.11.7.", seconds=0.1)
CUDNN = Judged(
    Requirement("ctranslate2-cuda", "ctranslate2-cuda", where="pyproject.toml:7"),
    "unmet",
    patients.CUDNN.message,
    causes=(patients.CUDNN, patients.SHADOW),
)
VRAM = Judged(
    Requirement("vram>=32GB", "vram", "", ">=", "32GB"),
    "unmet",
    "RTX 4090 has 25.8 GB (24.0 GiB), not >=32GB.",
    (Evidence("RTX 4090", "25.8 GB (24.0 GiB)", "NVML", "nvidia-smi"),),
)
OPEN = Judged(Requirement("stft", "stft"), "undetermined", "Not tried: the 2 s of --deadline were over.")


def report(*judged: Judged, **changes: Any) -> Report:
    return replace(patients.sick(), requirements=judged, **changes)


def drawn(*judged: Judged, **changes: Any) -> str:
    return as_preflight.render(report(*judged, **changes), PLAIN, seconds=0.42)


def test_all_met_is_one_line() -> None:
    assert drawn(MET, MET) == "READY  2 requirements met in 0.4 s\n"


def test_unmet_comes_first_with_its_cause_and_command_then_undetermined() -> None:
    text = drawn(MET, OPEN, CUDNN, VRAM)
    assert text.splitlines()[0] == "NOT READY  2 unmet, 1 undetermined, 1 met of 4 requirements, in 0.4 s"
    order = [
        "UNMET  ctranslate2-cuda (pyproject.toml:7)",
        "UNMET  vram>=32GB",
        "UNDETERMINED  stft",
        "met: python>=3.10",
    ]
    assert [line for line in text.splitlines() if line.startswith(("UNMET", "UNDET", "met"))] == order
    assert "gpu-doctor fix cudnn-unreachable --python ~/venv/bin/python\n" in text
    assert "cudnn-unreachable · ctranslate2 4.6.1" in text
    assert "RTX 4090: 25.8 GB (24.0 GiB) (NVML)\n      nvidia-smi\n" in text


def test_a_message_is_not_said_twice_but_a_second_cause_is() -> None:
    words = " ".join(drawn(CUDNN).split())
    assert words.count(" ".join(patients.CUDNN.message.split())) == 1
    assert words.count(" ".join(patients.SHADOW.message.split())) == 1


def test_undetermined_alone_is_no_readiness() -> None:
    assert drawn(MET, OPEN).startswith("UNDETERMINED  1 undetermined, 1 met of 2 requirements")


def test_the_command_for_kernels_names_the_gpu_that_was_asked_about() -> None:
    kernels = Judged(
        Requirement("kernels:RTX 5090", "kernels", "RTX 5090"), "unmet", "No code.", causes=(patients.CUDNN,)
    )
    assert "gpu-doctor fix cudnn-unreachable --python ~/venv/bin/python --gpu 'RTX 5090'\n" in drawn(kernels)


def test_what_is_ignored_is_said() -> None:
    gone = Ignored(patients.SHADOW, "meant so", "2027-01-31", "pyproject.toml:9")
    text = " ".join(drawn(MET, ignored=(gone,)).split())
    assert text.startswith("READY")
    assert "ignored until 2027-01-31: library-path-shadows · LD_LIBRARY_PATH (pyproject.toml:9: meant so)" in text


def test_foreign_text_cannot_steer_the_terminal() -> None:
    evil = replace(VRAM, message="a \x1b[2J b", evidence=(Evidence("x\x07", "\u202e", "y\x1b]0;t"),))
    assert "\x1b" not in drawn(evil)
    assert "\u202e" not in drawn(evil)


def shaped(*judged: Judged, **changes: Any) -> Any:
    text = as_preflight_json.render(report(*judged, **changes))
    assert text.isascii()
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_the_json_follows_its_schema_and_names_everything() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = shaped(MET, OPEN, CUDNN, VRAM, ignored=(Ignored(patients.SHADOW, "meant so", "", "x:1"),))
    assert document["standing"] == "unmet"
    assert document["requirements"][3] == {
        "text": "vram>=32GB",
        "name": "vram",
        "subject": "",
        "operator": ">=",
        "bound": "32GB",
        "where": "--require",
        "standing": "unmet",
        "message": VRAM.message,
        "evidence": [{"what": "RTX 4090", "value": "25.8 GB (24.0 GiB)", "where": "NVML", "again": "nvidia-smi"}],
        "causes": [],
        "seconds": 0.0,
    }
    assert [cause["rule"] for cause in document["requirements"][2]["causes"]] == [
        "cudnn-unreachable",
        "library-path-shadows",
    ]
    (gone,) = document["ignored"]
    assert (gone["finding"]["rule"], gone["reason"], gone["until"], gone["where"]) == (
        *("library-path-shadows", "meant so", "", "x:1"),
    )


@pytest.mark.parametrize(
    ("judged", "wanted"), [((MET,), "met"), ((MET, OPEN), "undetermined"), ((OPEN, VRAM), "unmet")]
)
def test_the_whole_stands_where_its_worst_requirement_does(judged: tuple[Judged, ...], wanted: str) -> None:
    assert shaped(*judged)["standing"] == wanted


def test_what_the_report_promises_too_is_promised_alike() -> None:
    whole = json.loads((SCHEMAS / "report-1.json").read_text(encoding="utf-8"))
    assert {name: SCHEMA["$defs"][name] for name in whole["$defs"]} == whole["$defs"]
    assert SCHEMA["properties"]["doctor"] == whole["properties"]["doctor"]
