"""`gpu-doctor bench` on the command line: what is refused, what goes to which stream, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import doctor
from gpu_doctor.bench.workloads import RECIPES, Recipe
from gpu_doctor.cli.app import run
from tests.simulated import packages
from tests.simulated.packages import Env

HARNESS = Path(doctor.__file__).parent / "probe/scripts/_workload.py"
HEALTHY = """
import time
work.load(lambda: None)
work.repeat(lambda: time.sleep(0.01))
return work.finish(ran_on="cpu", device_name="it", model="a model", dtype="float32", audio_seconds=2.0)
"""
ABORTS = "import os; os.abort()"

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    return packages.environment(tmp_path)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, env: Env) -> Cli:
    """Run `bench` at the environment, without a terminal; return its exit code, stdout and stderr."""
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(("bench", *arguments, "--python", env.python))
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def give(body: str, **changes: Any) -> None:
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        head = f"import runpy\nWork = runpy.run_path({str(HARNESS)!r})['Work']\n"
        script = tmp_path / "stft.py"
        script.write_text(f"{head}def answer(argument, notes):\n    work = Work(argument, notes)\n{lines}\n")
        monkeypatch.setitem(RECIPES, "stft", Recipe(str(script), **{"needs": (), **changes}))

    return give


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("speech",), "there is no workload 'speech'"),
        (("stft", "--device", "gpu"), "--device must be auto, cpu, cuda, cuda:N or both, not 'gpu'"),
        (("stft", "--device", "cuda:0"), "no GPU is visible"),
        (("stft", "--model-size", "huge"), "--model-size must be one of tiny"),
        (("stft", "--weights", "tiny"), "stft has random weights only"),
        (("stft", "--weights", ""), "--weights is empty"),
        (("whisper", "--audio", "/nowhere.wav"), "--audio /nowhere.wav: no such file"),
        (("xtts", "--speaker-wav", "/nowhere.wav"), "--speaker-wav /nowhere.wav: no such file"),
        (("stft", "--output", "out.wav"), "--output keeps speech, which xtts alone makes"),
        (("xtts", "--output", "/nowhere/out.wav"), "cannot write /nowhere/out.wav"),
        (("stft", "--format", "svg"), "--format svg is for `bench history`"),
        (("stft", "--format", "sarif", "--format", "svg"), "--format svg is for `bench history`"),
        (("stft", "--format", "json", "--format", "sarif"), "json and sarif would both be written to stdout"),
        (("stft", "--format", "json", "--output", "/nowhere/x.json"), "cannot write /nowhere/x.json"),
        (("stft", "--output", "/"), "cannot write /"),
        (("stft", "--output", "a.json", "--output", "b.json"), "--output b.json has no --format"),
        (("stft", "--output", ""), "--output is empty"),
        (("xtts", "--output", "a.wav", "--output", "b.WAV"), "speech is kept in one file, not in both a.wav and b.WAV"),
        (("history", "--format", "sarif"), "--format sarif is for figures, not for `bench history`"),
        (("history", "--format", "text", "--format", "svg"), "`bench history` writes one --format to one --output"),
        (("history", "--output", "a", "--output", "b"), "`bench history` writes one --format to one --output"),
        (("stft", "--compare", "/nowhere.json"), "/nowhere.json"),
        (("stft", "--compare", "last"), "nothing was saved"),
        (("stft", "--repeat", "0"), "repeat"),
        (("stft", "--batch-size", "0"), "batch-size"),
    ],
)
def test_what_makes_no_sense_gets_one_line_and_2(
    cli: Cli, recipe: Callable[..., None], arguments: tuple[str, ...], said: str
) -> None:
    recipe(HEALTHY)
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[0]
    assert "Traceback" not in err


def test_a_workload_whose_package_is_missing_says_how_to_install_it(cli: Cli, env: Env) -> None:
    code, out, err = cli("xtts")
    lines = err.splitlines()
    assert (code, out, len(lines)) == (3, "", 2)
    assert lines[0].startswith(
        f"gpu-doctor: xtts cannot run in {env.prefix}: coqui-tts and torch and torchaudio are not"
    )
    assert "install" in lines[1]
    assert "coqui-tts" in lines[1]


def test_figures_go_to_stdout_and_exit_0(cli: Cli, recipe: Callable[..., None]) -> None:
    recipe(HEALTHY)
    code, out, err = cli("stft")
    assert (code, err) == (0, "")
    assert "stft on cpu  it · a model · float32" in out
    assert "  rtf  " in out


def test_json_is_the_only_thing_on_stdout(cli: Cli, recipe: Callable[..., None]) -> None:
    recipe("print('noise')\n" + HEALTHY)
    code, out, err = cli("stft", "--format", "json")
    assert (code, err) == (0, "")
    (bench,) = json.loads(out)["benches"]
    assert (bench["workload"], bench["device"], bench["ending"]) == ("stft", "cpu", "answered")
    assert bench["rtf"] == pytest.approx(bench["seconds"] / 2)


def test_options_reach_the_child(cli: Cli, recipe: Callable[..., None]) -> None:
    recipe("return work.finish(model=repr(sorted(argument.items())))")
    cli_arguments = ("--seed", "7", "--repeat", "5", "--reload", "2", "--batch-size", "4", "--text", "Hello.")
    _, out, _ = cli("stft", *cli_arguments, "--language", "de", "--format", "json")
    wish = json.loads(out)["benches"][0]["wish"]
    assert (wish["seed"], wish["repeat"], wish["reload"], wish["batches"]) == (7, 5, 2, [4])
    assert (wish["text"], wish["language"], wish["weights"], wish["device"]) == ("Hello.", "de", "random", "cpu")
    assert "('seed', 7)" in json.loads(out)["benches"][0]["model"]


def test_a_child_that_dies_is_a_finding_and_1(cli: Cli, recipe: Callable[..., None]) -> None:
    recipe(ABORTS)
    code, out, err = cli("stft")
    assert (code, err) == (1, "")
    assert "NOT MEASURED  crashed" in out
    assert "bench-fails" in out


def test_a_child_that_is_late_was_not_measured_and_3(cli: Cli, recipe: Callable[..., None]) -> None:
    recipe("while True: pass")
    code, out, _ = cli("stft", "--timeout", "1")
    assert code == 3
    assert "did not answer in 1 s" in out


def test_what_was_saved_makes_a_history_and_a_baseline(cli: Cli, recipe: Callable[..., None], tmp_path: Path) -> None:
    recipe(HEALTHY)
    assert cli("stft", "--save")[0] == 0
    code, out, err = cli("history")
    assert (code, err) == (0, "")
    assert "stft" in out
    recipe(HEALTHY.replace("0.01", "0.2"))
    code, out, _ = cli("stft", "--compare", "last", "--tolerance", "50")
    assert code == 1
    assert "worse" in out
    code, _, _ = cli("stft", "--compare", "last", "--tolerance", "1000000")
    assert code == 2


def test_a_file_of_figures_is_a_baseline(cli: Cli, recipe: Callable[..., None], tmp_path: Path) -> None:
    recipe(HEALTHY.replace("0.01", "0.2"))
    path = tmp_path / "slow.json"
    path.write_text(cli("stft", "--format", "json")[1])
    recipe(HEALTHY)
    code, out, _ = cli("stft", "--compare", str(path), "--format", "json", "--tolerance", "90")
    assert code == 0
    (comparison,) = json.loads(out)["comparisons"]
    assert comparison["lost"] == []


@pytest.mark.parametrize("kind", ["text", "json", "svg", "html"])
def test_a_history_can_be_written_to_a_file(cli: Cli, recipe: Callable[..., None], tmp_path: Path, kind: str) -> None:
    recipe(HEALTHY)
    cli("stft", "--save")
    path = tmp_path / "history"
    code, out, err = cli("history", "--format", kind, "--output", str(path))
    assert (code, out, err) == (0, "", "")
    assert "stft" in path.read_text()


def test_an_environment_that_cannot_be_written_still_shows_its_figures(
    cli: Cli, recipe: Callable[..., None], env: Env
) -> None:
    recipe(HEALTHY)
    (env.prefix / ".gpu-doctor").write_text("a file in the folder's place")
    code, out, err = cli("stft", "--save")
    assert code == 3
    assert "stft on cpu" in out
    assert len(err.splitlines()) == 1


def test_a_baseline_of_other_work_is_said_and_fails_nothing(
    cli: Cli, recipe: Callable[..., None], tmp_path: Path
) -> None:
    recipe(HEALTHY.replace("a model", "another"))
    path = tmp_path / "other.json"
    path.write_text(cli("stft", "--format", "json")[1])
    recipe(HEALTHY)
    code, _, err = cli("stft", "--compare", str(path))
    assert code == 0
    assert "the baseline has nothing of the same workload, device and model" in err
