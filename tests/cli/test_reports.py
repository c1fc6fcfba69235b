"""Several formats in one run: what goes where, what is refused, and what GitHub is handed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gpu_doctor import doctor
from gpu_doctor.cli import reports
from gpu_doctor.cli.app import run
from gpu_doctor.cli.options import ReportFormat
from gpu_doctor.cli.reports import Wish, paired
from gpu_doctor.errors import UsageError
from gpu_doctor.model.target import Target
from gpu_doctor.report.formats import FORMATS
from tests.report import patients

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Check Ada's sick environment with these options, in a folder of its own; return exit code and output."""
    monkeypatch.setenv("HOME", patients.HOME)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "choose", lambda python, prefix, *_: Target(python, prefix, "--python"))
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: patients.sick())

    def call(*options: str) -> tuple[int, str, str]:
        return (run(("check", "--python", "x", *options)), *capsys.readouterr())

    return call


def formats(*names: str) -> list[ReportFormat]:
    return [ReportFormat(name) for name in names]


# --- Which goes where ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "outputs", "wanted"),
    [
        ([], [], [Wish("text")]),
        ([], ["a"], [Wish("text", "a")]),
        (["json"], [], [Wish("json")]),
        (["json"], ["-"], [Wish("json")]),
        (["sarif", "junit", "text"], ["a.sarif", "b.xml"], [Wish("sarif", "a.sarif"), Wish("junit", "b.xml"), Wish("text")]),
        (["text", "sarif"], ["-", "a.sarif"], [Wish("text"), Wish("sarif", "a.sarif")]),
        (["text", "sarif"], ["a.sarif"], [Wish("text"), Wish("sarif", "a.sarif")]),
        (["github", "json", "junit"], ["b.xml", "a.json"], [Wish("github"), Wish("json", "a.json"), Wish("junit", "b.xml")]),
        (["github", "json", "html"], ["-", "a.json", "a.html"], [Wish("github"), Wish("json", "a.json"), Wish("html", "a.html")]),
        (["json", "gitlab", "text"], ["a.json", "b.json"], [Wish("json", "a.json"), Wish("gitlab", "b.json"), Wish("text")]),
        (["json", "gitlab"], ["a.json", "b.json"], [Wish("json", "a.json"), Wish("gitlab", "b.json")]),
        (["json", "text"], [os.devnull, os.devnull], [Wish("json", os.devnull), Wish("text", os.devnull)]),
    ],
)  # fmt: skip
def test_a_file_is_for_the_format_it_ends_like_else_in_order(
    names: list[str], outputs: list[str], wanted: list[Wish]
) -> None:
    assert list(paired(formats(*names), outputs)) == wanted


@pytest.mark.parametrize(
    ("names", "outputs", "says"),
    [
        (["json", "text"], [], "json and text would both be written to stdout"),
        (["json", "text", "sarif"], ["a.json"], "text and sarif would both be written to stdout"),
        (["json", "sarif"], ["a", "./a"], "json and sarif would both be written to ./a"),
        (["json"], ["a.json", "b"], "--output b has no --format"),
        ([], ["a", "-"], "--output - has no --format"),
        (["json", "text"], ["a.json", ""], "--output is empty: name a file"),
        (["text", "sarif"], ["a.sarif", "b"], "a.sarif would be written as text, not as sarif"),
    ],
)
def test_what_cannot_be_meant_is_refused(names: list[str], outputs: list[str], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        paired(formats(*names), outputs)
    assert refused.value.message == says


# --- In one run ---------------------------------------------------------------------------------------------------------


def test_three_formats_of_one_run(cli: Cli, tmp_path: Path) -> None:
    words = "--format sarif --output a.sarif --format junit --output b.xml --format text"
    code, out, err = cli(*words.split())
    assert (code, err) == (1, "")
    assert out.startswith("~/venv (Python 3.11.7, uv)")
    (results,) = [r["results"] for r in json.loads((tmp_path / "a.sarif").read_text())["runs"]]
    assert len(results) == 3
    assert len(list(ElementTree.parse(tmp_path / "b.xml").iter("testcase"))) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sarif", "b.xml"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_written_to_stdout_alone(cli: Cli, name: str) -> None:
    code, out, err = cli("--format", name)
    assert (code, err) == (1, "")
    assert "cudnn-unreachable" in out


def test_a_misuse_is_said_before_anything_is_examined(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: pytest.fail("examined"))
    code, out, err = cli("--format", "json", "--format", "sarif")
    assert (code, out) == (2, "")
    assert err.startswith("gpu-doctor: json and sarif would both be written to stdout\n")


def test_nothing_is_on_stdout_where_a_file_cannot_be_written(cli: Cli) -> None:
    code, out, err = cli("--format", "text", "--output", "-", "--format", "json", "--output", "absent/a.json")
    assert (code, out) == (2, "")
    assert err.startswith("gpu-doctor: cannot write absent/a.json")


def test_rules_have_their_help_and_paths_are_relative_to_where_we_stand(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_here", lambda: patients.HOME)
    (document,) = json.loads(cli("--format", "sarif")[1])["runs"]
    assert all("What to do" in rule["help"]["text"] for rule in document["tool"]["driver"]["rules"])
    place = document["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"].startswith("venv/lib/")


def test_a_folder_that_is_gone_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert [wish.output for wish in paired(formats("json", "text"), ["a.json"])] == ["a.json", None]
    reports.deliver_report(patients.sick(), paired(formats("gitlab"), [str(tmp_path / "a.json")]))
    assert len(json.loads((tmp_path / "a.json").read_text())) == 3


def test_a_command_draws_the_formats_that_are_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    own = {"text": lambda wish, given: f"{wish.output} {given.redact}\n"}
    wishes = (Wish("text"), Wish("text", "a.txt"), Wish("gitlab", "a.json"))
    reports.deliver_report(patients.sick(), wishes, redact=True, own=own)
    assert capsys.readouterr().out == "None True\n"
    assert (tmp_path / "a.txt").read_text() == "a.txt True\n"
    assert len(json.loads((tmp_path / "a.json").read_text())) == 3


def test_nothing_of_its_own_is_on_stdout_where_a_file_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    wishes = (Wish("text"), Wish("gitlab", "absent/a.json"))
    with pytest.raises(UsageError):
        reports.deliver_report(patients.sick(), wishes, own={"text": lambda *_: "own\n"})
    assert capsys.readouterr().out == ""


# --- Redaction ----------------------------------------------------------------------------------------------------------


def test_markdown_is_redacted_and_json_only_when_asked(cli: Cli) -> None:
    assert patients.HOME not in cli("--format", "markdown")[1]
    assert patients.HOME in cli("--format", "json")[1]
    redacted = cli("--format", "json", "--redact")[1]
    assert patients.HOME not in redacted
    assert json.loads(redacted)["cases"][0]["target"]["interpreter"]["prefix"] == "~/venv"


def test_a_redacted_text_has_commands_that_run(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    _, out, _ = cli("--redact")
    assert "gpu-doctor fix cudnn-unreachable --python ~/venv/bin/python\n" in out


def test_this_process_knows_its_user_its_machine_and_both_paths_of_its_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real, link = tmp_path / "real", tmp_path / "lovelace"
    real.mkdir()
    link.symlink_to(real)
    monkeypatch.setenv("HOME", str(link))
    monkeypatch.setenv("USER", "grace")
    monkeypatch.setenv("HF_TOKEN", "correct-horse")
    private = reports.private()
    assert {str(real), str(link)} <= set(private.homes)
    assert {"grace", "lovelace"} <= set(private.names)
    assert private.secrets == ("correct-horse",) or "correct-horse" in private.secrets


def test_a_user_without_a_name_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert reports._user() == ""


# --- GitHub -------------------------------------------------------------------------------------------------------------


def test_the_summary_of_the_step_is_appended_and_redacted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    code, out, err = cli("--format", "github")
    assert (code, err) == (1, "")
    assert out.count("\n::") + out.startswith("::") == 3
    assert page.read_text().startswith("before\n## gpu-doctor: sick — `~/venv`\n")
    assert patients.HOME not in page.read_text()


def test_no_summary_is_written_for_other_formats(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    cli("--format", "markdown")
    assert list(tmp_path.iterdir()) == []


def test_a_summary_that_cannot_be_written_is_a_complaint(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/nonexistent/page.md")
    code, out, err = cli("--format", "github")
    assert code == 1
    assert out.startswith("::error ")
    assert err == "gpu-doctor: cannot write the step's summary to /nonexistent/page.md: No such file or directory\n"
