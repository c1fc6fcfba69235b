"""`gpu-doctor fix` in every format: a plan in those of a check, a repair in text and JSON, on stdout and in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from gpu_doctor.cli.app import run
from gpu_doctor.report.formats import FORMATS
from tests.cli.test_fix import NOBODY, Person, healthy_in, link_of
from tests.fix.ground import tree

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/fix-1.json").read_text(encoding="utf-8"))
LINK = "ctranslate2.libs/libcudnn_ops.so.9"
PLANS = tuple(name for name in FORMATS if name not in ("text", "json"))

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """Ada's environment, with a link to nothing beside a package's libraries."""
    environment = healthy_in(tmp_path / "ada")
    (environment.site / LINK).symlink_to("/nowhere/libcudnn_ops.so.9")
    return environment.prefix


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sick: Path) -> Run:
    """Run `fix` there without a terminal; return its exit code, stdout and stderr."""
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LD_LIBRARY_PATH", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    written = tmp_path / "written"
    written.mkdir()
    monkeypatch.chdir(written)

    def call(*options: str) -> tuple[int, str, str]:
        code = run(("fix", "--prefix", str(sick), *options))
        out, err = capsys.readouterr()
        return code, out, err

    return call


# --- A plan -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_a_plan_is_alone_on_stdout_in_every_format(cli: Run, sick: Path, name: str) -> None:
    before = tree(sick, inodes=True)
    code, out, err = cli("--dry-run", "--format", name)
    assert (code, err) == (1, "")
    assert "library-links-stale" in out
    assert tree(sick, inodes=True) == before


def test_each_format_says_that_the_finding_would_be_repaired(cli: Run) -> None:
    (document,) = json.loads(cli("--dry-run", "--format", "sarif")[1])["runs"]
    (result,) = (r for r in document["results"] if r["ruleId"] == "library-links-stale")
    assert result["properties"]["plan"]["treated"] is True
    step, record = result["properties"]["plan"]["steps"]
    assert (step.startswith("rm "), record.startswith("# list-in-record ")) == (True, True)
    case = ElementTree.fromstring(cli("--dry-run", "--format", "junit")[1]).find(
        ".//testcase[@name='library-links-stale']"
    )
    assert case is not None
    assert step in (case.findtext("system-out") or "")
    assert "::notice title=fix%3A library-links-stale" in cli("--dry-run", "--format", "github")[1]
    assert "gpu_doctor_planned_repairs{" in cli("--dry-run", "--format", "prometheus")[1]
    assert "### Plan" in cli("--dry-run", "--format", "markdown")[1]
    assert "case-1-plan" in cli("--dry-run", "--format", "html")[1]


def test_several_formats_of_one_plan(cli: Run, tmp_path: Path) -> None:
    words = "--dry-run --format sarif --output a.sarif --format json --output b.json --format text"
    code, out, err = cli(*words.split())
    assert (code, err) == (1, "")
    assert out.count("PLAN  1 repair") == 1
    shown = json.loads((tmp_path / "written/b.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(shown)
    assert shown["status"] == "planned"
    assert sorted(path.name for path in (tmp_path / "written").iterdir()) == ["a.sarif", "b.json"]


def test_a_plan_can_be_written_to_a_file_as_text(cli: Run, tmp_path: Path) -> None:
    _, stdout, _ = cli("--dry-run", "--format", "text")
    code, out, err = cli("--dry-run", "--output", "plan.txt")
    assert (code, out, err) == (1, "", "")
    assert " ".join((tmp_path / "written/plan.txt").read_text().split()) == " ".join(stdout.split())


def test_of_what_is_not_meant_there_is_no_plan(cli: Run) -> None:
    code, out, _ = cli("onnxruntime", "--dry-run", "--format", "sarif")
    assert code == 0
    assert [r for r in json.loads(out)["runs"][0]["results"] if "plan" in r["properties"]] == []


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("options", [(), ("--yes",), ("--format", "json", "--output", "a.json")])
def test_a_repair_is_not_told_in_the_formats_of_a_plan(
    cli: Run, sick: Path, name: str, options: tuple[str, ...]
) -> None:
    code, out, err = cli(*options, "--format", name)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"gpu-doctor: --format {name} shows a plan, so it needs --dry-run",
        "  text and json tell of repairs, too",
    ]
    assert link_of(sick).is_symlink()


def test_two_formats_for_one_place_are_refused_before_anything_is_looked_at(cli: Run, sick: Path) -> None:
    code, out, err = cli("--yes", "--format", "json", "--format", "text")
    assert (code, out) == (2, "")
    assert err.startswith("gpu-doctor: json and text would both be written to stdout\n")
    assert link_of(sick).is_symlink()


# --- A repair -----------------------------------------------------------------------------------------------------------


def test_a_repair_is_told_in_a_file_and_on_stdout(cli: Run, sick: Path, tmp_path: Path) -> None:
    code, out, err = cli("--yes", "--format", "json", "--output", "a.json", "--format", "text")
    assert (code, err, link_of(sick).is_symlink()) == (0, "", False)
    assert out.count("PLAN  1 repair") == 1
    assert out.index("PLAN  1 repair") < out.index("HEALED  library-links-stale")
    assert json.loads((tmp_path / "written/a.json").read_text())["status"] == "healed"


def test_a_text_in_a_file_begins_with_the_plan(cli: Run, sick: Path, tmp_path: Path) -> None:
    code, out, err = cli("--yes", "--output", "a.txt")
    assert (code, out, err, link_of(sick).is_symlink()) == (0, "", "", False)
    text = (tmp_path / "written/a.txt").read_text()
    assert text.count("PLAN  1 repair") == 1
    assert text.index("PLAN  1 repair") < text.index("HEALED  library-links-stale")


def test_what_nobody_consents_to_is_shown_and_written_as_a_plan(cli: Run, sick: Path, tmp_path: Path) -> None:
    code, out, err = cli("--output", "a.txt")
    assert (code, out, link_of(sick).is_symlink()) == (1, "", True)
    assert "PLAN  1 repair" in err
    assert err.endswith(NOBODY)
    assert (tmp_path / "written/a.txt").read_text().count("PLAN  1 repair") == 1


def test_a_person_whose_text_goes_to_a_file_sees_what_is_asked(sick: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    person = Person("fix", "--prefix", str(sick), "--output", str(file))
    code, out, seen = person.answer("Apply this? [y/N] ", "y\n")
    assert (code, out, link_of(sick).is_symlink()) == (0, "", False)
    assert "PLAN  1 repair" in seen
    assert "HEALED" not in seen
    assert "HEALED" in file.read_text()


# --- Redaction ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_a_plan_is_redacted_where_that_is_wished(cli: Run, tmp_path: Path, name: str) -> None:
    out = cli("--dry-run", "--format", name, "--redact")[1]
    assert "library-links-stale" in out
    assert str(tmp_path / "ada") not in out


def test_markdown_is_redacted_unasked_and_json_is_not(cli: Run, tmp_path: Path) -> None:
    assert str(tmp_path / "ada") not in cli("--dry-run", "--format", "markdown")[1]
    assert str(tmp_path / "ada") in cli("--dry-run", "--format", "json")[1]


def test_a_repair_is_redacted_where_that_is_wished(cli: Run, sick: Path, tmp_path: Path) -> None:
    code, out, _ = cli(
        "--yes", "--redact", "--format", "text", "--output", "-", "--format", "json", "--output", "a.json"
    )
    assert (code, link_of(sick).is_symlink()) == (0, False)
    text = (tmp_path / "written/a.json").read_text()
    assert str(tmp_path / "ada") not in out + text
    assert json.loads(text)["prefix"] == "~/venv"
    assert "takes it back" in out
    assert "--prefix ~/venv" in " ".join(out.split())
