"""The JSON of `fix` keeps its promise: the published schema, and the values that the schema cannot check."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from gpu_doctor.model.plan import HeldBack, Plan, Treatment
from gpu_doctor.model.remedy import InstallPackages, MakeLink, Remedy, RunByHand, Step
from gpu_doctor.model.repair import Healing
from gpu_doctor.report import as_fix_json
from tests import kit
from tests.report.patients import UV
from tests.report.repairs import LINKS, LOADED, MUCH, ODD, OLD, PLAN, SICK, SILENT, UPGRADE, case, healed

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
SCHEMA = json.loads((SCHEMAS / "fix-1.json").read_text(encoding="utf-8"))
NOTHING = Healing(case(), Plan((), ()), case())


def shaped(healing: Healing, status: str = "healed") -> Any:
    text = as_fix_json.render(healing, "0.1.0", status)
    assert text.isascii()
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("noun", ["finding", "fingerprint", "remedy", "step"])
def test_what_the_report_promises_too_is_promised_alike(noun: str) -> None:
    report = json.loads((SCHEMAS / "report-1.json").read_text(encoding="utf-8"))
    assert SCHEMA["$defs"][noun] == report["$defs"][noun]


@pytest.mark.parametrize("status", ["healed", "remains", "nothing to do", "planned", "refused"])
def test_every_end_follows_the_schema(status: str) -> None:
    for healing in (healed(), NOTHING, Healing(SICK, PLAN, SICK, remaining=(OLD,))):
        assert shaped(healing, status)["status"] == status


def test_another_end_does_not() -> None:
    with pytest.raises(jsonschema.ValidationError):
        shaped(healed(), "perhaps")


def test_the_whole_document_has_the_promised_fields() -> None:
    document = shaped(healed(), "remains")
    named = {
        "rule": LOADED.rule,
        "severity": "error",
        "subject": LOADED.subject,
        "message": LOADED.message,
        "fingerprint": LOADED.fingerprint,
    }
    assert {name: document[name] for name in ("schema", "doctor", "prefix", "python", "status", "repair")} == {
        "schema": "gpu-doctor/fix/1",
        "doctor": "0.1.0",
        "prefix": "/home/ada/venv",
        "python": "/home/ada/venv/bin/python",
        "status": "remains",
        "repair": "20261120-101112-ab12",
    }
    first = document["plan"]["treatments"][0]
    assert first["finding"] == named
    assert (first["remedy"]["summary"], first["instead"]["summary"]) == (LINKS.summary, UPGRADE.summary)
    assert [step["do"] for step in first["steps"]] == ["make-link", "make-link", "list-in-record"]
    assert [item["why"] for item in document["plan"]["held_back"]] == [item.why for item in PLAN.held_back]
    assert [item["finding"]["rule"] for item in document["plan"]["held_back"]] == [OLD.rule, SILENT.rule]
    assert document["plan"]["held_back"][1]["remedy"] is None
    assert document["outcomes"] == [
        {"finding": named, "healed": True, "why": ""},
        {
            "finding": {**document["plan"]["treatments"][1]["finding"], "rule": MUCH.rule},
            "healed": False,
            "why": "the finding is still there afterwards",
        },
    ]
    assert [finding["rule"] for finding in document["remaining"]] == [OLD.rule, SILENT.rule]


def test_where_nothing_is_to_do_everything_is_empty() -> None:
    document = shaped(NOTHING, "nothing to do")
    assert document["plan"] == {"treatments": [], "held_back": []}
    assert (document["repair"], document["outcomes"], document["remaining"]) == (None, [], [])


def test_every_kind_of_step_follows_the_schema() -> None:
    steps = (*ODD, MakeLink("/a", "b"), InstallPackages(UV, "p", ("a",), torch_backend="cu128"), RunByHand("x", "y"))
    assert {type(step) for step in steps} == set(get_args(Step))
    remedy = Remedy("Do", "ask", steps)
    plan = Plan((Treatment(LOADED, remedy, steps),), (HeldBack(OLD, remedy, "why"),))
    document = shaped(replace(NOTHING, plan=plan))
    assert len(document["plan"]["treatments"][0]["steps"]) == len(steps)
    assert document["plan"]["treatments"][0]["instead"] is None


def test_an_environment_without_an_interpreter_is_told() -> None:
    inventory = replace(NOTHING.before.inventory, interpreter=kit.interpreter(executable=None))
    assert shaped(replace(NOTHING, before=replace(NOTHING.before, inventory=inventory)))["python"] is None


def test_what_is_foreign_is_escaped() -> None:
    evil = replace(LOADED, subject="\x1b[2J\udcff\u202e", message="é")
    document = shaped(replace(NOTHING, remaining=(evil,)))
    assert document["remaining"][0]["subject"] == "\x1b[2J\udcff\u202e"
