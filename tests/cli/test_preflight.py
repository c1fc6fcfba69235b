"""`gpu-doctor preflight` as a pipeline meets it: exit codes, streams, formats, settings and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.cli.app import run
from tests.collect.environment import Environment

Run = Callable[..., tuple[int, str, str]]
TORCH = "__version__ = '2.8.0+cu128'\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n"


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    environment = Environment(tmp_path / "venv")
    environment.install("torch", "2.8.0", {"torch/version.py": TORCH})
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["preflight", "--prefix", "venv", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_ready_is_one_line_and_code_0(cli: Run) -> None:
    code, out, err = cli("--require", "package:torch>=2.4,<3,python>=3.10", "--require", "ram>=1MB")
    assert (code, err) == (0, "")
    assert out.startswith("READY  3 requirements met in ")
    assert out.count("\n") == 1


def test_unmet_is_1_undetermined_3_and_unmet_beats_it(cli: Run) -> None:
    hardware = ("--gpu", "RTX 4090", "--driver", "570", "--static")
    assert cli(*hardware, "--require", "vram>=32GB")[0] == 1
    assert cli(*hardware, "--require", "stft")[0] == 3
    assert cli(*hardware, "--require", "stft,vram>=32GB,vram>=24GB")[0] == 1
    assert cli(*hardware, "--require", "vram>=24GB,driver>=570,cuda>=12.4,gpus==1")[0] == 0


def test_unmet_may_be_forgiven_and_undetermined_not(cli: Run) -> None:
    assert cli("--require", "package:numpy", "--fail-on", "never")[0] == 0
    assert cli("--require", "stft", "--gpu", "sm_89", "--static", "--fail-on", "never")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["--require", "torch_cuda"], "'torch_cuda' is no requirement", "did you mean torch-cuda?"),
        (["--require", "driver"], "'driver' compares with nothing", "driver>=570"),
        ([], "nothing is required", "--require torch-cuda"),
        (["--require", ","], "nothing is required", "[tool.gpu-doctor]"),
        (["--require", "stft", "--deadline", "soon"], "--deadline 'soon' is no time", "30s"),
        (["--require", "stft", "--deadline", "0s"], "--deadline '0s' is no time", "30s"),
        (["--require", "stft", "--deadline", "9999999s"], "is no time", "30s"),
        (["--require", "stft", "--config", "none.toml"], "cannot read none.toml", "--config"),
        (["--require", "stft", "--config", " "], "--config is empty", ""),
        (["--require", "vram>=1GB", "--gpu", "RTX 9999"], "no GPU is known by the name 'RTX 9999'", ""),
    ],
)
def test_what_makes_no_sense_is_code_2_and_says_nothing_on_stdout(
    cli: Run, arguments: list[str], said: str, hint: str
) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert hint in err


@pytest.mark.parametrize("time", ["500ms", "30s", "2m", "1.5", "90"])
def test_times_are_read_as_people_write_them(cli: Run, time: str) -> None:
    assert cli("--require", "package:torch", "--deadline", time)[0] == 0


def test_settings_are_read_and_options_win(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.gpu-doctor]\nrequire = ["vram>=24GB", "package:torch"]\ngpu = "RTX 4090"\nfail-on = "never"\n'
    )
    code, out, _ = cli()
    assert (code, out.startswith("READY  2 requirements met")) == (0, True)
    code, out, _ = cli("--gpu", "RTX 3060 12GB")
    assert code == 0
    assert "UNMET  vram>=24GB (pyproject.toml:2)" in out
    assert cli("--gpu", "RTX 3060 12GB", "--fail-on", "error")[0] == 1
    assert cli("--require", "python>=3")[1].startswith("READY  1 requirement met")


def test_a_mistake_in_the_settings_is_named_with_file_and_line(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.gpu-doctor]\nrequire = [\n  "torchcuda",\n]\n')
    code, out, err = cli()
    assert (code, out) == (2, "")
    assert "pyproject.toml:3: 'torchcuda' is no requirement" in err
    (tmp_path / "pyproject.toml").write_text('[tool.gpu-doctor]\nignore = [{rule = "x-y", reason = "z"}]\n')
    assert "pyproject.toml:2: there is no rule 'x-y'" in cli("--require", "python>=3")[2]


def test_an_ignore_that_is_over_is_said_aside(cli: Run, tmp_path: Path) -> None:
    text = 'ignore = [{rule = "driver-missing", reason = "soon", until = 2020-01-01}]\n'
    (tmp_path / "gpu-doctor.toml").write_text(text)
    code, out, err = cli("--require", "python>=3")
    assert (code, out.startswith("READY")) == (0, True)
    assert "gpu-doctor.toml:1: driver-missing is not ignored any more since 2020-01-01: soon" in err


def test_json_is_one_document(cli: Run) -> None:
    code, out, err = cli("--require", "package:torch,package:numpy", "--format", "json")
    assert (code, err) == (1, "")
    document = json.loads(out)
    assert document["schema"] == "gpu-doctor/preflight/1"
    assert [item["standing"] for item in document["requirements"]] == ["met", "unmet"]


def test_several_formats_go_to_their_places(cli: Run, tmp_path: Path) -> None:
    arguments = ("--format", "json", "--output", "out.json", "--format", "text")
    code, out, err = cli("--require", "package:numpy", *arguments)
    assert (code, err) == (1, "")
    assert "UNMET  package:numpy" in out
    assert json.loads((tmp_path / "out.json").read_text())["standing"] == "unmet"


@pytest.mark.parametrize("name", ["sarif", "junit", "github", "gitlab", "markdown", "prometheus", "html"])
def test_the_formats_of_check_show_what_is_unmet(cli: Run, name: str) -> None:
    code, out, _ = cli("--require", "package:numpy", "--format", name)
    assert code == 1
    assert "numpy" in out
