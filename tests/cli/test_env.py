"""`gpu-doctor env`: the variables and nothing else, for a shell to evaluate."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import doctor
from gpu_doctor.cli.env import Shell
from gpu_doctor.model.remedy import SetVariable
from gpu_doctor.report.as_env import SHELLS
from tests.cli.sick_cudnn import CALL, PARTS, VERSION, sick_environment
from tests.simulated.packages import Env, environment

ROOT = Path(__file__).resolve().parents[2]
CHOOSE = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "LD_LIBRARY_PATH", "SHELL")
CLEAN = {name: value for name, value in os.environ.items() if name not in CHOOSE}


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Env:
    return sick_environment(tmp_path_factory.mktemp("an env's"))


def env(*arguments: str, code: int = 0, **environ: str) -> str:
    """Return what a process prints, which is all that it says."""
    command = [sys.executable, "-m", "gpu_doctor", "env", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env={**CLEAN, **environ}, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (code, "")
    return ended.stdout


def folder(env: Env) -> str:
    return f"{env.site}/{PARTS}"


def test_the_folder_of_cudnns_parts_is_what_a_sick_environment_needs(sick: Env) -> None:
    value = folder(sick).replace("'", "'\\''")
    assert env("--python", sick.python) == f"export LD_LIBRARY_PATH='{value}'\n"
    assert env("--prefix", str(sick.prefix), SHELL="/bin/tcsh") == f"export LD_LIBRARY_PATH='{value}'\n"
    assert env("--shell", "docker", VIRTUAL_ENV=str(sick.prefix)) == f'ENV LD_LIBRARY_PATH="{folder(sick)}"\n'


def test_what_is_set_is_kept_behind_it_however_long_it_is(sick: Env) -> None:
    long = ":".join(f"/opt/module/{number}/lib" for number in range(400))
    shown = env("--python", sick.python, "--shell", "jupyter", LD_LIBRARY_PATH=long)
    assert json.loads(shown) == {"env": {"LD_LIBRARY_PATH": f"{folder(sick)}:{long}"}}


def test_the_own_shell_is_written_for(sick: Env) -> None:
    assert env("--python", sick.python, SHELL="/usr/bin/fish").startswith("set -gx LD_LIBRARY_PATH '/")
    assert env("--python", sick.python, SHELL="/usr/bin/zsh").startswith("export LD_LIBRARY_PATH='/")
    assert [shell.value for shell in Shell] == list(SHELLS)


def test_bash_evaluates_it_and_cudnn_works(sick: Env) -> None:
    script = f'eval "$("{sys.executable}" -m gpu_doctor env --python "$PYTHON")" && "$PYTHON" -c "$CALL"'
    environ = {**CLEAN, "PYTHON": sick.python, "CALL": CALL}
    ended = subprocess.run(["bash", "-euc", script], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{VERSION}\n", "")
    alone = subprocess.run([sick.python, "-c", CALL], env=CLEAN, capture_output=True, timeout=60)
    assert alone.returncode < 0


def test_where_it_is_set_already_nothing_is_needed(sick: Env) -> None:
    assert env("--python", sick.python, LD_LIBRARY_PATH=f"/opt/x:{folder(sick)}") == ""


def test_where_nothing_is_needed_nothing_is_printed(tmp_path: Path) -> None:
    healthy = environment(tmp_path)
    for shell in SHELLS:
        assert env("--prefix", str(healthy.prefix), "--shell", shell) == ""


def test_on_a_terminal_it_says_that_nothing_is_needed(tmp_path: Path) -> None:
    terminal, other = pty.openpty()
    command = [sys.executable, "-m", "gpu_doctor", "env", "--prefix", str(environment(tmp_path).prefix)]
    ended = subprocess.run(command, cwd=ROOT, env=CLEAN, stdout=subprocess.PIPE, stderr=other, timeout=60)
    os.close(other)
    said = os.read(terminal, 1000)
    os.close(terminal)
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert said == b"gpu-doctor: this environment needs no variables\r\n"


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--python", "/nowhere/python"], 2), (["--shell", "cmd"], 2), (["--prefix", ""], 2)]
)
def test_an_error_prints_nothing_to_evaluate(arguments: list[str], code: int) -> None:
    command = [sys.executable, "-m", "gpu_doctor", "env", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=CLEAN, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.startswith("gpu-doctor: ")


@pytest.mark.parametrize("value", ["one\ntwo", "\x1b[2J", "\udc80"])
def test_a_value_that_cannot_be_written_prints_nothing(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gpu_doctor.cli.app import run

    def variables(*_: Any) -> tuple[SetVariable, ...]:
        return (SetVariable("GOOD", "1"), SetVariable("A_PATH", value))

    monkeypatch.setattr(doctor, "variables", variables)
    code = run(["env", "--prefix", str(environment(tmp_path).prefix)])
    shown, said = capsys.readouterr()
    assert (code, shown, said.count("\n")) == (3, "", 1)
