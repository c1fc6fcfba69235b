"""Markdown for an issue, read by a parser of CommonMark with tables: foreign text stays text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gpu_doctor.model.case import Report
from gpu_doctor.model.finding import CheckRun, Evidence
from gpu_doctor.model.inventory import Observation
from gpu_doctor.model.plan import Plan
from gpu_doctor.report.ci import as_markdown
from tests import kit
from tests.report import full, patients, planned, preflights, recorded, repairs

HTML = ("<details>", "<summary>", "</summary>", "</details>", "<!-- -->")


def tokens(report: Report) -> list[Token]:
    """Return everything that the text is made of; the only HTML in it is ours, and nothing is a link or a picture."""
    found = list(flat(MarkdownIt("commonmark").enable("table").parse(as_markdown.render(report))))
    assert {token.type for token in found} & {"link_open", "image", "em_open", "s_open"} == set()
    for token in found:
        if token.type in ("html_block", "html_inline"):
            assert any(mark in token.content for mark in HTML), token
            assert token.content.count("<") == sum(token.content.count(mark) for mark in HTML), token
    return found


def flat(found: list[Token]) -> Iterator[Token]:
    for token in found:
        yield token
        yield from flat(token.children or [])


def words(report: Report) -> str:
    """Return what a reader reads, HTML and code fences aside."""
    return "".join(token.content for token in tokens(report) if token.type in ("text", "code_inline"))


def fences(report: Report, language: str = "sh") -> list[str]:
    return [token.content for token in tokens(report) if token.type == "fence" and token.info == language]


def headings(report: Report) -> list[str]:
    found = tokens(report)
    return [found[at + 1].content for at, token in enumerate(found) if token.type == "heading_open"]


def test_the_verdict_comes_first_then_each_finding_that_stands_for_itself() -> None:
    assert headings(patients.sick()) == [
        "gpu-doctor: sick — `/home/ada/venv`",
        "error: `cudnn-unreachable`, ctranslate2 4.6.1",
        "warning: `ort-packages-clash`, onnxruntime, onnxruntime-gpu",
    ]
    text = words(patients.sick())
    assert text.count(patients.CUDNN.message) == 1
    assert patients.SHADOW.message in text


def test_a_remedy_is_a_block_that_can_be_copied() -> None:
    assert fences(patients.sick()) == [
        "uv pip install --python /home/ada/venv/bin/python 'ctranslate2>=4.6.3'\n",
        "uv pip uninstall --python /home/ada/venv/bin/python onnxruntime\n"
        "uv pip install --python /home/ada/venv/bin/python --reinstall --no-deps onnxruntime-gpu==1.20.2\n",
    ]


def test_evidence_is_a_table() -> None:
    cells = [token.content for token in tokens(patients.sick()) if token.type == "code_inline"]
    assert {"not found in 4 folders", "9.10.2.21", patients.LOADER} <= set(cells)


def test_what_a_child_printed_is_a_block_and_its_command_another() -> None:
    assert "terminate called" in "".join(fences(patients.dead(), ""))
    assert f"{patients.CRASH.again}\n" in fences(patients.dead())


def test_the_environment_and_its_packages_are_named() -> None:
    torch, other = kit.dist("torch", "2.8.0", cuda="12.8"), kit.dist("tidy", "1.0")
    report = patients.report(patients.passed("driver-too-old"), patients.environment(torch, other))
    assert "RTX 4090 (sm_89), driver 580.95.05" in words(report)
    assert "3.11.7" in words(report)
    (listed,) = fences(report, "")
    assert listed == "torch 2.8.0\n"


def test_what_could_not_be_told_is_folded_away_and_a_crash_is_not() -> None:
    seen = Observation("/opt/app/x.so", "Permission denied")
    text = as_markdown.render(patients.sick(observations=(seen,)))
    folded = text[text.index("<details><summary>What could not be told") :]
    assert "`kernel-image-missing`: no GPU known: give --gpu" in folded
    assert "`/opt/app/x.so`: Permission denied" in folded
    crashed = as_markdown.render(patients.crashed())
    assert "**The rule `driver-too-old` broke**, so the verdict lacks it: `KeyError: 'sm_90'`" in crashed
    assert "<details>" not in crashed


def test_an_undetermined_environment_says_why() -> None:
    assert patients.UNSTARTED in words(patients.unstarted())
    assert "Too little could be judged." in words(patients.undetermined())


def test_requirements_are_a_table_before_all() -> None:
    report = preflights.preflight()
    assert headings(report)[0] == "gpu-doctor preflight: 3 requirements, 2 not met"
    text = words(report)
    assert "kernels:sm_120not mettorch 2.8.0 has no code for sm_120." in text
    assert "torch-cudametton" not in text
    assert "undetermined" in text


@pytest.mark.parametrize("name", recorded.NAMES)
def test_a_recorded_patient_is_told_whole(name: str) -> None:
    report = recorded.report(name)
    text = words(report)
    for finding in report.cases[0].findings:
        assert finding.message in text
        assert finding.rule in text


HOSTILE = (
    "<script>alert(1)</script>",
    "[a](http://evil.example) ![b](x)",
    "@octocat #1 https://evil.example www.evil.example",
    "```\n# a\n```",
    "a|b|c",
    "- a\n+ b",
    "1. a",
    "# a",
    "**a** _b_ ~c~ `d",
    "\\",
    "&lt;",
    "<!-- x",
    "    x",
    "> x",
    "===",
)


def saying(message: str) -> Report:
    """A report with a finding that says this wherever it says something."""
    rows = (Evidence(message, message, message, message), Evidence(message, f"{message}\n{message}", message))
    finding = replace(patients.CLASH, message=message, subject=message, evidence=rows)
    return patients.report([CheckRun("ort-packages-clash", "failed", "", (patients.CUDNN, finding))])


def shape(report: Report) -> list[str]:
    return [t.type for t in tokens(report) if t.type not in ("text", "html_inline", "text_special", "softbreak")]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_foreign_text_stays_text(hostile: str) -> None:
    harmless = "\n".join("a" for _ in hostile.split("\n"))
    assert shape(saying(hostile)) == shape(saying(harmless))
    assert " ".join(hostile.split()) in words(saying(hostile))


def test_nobody_is_mentioned_and_no_issue_is_linked() -> None:
    finding = replace(patients.CLASH, message="@octocat see #12 and https://evil.example")
    text = as_markdown.render(patients.report([CheckRun("ort-packages-clash", "failed", findings=(finding,))]))
    for mark in ("@octocat", "#12", "https://evil"):
        assert mark not in text


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.sampled_from("a`*_<>[]()#|\\!&~@:-+1. \n"), max_size=25) | st.text(max_size=25))
def test_any_text_stays_text(hostile: str) -> None:
    found = tokens(full.everything(lambda: hostile))
    # Requirements, three cases, their findings, the plan and the figures.
    assert sum(token.type == "heading_open" for token in found) == 1 + 3 + 4 + 2


# --- A plan, and figures ------------------------------------------------------------------------------------------------


def test_the_plan_is_a_section_with_commands_that_can_be_copied() -> None:
    report = planned.planned()
    assert headings(report)[-1] == "Plan"
    text = as_markdown.render(report)
    part = text[text.index("### Plan") :]
    assert "**`cudnn-unreachable`, ctranslate2 4.6.1:** Would be repaired by: Place links beside the loader." in part
    assert f"```sh\nln -sfn ../nvidia/cudnn/lib/libcudnn_cnn.so.9 {repairs.LIBS}/libcudnn_cnn.so.9\n" in part
    assert "**`driver-too-old`, driver 520.61:** Held back: this is for a person to do." in part
    assert f"# list-in-record {repairs.INFO}/RECORD\n" in "".join(fences(report))
    assert "Plan" not in headings(patients.sick())


def test_a_plan_of_nothing_says_so() -> None:
    assert "There is nothing to repair." in words(planned.planned(Plan((), ())))


def test_figures_are_a_table_and_what_became_worse_a_list() -> None:
    report = planned.bad()
    assert headings(report) == [
        "gpu-doctor bench: failed — `/home/ada/venv`",
        "Figures",
        "error: `bench-fails`, stft on cuda:0",
    ]
    text = as_markdown.render(report)
    assert "| workload | figure | value |" in text
    assert "| `whisper on cuda:0` | ran as | NVIDIA GeForce RTX 4090 · whisper small · float16 |" in text
    assert "|  | speed-up | 2\\.00 × the CPU |" in text
    assert "|  | matmul float16 8192 | 612 TFLOP/s (62% of 989 in theory) |" in text
    assert "|  | matmul fp8 8192 | not measured, this GPU has none |" in text
    assert "| `stft on cuda:0` | not measured | crashed while loading: was killed by SIGSEGV |" in text
    assert text.count("- **worse:** whisper on cuda:0: ") == 3
    assert "- left out: `xtts`: coqui-tts is not installed: uv pip install coqui-tts" in text
    assert len([token for token in tokens(report) if token.type == "table_open"]) == 2


def test_good_figures_are_called_measured_and_are_no_verdict_on_the_environment() -> None:
    assert headings(planned.good()) == ["gpu-doctor bench: measured — `/home/ada/venv`", "Figures"]
    assert headings(planned.measured(planned.DIED))[0].startswith("gpu-doctor bench: not measured")
    assert headings(patients.healthy(benches=(planned.SLOW,))) == ["gpu-doctor: healthy — `/home/ada/venv`"]
    assert "What could not be told" not in as_markdown.render(planned.good())


def test_what_a_remedy_costs_is_a_sentence_of_its_own() -> None:
    (case,) = patients.sick().cases
    run = next(run for run in case.runs if run.findings and run.findings[0].remedy)
    finding = run.findings[0]
    assert finding.remedy is not None
    dear = replace(finding, remedy=replace(finding.remedy, summary="Link it.", price="a sync takes it away"))
    found = words(replace(patients.sick(), cases=(replace(case, runs=(replace(run, findings=(dear,)),)),)))
    assert "Remedy: Link it. Price: a sync takes it away." in found
