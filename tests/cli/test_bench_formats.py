"""`gpu-doctor bench` in every format: what goes where, what is redacted, and that exit codes stay."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gpu_doctor import doctor, measure
from gpu_doctor.bench.workloads import RECIPES, Recipe
from gpu_doctor.cli.app import run
from gpu_doctor.cli.figures import As, outputs
from gpu_doctor.cli.options import ReportFormat
from gpu_doctor.cli.reports import Wish
from gpu_doctor.model.bench import WORKLOADS
from gpu_doctor.report.formats import FORMATS
from tests.simulated import packages
from tests.simulated.packages import Env

HARNESS = Path(doctor.__file__).parent / "probe/scripts/_workload.py"
HEALTHY = """
import time
work.load(lambda: None)
work.repeat(lambda: time.sleep({}))
return work.finish(ran_on="cpu", device_name="it", model="a model", dtype="float32", audio_seconds=2.0)
"""
ABORTS = "import os; os.abort()"

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    return packages.environment(tmp_path)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, env: Env) -> Cli:
    """Run `bench` at the environment in a folder of its own; return exit code, stdout and stderr."""
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    written = tmp_path / "written"
    written.mkdir()
    monkeypatch.chdir(written)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(("bench", *arguments, "--python", env.python))
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def give(body: str) -> None:
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        head = f"import runpy\nWork = runpy.run_path({str(HARNESS)!r})['Work']\n"
        script = tmp_path / "stft.py"
        script.write_text(f"{head}def answer(argument, notes):\n    work = Work(argument, notes)\n{lines}\n")
        monkeypatch.setitem(RECIPES, "stft", Recipe(str(script), needs=()))

    return give


def test_it_offers_the_formats_of_a_check_and_svg() -> None:
    assert [one.value for one in As] == [*(one.value for one in ReportFormat), "svg"]


@pytest.mark.parametrize(
    ("formats", "places", "wishes", "speech"),
    [
        (None, None, [Wish("text")], None),
        ([As.json], ["-"], [Wish("json")], None),
        (None, ["out.wav"], [Wish("text")], "out.wav"),
        ([As.json], ["out.WAV"], [Wish("json")], "out.WAV"),
        ([As.json, As.text], ["a.json", "out.wav"], [Wish("json", "a.json"), Wish("text")], "out.wav"),
        ([As.sarif, As.junit], ["o.wav", "a.sarif", "b.xml"], [Wish("sarif", "a.sarif"), Wish("junit", "b.xml")], "o.wav"),
        ([As.json], [os.devnull], [Wish("json", os.devnull)], None),
        (None, ["figures.txt"], [Wish("text", "figures.txt")], None),
    ],
)  # fmt: skip
def test_a_wav_is_speech_and_the_others_are_for_the_formats(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, formats: Any, places: Any, wishes: list[Wish], speech: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    assert outputs(formats, places, WORKLOADS) == (tuple(wishes), speech and str(tmp_path / speech))


def test_speech_is_handed_to_the_child(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    def stop(*arguments: Any) -> Any:
        asked.append(arguments[2].wish.output)
        raise doctor.DoctorError("enough")

    monkeypatch.setattr(measure, "measure", stop)
    assert cli("xtts", "--output", "out.wav", "--format", "json", "--output", "a.json")[0] == 3
    assert asked == [str(tmp_path / "written/out.wav")]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_alone_on_stdout(cli: Cli, recipe: Callable[[str], None], name: str) -> None:
    recipe("print('from the child')\n" + HEALTHY.format(0.01))
    code, out, err = cli("stft", "--format", name)
    assert (code, err) == (0, "")
    assert (out == "[]\n") if name == "gitlab" else ("stft" in out)
    assert "from the child" not in out


@pytest.mark.parametrize("name", FORMATS)
def test_a_workload_that_died_is_1_in_every_format(cli: Cli, recipe: Callable[[str], None], name: str) -> None:
    recipe(ABORTS)
    code, out, err = cli("stft", "--format", name)
    assert (code, err) == (1, "")
    assert "bench-fails" in out if name != "prometheus" else "bench_findings{" in out


def test_one_that_is_late_is_3_in_a_format_too(cli: Cli, recipe: Callable[[str], None]) -> None:
    recipe("while True: pass")
    code, out, _ = cli("stft", "--timeout", "1", "--format", "junit")
    assert code == 3
    assert ElementTree.fromstring(out).find("testsuite/testcase[@name='stft on cpu']/failure") is not None


def test_several_formats_of_one_run_and_the_text_last(cli: Cli, recipe: Callable[[str], None], tmp_path: Path) -> None:
    recipe(HEALTHY.format(0.01))
    words = "stft --format sarif --output a.sarif --format json --output b.json --format text"
    code, out, err = cli(*words.split())
    assert (code, err) == (0, "")
    assert "stft on cpu  it · a model · float32" in out
    (figures,) = json.loads((tmp_path / "written/a.sarif").read_text())["runs"][0]["properties"]["measured"]
    (bench,) = json.loads((tmp_path / "written/b.json").read_text())["benches"]
    (told,) = figures["benches"]
    assert {q["name"]: q["value"] for q in told["figures"]}["rtf"] == bench["rtf"]


def test_a_regression_is_told_and_ends_in_1(cli: Cli, recipe: Callable[[str], None], tmp_path: Path) -> None:
    recipe(HEALTHY.format(0.01))
    (tmp_path / "old.json").write_text(cli("stft", "--format", "json")[1])
    recipe(HEALTHY.format(0.2))
    compare = ("stft", "--compare", str(tmp_path / "old.json"), "--tolerance", "50")
    code, out, err = cli(*compare, "--format", "gitlab", "--format", "text", "--output", "-", "--output", "a.txt")
    assert (code, err) == (1, "")
    assert {issue["check_name"] for issue in json.loads(out)} == {"bench-regression"}
    assert "WORSE   rtf" in (tmp_path / "written/a.txt").read_text()


def test_what_the_files_say_without_the_figures_is_not_told(cli: Cli, recipe: Callable[[str], None], env: Env) -> None:
    env.onnxruntime().install("onnxruntime", "1.20.1", {"onnxruntime/__init__.py": "x = 1"})
    recipe(HEALTHY.format(0.01))
    code, out, _ = cli("stft", "--format", "github")
    assert code == 0
    assert "ort-packages-clash" not in out
    assert out.splitlines()[-1].endswith(": measured")


@pytest.mark.parametrize("name", ["text", "json", "junit", "html"])
def test_figures_are_redacted_where_that_is_wished(
    cli: Cli, recipe: Callable[[str], None], tmp_path: Path, name: str
) -> None:
    recipe(HEALTHY.format(0.01))
    assert str(tmp_path) not in cli("stft", "--format", name, "--redact")[1]
    assert str(tmp_path) in cli("stft", "--format", "json")[1]
    assert str(tmp_path) not in cli("stft", "--format", "markdown")[1]


def test_a_history_is_redacted_where_that_is_wished(cli: Cli, recipe: Callable[[str], None], tmp_path: Path) -> None:
    recipe(HEALTHY.format(0.01).replace('"a model"', repr(str(tmp_path))))
    assert cli("stft", "--save")[0] == 0
    assert str(tmp_path) in cli("history", "--format", "json")[1]
    told = cli("history", "--format", "json", "--redact")[1]
    assert str(tmp_path) not in told
    assert '"model": "~"' in told


def test_the_page_of_the_step_has_the_figures(
    cli: Cli, recipe: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe(HEALTHY.format(0.01))
    page = tmp_path / "page.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert cli("stft", "--format", "github")[0] == 0
    assert page.read_text().startswith("## gpu-doctor bench: measured — `~/venv`\n")


def test_figures_have_the_formats_of_a_check_and_one_of_their_own() -> None:
    assert [one.value for one in As] == [*(one.value for one in ReportFormat), "svg"]
