"""Annotations of GitHub Actions: one a finding, and nothing that a finding says is obeyed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_doctor.model.case import Report
from gpu_doctor.model.finding import CheckRun
from gpu_doctor.model.plan import Plan
from gpu_doctor.model.remedy import RunByHand
from gpu_doctor.report.ci import as_github
from tests.report import full, patients, planned, preflights, recorded, repairs

LINE = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def annotations(report: Report, base: str = "") -> list[tuple[str, dict[str, str], str]]:
    """Return what the runner of GitHub would understand: every command, its properties and its message."""
    found = []
    for line in as_github.render(report, base).splitlines():
        if line.lstrip().startswith("::"):
            match = LINE.fullmatch(line)
            assert match, line
            pairs = (pair.split("=", 1) for pair in match[2].split(","))
            found.append((match[1], {name: unescaped(value) for name, value in pairs}, unescaped(match[3])))
        else:
            assert "##[" not in line
    return found


def unescaped(text: str) -> str:
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, character)
    return text


@pytest.mark.parametrize("name", recorded.NAMES)
def test_a_recorded_patient_has_as_many_annotations_as_findings(name: str) -> None:
    report = recorded.report(name)
    (case,) = report.cases
    found = annotations(report)
    assert [properties["title"] for _, properties, _ in found] == [f"{f.rule}: {f.subject}" for f in case.findings]
    assert [command == "notice" for command, _, _ in found] == [f.severity == "note" for f in case.findings]


def test_an_annotation_says_what_where_and_what_heals() -> None:
    command, properties, message = annotations(patients.sick())[0]
    assert command == "error"
    assert properties == {"title": "cudnn-unreachable: ctranslate2 4.6.1", "file": patients.LOADER}
    assert message == f"{patients.CUDNN.message}\nRemedy: Install ctranslate2 4.6.3 or newer"


def test_a_consequence_is_a_notice_that_names_its_cause() -> None:
    command, _, message = annotations(patients.sick())[2]
    assert command == "notice"
    assert message == f"{patients.SHADOW.message}\nExplained by cudnn-unreachable: {patients.CUDNN.message}"


def test_files_of_the_project_are_relative_to_it() -> None:
    _, properties, _ = annotations(patients.sick(), patients.HOME)[0]
    assert f"{patients.HOME}/{properties['file']}" == patients.LOADER


def test_health_is_no_annotation_but_a_line() -> None:
    assert as_github.render(patients.healthy()) == "gpu-doctor: /home/ada/venv: healthy\n"


def test_a_crashed_rule_is_a_line() -> None:
    assert annotations(patients.crashed()) == []
    first, last = as_github.render(patients.crashed()).splitlines()
    assert first == "gpu-doctor: the rule driver-too-old broke, so the verdict lacks it: KeyError: 'sm_90'"
    assert last.endswith(": undetermined")


def test_requirements_that_are_not_met_are_annotations_at_the_line_that_asks() -> None:
    report = preflights.preflight()
    found = annotations(report)
    assert len(found) == len(report.cases[0].findings) + 2
    assert found[0][0] == "error"
    assert found[0][1] == {"title": "requirement/kernels:sm_120", "file": "pyproject.toml", "line": "12"}
    assert found[1] == ("warning", {"title": "requirement/driver>=570"}, preflights.OPEN.message)


def test_characters_that_mean_something_are_escaped() -> None:
    finding = replace(patients.CLASH, subject="a,b:c%\r\nd", message="100 % of\r\n::set-output name=x::y")
    line, _ = as_github.render(
        patients.report([CheckRun("ort-packages-clash", "failed", findings=(finding,))])
    ).splitlines()
    assert line.startswith("::warning title=ort-packages-clash%3A a%2Cb%3Ac%25 d,file=")
    assert "::100 %25 of ::set-output name=x::y%0ARemedy: " in line


def test_a_line_of_the_log_is_no_command() -> None:
    report = patients.report([CheckRun("driver-too-old", "crashed", "##[add-mask]x\n::stop-commands::y")])
    assert as_github.render(report).splitlines()[0].endswith(": ## [add-mask]x ::stop-commands::y")


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.sampled_from("a:%,#[]\r\n\u2028 =x"), max_size=30) | st.text(max_size=30))
def test_no_text_adds_or_hides_an_annotation(words: str) -> None:
    report = full.everything(lambda: words)
    treatments, regressions, benches = 1, 2, 2
    told = treatments + regressions + benches
    assert len(annotations(report)) == 2 + sum(len(case.findings) for case in report.cases) + told


def test_the_summary_of_a_step_is_markdown_below_githubs_limit() -> None:
    assert as_github.step_summary(patients.sick()).startswith("## gpu-doctor: sick — `/home/ada/venv`\n")
    long = replace(patients.CLASH, message="ä" * 1900)
    many = patients.report([CheckRun("ort-packages-clash", "failed", findings=(long,) * 500)])
    assert len(as_github.step_summary(many).encode()) < 2**20


def test_each_treatment_is_a_notice_with_its_commands_and_what_is_held_back_a_line() -> None:
    found = annotations(planned.planned(), patients.HOME)
    notices = [(p["title"], message) for command, p, message in found if p["title"].startswith("fix: ")]
    assert [title for title, _ in notices] == [
        "fix: cudnn-unreachable: ctranslate2 4.6.1",
        "fix: ort-packages-clash: onnxruntime, onnxruntime-gpu",
    ]
    assert {command for command, p, _ in found if p["title"].startswith("fix: ")} == {"notice"}
    lines = notices[0][1].split("\n")
    assert lines[0] == "Would be repaired by: Place links beside the loader."
    assert lines[1].startswith("ln -sfn ../nvidia/cudnn/lib/libcudnn_cnn.so.9 ")
    assert "gpu-doctor: held back: driver-too-old: this is for a person to do" in as_github.render(planned.planned())
    assert len(found) == len(planned.planned().cases[0].findings) + 2


def test_each_workload_is_a_notice_with_its_figures_and_a_regression_an_error() -> None:
    found = annotations(planned.bad())
    kinds = [(command, properties["title"]) for command, properties, _ in found]
    assert kinds == [
        ("error", "bench-fails: stft on cuda:0"),
        *[("error", "bench-regression: whisper on cuda:0")] * 3,
        ("notice", "bench: whisper on cpu"),
        ("notice", "bench: whisper on cuda:0"),
        ("notice", "bench: matmul on cuda:0"),
        ("notice", "bench: stft on cuda:0"),
    ]
    slow, matmul, died = (message for _, _, message in found[-3:])
    assert slow.split("\n")[:2] == [
        "NVIDIA GeForce RTX 4090 · whisper small · float16",
        "rtf: 0.400 (10.0 s of audio in 4.00 s)",
    ]
    assert "matmul float16 8192: 612 TFLOP/s (62% of 989 in theory)" in matmul
    assert died == "crashed while loading: was killed by SIGSEGV"
    lines = as_github.render(planned.bad()).splitlines()
    assert lines[-2:] == [
        "gpu-doctor: left out: xtts: coqui-tts is not installed: uv pip install coqui-tts",
        "gpu-doctor: /home/ada/venv: failed",
    ]


def test_a_command_of_a_plan_is_told_whole() -> None:
    long = "x" * 5000
    steps = (RunByHand(long, "y"),)
    treatment = replace(repairs.TREATMENT, steps=steps)
    assert long in annotations(planned.planned(Plan((treatment,), ())))[-1][2]
