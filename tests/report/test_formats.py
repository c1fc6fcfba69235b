"""The table of formats, and drawing by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gpu_doctor.cli.options import ReportFormat
from gpu_doctor.report import as_json, as_text
from gpu_doctor.report.formats import FORMATS, Given, draw, summary
from gpu_doctor.report.paper import Look
from gpu_doctor.report.redact import Private
from tests.report import patients, planned, preflights

ROOT = Path(__file__).resolve().parents[2]


def test_the_command_line_offers_what_the_table_has() -> None:
    assert [one.value for one in ReportFormat] == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "report",
    [
        *(patients.sick(), patients.healthy(), patients.crashed(), preflights.preflight()),
        *(planned.planned(), planned.bad(), planned.good()),
    ],
)
def test_every_format_draws_every_kind_of_report_and_says_the_same_twice(name: str, report: object) -> None:
    given = Given(now=1.0, base="/opt/app", docs={"driver-too-old": "A title.\n\nWhat it finds. A driver."})
    text = draw(name, report, given)  # type: ignore[arg-type]
    assert text.strip()
    assert draw(name, report, given) == text  # type: ignore[arg-type]


def test_each_format_gets_what_it_takes() -> None:
    report = patients.sick()
    look = Look(width=60, home=patients.HOME)
    assert draw("text", report, Given(look=look, static=True)) == as_text.render(report, look, static=True)
    assert draw("json", report, Given()) == as_json.render(report)
    assert 'gpu_doctor_last_run_timestamp_seconds{environment="/home/ada/venv"} 5\n' in draw(
        "prometheus", report, Given(now=5)
    )
    assert "What it finds" in draw(
        "sarif", report, Given(docs={"driver-too-old": "A title.\n\nWhat it finds. A driver."})
    )
    assert '"uri": "venv/' in draw("sarif", report, Given(base=patients.HOME))
    assert ",file=venv/" in draw("github", report, Given(base=patients.HOME))
    assert '"path": "venv/' in draw("gitlab", report, Given(base=patients.HOME))


@pytest.mark.parametrize("name", ["text", "markdown"])
def test_commands_of_a_redacted_text_can_be_run(name: str) -> None:
    private = Private.of({}, "ada", "", patients.HOME)
    text = draw(name, patients.sick(), Given(private=private, redact=True))
    assert "--python ~/venv/bin/python" in text
    assert "'~/" not in text


def test_the_summary_of_a_step_is_redacted_markdown() -> None:
    text = summary(patients.sick(), Given(private=Private.of({}, "ada", "", patients.HOME)))
    assert text.startswith("## gpu-doctor: sick — `~/venv`\n")


def test_a_format_is_imported_when_it_is_drawn() -> None:
    code = (
        "import sys, gpu_doctor.report.formats as f\n"
        "loaded = {n for n in sys.modules if n.startswith('gpu_doctor.report.as_') or n.endswith('redact')}\n"
        "sys.exit(', '.join(loaded) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_check_in_text_imports_nothing_of_plans_and_comparisons() -> None:
    code = (
        "import sys, gpu_doctor.model.case, gpu_doctor.report.as_text\n"
        "late = {'gpu_doctor.model.plan', 'gpu_doctor.model.comparison', 'gpu_doctor.report.plans'}\n"
        "sys.exit(', '.join(late & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
