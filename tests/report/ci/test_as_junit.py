"""JUnit XML: read by three readers that know nothing of each other's code, and true to the report."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import junitparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gpu_doctor.model.case import Report
from gpu_doctor.model.finding import CheckRun
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.ci import as_junit
from tests.report import full, patients, planned, preflights, recorded

ENDINGS = ("failure", "error", "skipped")


def read(report: Report) -> ElementTree.Element:
    """Return the document as expat reads it; libxml2 and a reader of JUnit must read the same in it."""
    text = as_junit.render(report)
    root = ElementTree.fromstring(text)
    strict = etree.fromstring(text.encode(), etree.XMLParser(recover=False, resolve_entities=False))
    assert [element.tag for element in strict.iter()] == [element.tag for element in root.iter()]
    assert [dict(element.attrib) for element in strict.iter()] == [element.attrib for element in root.iter()]
    suites = junitparser.JUnitXml.fromstring(text.encode())
    assert [suite.name for suite in suites] == [suite.get("name") for suite in root]
    for suite, element in zip(suites, root, strict=True):
        tests = list(suite)
        counted = Counter(type(result).__name__.lower() for test in tests for result in test.result)
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (
            len(tests), counted["failure"], counted["error"], counted["skipped"],
        )  # fmt: skip
        assert [test.name for test in tests] == [case.get("name") for case in element.iter("testcase")]
    return root


def endings(root: ElementTree.Element) -> dict[str, str]:
    """Return how each test case ended."""
    found = {}
    for case in root.iter("testcase"):
        tags = [child.tag for child in case if child.tag in ENDINGS]
        assert len(tags) <= 1
        found[str(case.get("name"))] = tags[0] if tags else "passed"
    return found


def case_of(root: ElementTree.Element, name: str) -> ElementTree.Element:
    (case,) = (case for case in root.iter("testcase") if case.get("name") == name)
    return case


def test_each_rule_is_a_test_case_that_ends_as_its_run_did() -> None:
    root = read(patients.sick())
    assert endings(root) == {
        "driver-too-old": "passed",
        "ort-packages-clash": "failure",
        "cudnn-unreachable": "failure",
        "library-path-shadows": "skipped",
        "kernel-image-missing": "skipped",
    }
    assert [case.get("classname") for case in root.iter("testcase")][:2] == ["gpu-doctor.host", "gpu-doctor.packages"]


def test_a_failure_says_its_severity_what_was_seen_and_what_heals() -> None:
    root = read(patients.sick())
    (error,) = case_of(root, "cudnn-unreachable")
    (warning,) = case_of(root, "ort-packages-clash")
    assert (error.get("type"), warning.get("type")) == ("error", "warning")
    assert error.get("message") == patients.CUDNN.message
    assert f"cuDNN beside it: 9.10.2.21 ({patients.SITE}/nvidia_cudnn_cu12-9.10.2.21.dist-info)" in (error.text or "")
    assert "  uv pip install --python /home/ada/venv/bin/python 'ctranslate2>=4.6.3'" in (error.text or "")


def test_a_consequence_fails_nothing_and_names_its_cause() -> None:
    (skipped,) = case_of(read(patients.sick()), "library-path-shadows")
    assert (skipped.get("message") or "").startswith("explained by cudnn-unreachable: LD_LIBRARY_PATH puts")


def test_a_consequence_whose_cause_is_not_here_fails() -> None:
    alone = patients.report([CheckRun("library-path-shadows", "failed", findings=(patients.SHADOW,))])
    assert endings(read(alone)) == {"library-path-shadows": "failure"}


def test_a_mere_note_passes_and_is_told() -> None:
    note = replace(patients.CLASH, severity="note")
    root = read(patients.report([CheckRun("ort-packages-clash", "failed", findings=(note,))]))
    assert endings(root) == {"ort-packages-clash": "passed"}
    assert patients.CLASH.message in (case_of(root, "ort-packages-clash").findtext("system-out") or "")


def test_health_is_green() -> None:
    root = read(patients.healthy())
    assert set(endings(root).values()) == {"passed"}
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == ("0", "0", "0")


def test_what_could_not_be_judged_is_skipped_with_the_reason() -> None:
    root = read(patients.undetermined())
    assert set(endings(root).values()) == {"skipped"}
    assert {element.get("message") for element in root.iter("skipped")} == {"no package here uses a GPU"}


def test_a_crashed_rule_is_an_error() -> None:
    root = read(patients.crashed())
    assert endings(root) == {"driver-too-old": "error", "cudnn-unreachable": "passed"}
    assert [e.get("message") for e in root.iter("error")] == ["KeyError: 'sm_90'"]


def test_requirements_are_a_suite_of_their_own_with_their_times() -> None:
    root = read(preflights.preflight())
    suite = root[0]
    assert suite.get("name") == "requirements"
    assert {name: end for name, end in endings(root).items() if name.startswith("requirement/")} == {
        "requirement/kernels:sm_120": "failure",
        "requirement/driver>=570": "skipped",
        "requirement/torch-cuda": "passed",
    }
    assert case_of(root, "requirement/torch-cuda").get("time") == "4.250"
    assert suite.get("time") == "5.750"
    (skipped,) = case_of(root, "requirement/driver>=570")
    assert skipped.get("message") == "undetermined: No driver is known: give --driver."


@pytest.mark.parametrize("name", recorded.NAMES)
def test_a_recorded_patient_fails_where_it_is_sick(name: str) -> None:
    report = recorded.report(name)
    (case,) = report.cases
    ended = endings(read(report))
    assert set(ended) == {run.rule for run in case.runs}
    wanted = {f.rule for f in case.findings if f.severity != "note" and f.consequence_of is None}
    assert {rule for rule, end in ended.items() if end == "failure"} == wanted


def test_the_name_of_the_machine_is_not_told() -> None:
    text = as_junit.render(patients.sick())
    assert "hostname" not in text
    assert socket.gethostname() not in text or len(socket.gethostname()) < 4


def test_characters_that_xml_has_no_place_for_are_taken_out() -> None:
    words = "a\x00b\x1b[2J\ufffe\ud800]]><!--&\"'"
    finding = replace(patients.CLASH, message=words)
    root = read(patients.report([CheckRun("ort-packages-clash", "failed", findings=(finding,))]))
    (failure,) = case_of(root, "ort-packages-clash")
    assert failure.get("message") == "a\\x00b\\x1b[2J\\ud800]]><!--&\"'"


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40))
def test_any_text_gives_a_document_that_all_read_alike(words: str) -> None:
    report = full.everything(lambda: words)
    root = read(report)
    measured = 2 + 1
    assert len(list(root.iter("testcase"))) == 3 + sum(len(case.runs) for case in report.cases) + measured
    assert as_junit.render(report).isascii()


# --- A plan, and figures ------------------------------------------------------------------------------------------------


def test_the_plan_is_the_output_of_the_test_case_that_fails() -> None:
    root = read(planned.planned())
    case = case_of(root, "cudnn-unreachable")
    assert [child.tag for child in case] == ["failure", "system-out"]
    out = (case.findtext("system-out") or "").splitlines()
    assert out[0] == "Would be repaired by: Place links beside the loader."
    assert out[1].startswith("  ln -sfn ../nvidia/cudnn/lib/libcudnn_cnn.so.9 /home/ada/venv/")
    held = case_of(root, "driver-too-old").findtext("system-out")
    assert held == "Held back: this is for a person to do.\n  sudo apt install nvidia-driver-580"
    assert case_of(root, "library-path-shadows").find("system-out") is None
    assert all(case.find("system-out") is None for case in read(patients.sick()).iter("testcase"))


def test_each_workload_is_a_test_case_with_its_time_and_its_figures() -> None:
    root = read(planned.bad())
    assert endings(root) == {
        "bench-fails": "failure",
        "whisper on cpu": "passed",
        "whisper on cuda:0": "failure",
        "matmul on cuda:0": "passed",
        "stft on cuda:0": "failure",
        "xtts": "skipped",
    }
    slow = case_of(root, "whisper on cuda:0")
    assert (slow.get("classname"), slow.get("time")) == ("gpu-doctor.bench", "4.000")
    listed = {p.get("name"): p.get("value") for p in slow.iter("property")}
    assert (listed["seconds"], listed["rtf"], listed["speedup"]) == ("4 s", "0.4", "2")
    assert (listed["peak_rss_bytes"], listed["model"]) == ("2147483648 bytes", "whisper small")
    (properties,) = case_of(root, "matmul on cuda:0")
    assert [p.attrib for p in properties][-1] == {"name": "matmul float16 8192", "value": "612 TFLOP/s"}


def test_a_workload_fails_where_it_got_worse_or_died_and_is_skipped_where_left_out() -> None:
    root = read(planned.bad())
    worse = next(case_of(root, "whisper on cuda:0").iter("failure"))
    assert worse.get("type") == "regression"
    assert (worse.get("message") or "").endswith("(and 2 more)")
    assert len((worse.text or "").splitlines()) == 3
    (died,) = case_of(root, "stft on cuda:0")
    assert (died.get("type"), died.get("message")) == ("crashed", "crashed while loading: was killed by SIGSEGV")
    assert "terminate called" in (died.text or "")
    (left,) = case_of(root, "xtts")
    assert left.get("message") == "left out: coqui-tts is not installed: uv pip install coqui-tts"


def test_one_that_was_skipped_is_no_failure_and_a_shared_gpu_is_said() -> None:
    skipped = replace(planned.DIED, ending="skipped", reason="no GPU visible")
    shared = replace(planned.SLOW, before=Unknown("NVML is silent"))
    root = read(planned.measured(skipped, shared))
    assert endings(root) == {"stft on cuda:0": "skipped", "whisper on cuda:0": "passed"}
    out = case_of(root, "whisper on cuda:0").findtext("system-out")
    assert out == "not comparable: the GPU's state before is not known: NVML is silent"


def test_saved_benchmarks_of_an_environment_are_no_test_cases_of_a_check() -> None:
    assert "whisper on cuda:0" not in endings(read(patients.healthy(benches=(planned.SLOW,))))
