"""The JSON report keeps its promise: the published schema, and the values that the schema cannot check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from gpu_doctor.model.finding import CheckRun, Finding
from gpu_doctor.model.inventory import UNASKED
from gpu_doctor.model.probes import KINDS, Ending, Kind, Outcome
from gpu_doctor.model.remedy import (
    ClearExecutableStack,
    EditPins,
    InstallPackages,
    ListInRecord,
    MakeLink,
    Remedy,
    RemoveFile,
    RemovePackages,
    RestoreFile,
    RunByHand,
    SetVariable,
    Step,
)
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report import as_json
from tests import kit
from tests.report import patients, preflights

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "report-1.json").read_text(encoding="utf-8"))


def shaped(report: Any) -> Any:
    document = json.loads(as_json.render(report))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("patient", ["sick", "healthy", "crashed", "dead", "without_gpu", "unstarted"])
def test_every_kind_of_report_follows_the_schema(patient: str) -> None:
    document = shaped(getattr(patients, patient)())
    assert document["doctor"] == {"version": "0.1.0", "facts": "2026-11-20", "static": False}


@pytest.mark.parametrize(
    "probes", [UNASKED, (), (kit.probe("torch-gpu", "cuda:0", "skipped", reason="no GPU visible"),)]
)
def test_where_no_question_was_put_the_report_is_static(probes: Any) -> None:
    document = shaped(patients.healthy(probes=probes))
    assert document["doctor"]["static"] is True
    assert shaped(patients.undetermined())["doctor"]["static"] is True


def test_a_question_has_the_promised_fields() -> None:
    probe, skipped = shaped(patients.dead())["cases"][0]["probes"]
    assert probe == {
        "kind": "import",
        "subject": "torch",
        "after": [],
        "ending": "crashed",
        "reason": "was killed by SIGSEGV (Segmentation fault)",
        "trials": [],
        "measured": [],
        "loading": patients.CRASH.loading,
        "stack": list(patients.CRASH.stack),
        "log": patients.CRASH.log,
        "again": "/home/ada/venv/bin/python -c 'import torch'",
        "seconds": 1.2,
    }
    assert (skipped["ending"], skipped["reason"]) == ("skipped", patients.SPOILED)
    assert shaped(patients.healthy(probes=UNASKED))["cases"][0]["probes"] == {"unknown": "only files were read"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_question_and_experiment_follows_the_schema(kind: Kind) -> None:
    outcomes: tuple[Outcome, ...] = get_args(Outcome)
    endings = get_args(Ending)
    trials = [kit.trial(outcome, outcome, error="3.1e-07") for outcome in outcomes]
    probes = tuple(kit.probe(kind, "it", ending, *trials, measured={"version": "2.8.0"}) for ending in endings)
    shown = shaped(patients.healthy(probes=probes))["cases"][0]["probes"]
    assert [probe["ending"] for probe in shown] == list(endings)
    assert shown[0]["measured"] == [{"name": "version", "value": "2.8.0"}]
    assert shown[0]["trials"][1] == {
        "name": "wrong",
        "outcome": "wrong",
        "detail": "",
        "measured": [{"name": "error", "value": "3.1e-07"}],
    }


@pytest.mark.parametrize(
    "changes", [{"gpus": Unknown("no NVML"), "driver": Unknown("no /proc")}, {"gpus": (), "driver": None}]
)
def test_what_is_unknown_or_absent_follows_the_schema(changes: dict[str, Any]) -> None:
    target = shaped(patients.sick(**changes))["cases"][0]["target"]
    assert target["gpus"] == ([] if changes["gpus"] == () else {"unknown": "no NVML"})
    assert target["driver"] == (None if changes["driver"] is None else {"unknown": "no /proc"})


def test_the_primary_finding_is_named_and_its_consequence_points_to_it() -> None:
    case = shaped(patients.sick())["cases"][0]
    findings = {f["rule"]: f for run in case["runs"] for f in run["findings"]}
    assert case["primary"] == findings["cudnn-unreachable"]["fingerprint"]
    assert findings["library-path-shadows"]["consequence_of"] == case["primary"]
    assert findings["cudnn-unreachable"]["consequence_of"] is None


def test_a_finding_has_the_promised_fields_with_a_command_for_each_step() -> None:
    case = shaped(patients.sick())["cases"][0]
    (finding,) = case["runs"][2]["findings"]
    assert finding == {
        "rule": "cudnn-unreachable",
        "severity": "error",
        "subject": "ctranslate2 4.6.1",
        "message": patients.CUDNN.message,
        "evidence": [
            {"what": e.what, "value": e.value, "where": e.where, "again": ""} for e in patients.CUDNN.evidence
        ],
        "remedy": {
            "summary": "Install ctranslate2 4.6.3 or newer",
            "safety": "ask",
            "price": "",
            "steps": [
                {
                    "do": "install-packages",
                    "command": "uv pip install --python /home/ada/venv/bin/python 'ctranslate2>=4.6.3'",
                    "tool": ["uv", "pip"],
                    "python": "/home/ada/venv/bin/python",
                    "requirements": ["ctranslate2>=4.6.3"],
                    "reinstall": False,
                    "torch_backend": None,
                }
            ],
        },
        "durable": None,
        "consequence_of": None,
        "fingerprint": patients.CUDNN.fingerprint,
    }


STEPS: tuple[tuple[Step, str, str], ...] = (
    (InstallPackages(("uv", "pip"), "p", ("a",)), "install-packages", "uv pip install --python p a"),
    (RemovePackages(("uv", "pip"), "p", ("a",)), "remove-packages", "uv pip uninstall --python p a"),
    (MakeLink("/a", "b"), "make-link", "ln -sfn b /a"),
    (RemoveFile("/a b", "it is stale"), "remove-file", "rm '/a b'"),
    (RestoreFile("/a", "/a.bak"), "restore-file", "mv /a.bak /a"),
    (ListInRecord("/RECORD", ("a",), ("b",)), "list-in-record", ""),
    (ClearExecutableStack("/a.so"), "clear-executable-stack", ""),
    (EditPins("/pyproject.toml", ("torch==2.8.0",)), "edit-pins", ""),
    (SetVariable("A", "b c"), "set-variable", "export A='b c'"),
    (SetVariable("A", None), "set-variable", "unset A"),
    (RunByHand("reboot", "it is new"), "run-by-hand", "reboot"),
)


def test_every_kind_of_step_follows_the_schema() -> None:
    assert {type(step) for step, _, _ in STEPS} == set(get_args(Step))
    remedy = Remedy("Do", "manual", tuple(step for step, _, _ in STEPS))
    finding = Finding("driver-too-old", "error", "driver", "Old.", (), remedy)
    case = shaped(patients.report([CheckRun("driver-too-old", "failed", findings=(finding,))]))["cases"][0]
    shown = case["runs"][0]["findings"][0]["remedy"]["steps"]
    assert [(step["do"], step["command"]) for step in shown] == [(do, line) for _, do, line in STEPS]


def test_both_remedies_and_their_price_are_told() -> None:
    least, lasting = Remedy("Link.", "safe", price="a reinstall takes it away"), Remedy("Upgrade.", "ask")
    finding = Finding("driver-too-old", "error", "driver", "Old.", (), least, durable=lasting)
    case = shaped(patients.report([CheckRun("driver-too-old", "failed", findings=(finding,))]))["cases"][0]
    (shown,) = case["runs"][0]["findings"]
    assert (shown["remedy"]["price"], shown["durable"]["summary"]) == ("a reinstall takes it away", "Upgrade.")


def test_the_document_is_ascii_whatever_was_found() -> None:
    finding = Finding("driver-too-old", "error", "\x9b\u202e\ud800", "é", ())
    text = as_json.render(patients.report([CheckRun("driver-too-old", "failed", findings=(finding,))]))
    assert text.isascii()
    assert json.loads(text)["cases"][0]["runs"][0]["findings"][0]["subject"] == "\x9b\u202e\ud800"
    hostile = kit.probe("import", "\x1b[2J", "crashed", log="\x1b]0;owned\x07\x9b", stack=("\u202e",), again="\ud800")
    text = as_json.render(patients.healthy(probes=(hostile,)))
    assert text.isascii()
    assert "\x1b" not in text


def test_the_driver_is_written_as_nvidia_does() -> None:
    report = patients.healthy()
    shape = as_json.shape(report)
    assert shape["cases"][0]["target"]["driver"]["version"] == report.cases[0].inventory.driver.label  # type: ignore[union-attr]
    assert shape["cases"][0]["target"]["driver"]["version"] == "580.95.05"


def test_what_is_ignored_stands_beside_the_cases_with_its_reason() -> None:
    document = shaped(preflights.ignoring())
    (ignored,) = document["ignored"]
    assert ignored["finding"]["fingerprint"] == patients.CLASH.fingerprint
    assert {name: ignored[name] for name in ("reason", "until", "where")} == {
        "reason": "the CPU build is meant here",
        "until": "2027-01-01",
        "where": "pyproject.toml:20",
    }
    assert [run["findings"] for case in document["cases"] for run in case["runs"]] == [[]] * 5
    assert shaped(patients.sick())["ignored"] == []
