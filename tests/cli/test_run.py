"""`gpu-doctor run`: the command takes the doctor's place, with the variables that heal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.sick_cudnn import CALL, PARTS, VERSION, sick_environment
from tests.simulated.packages import Env, environment

ROOT = Path(__file__).resolve().parents[2]
CHOOSE = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "LD_LIBRARY_PATH")
CLEAN = {name: value for name, value in os.environ.items() if name not in CHOOSE}
SHOW = "import os, sys; print(os.environ.get('LD_LIBRARY_PATH'), sys.argv[1:])"


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Env:
    return sick_environment(tmp_path_factory.mktemp("sick"))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Env:
    return environment(tmp_path_factory.mktemp("healthy"))


def run(env: Env, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gpu_doctor", "run", "--prefix", str(env.prefix), *words]
    return subprocess.run(command, cwd=ROOT, env={**CLEAN, **environ}, capture_output=True, text=True, timeout=60)


def answer(ended: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return ended.returncode, ended.stdout, ended.stderr


def test_a_sick_environments_cudnn_works(sick: Env) -> None:
    assert answer(run(sick, "--", sick.python, "-c", CALL)) == (0, f"{VERSION}\n", "")


def test_what_is_set_is_kept_behind(sick: Env) -> None:
    shown = run(sick, "--", sys.executable, "-c", SHOW, LD_LIBRARY_PATH="/opt/x")
    assert shown.stdout == f"{sick.site}/{PARTS}:/opt/x []\n"


@pytest.mark.parametrize("before", [["--"], []])
def test_the_commands_own_options_are_its_own(healthy: Env, before: list[str]) -> None:
    words = ["--help", "--prefix", "x", "-h", "--", "--version", "", "a b", "$HOME"]
    ended = run(healthy, *before, sys.executable, "-c", SHOW, *words)
    assert answer(ended) == (0, f"None {words!r}\n", "")


def test_the_exit_code_and_the_streams_are_the_commands(healthy: Env) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(int(sys.stdin.read()))"
    command = [sys.executable, "-m", "gpu_doctor", "run", "--prefix", str(healthy.prefix), sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=ROOT, env=CLEAN, input="42", capture_output=True, text=True, timeout=60)
    assert answer(ended) == (42, "out\n", "err\n")


def test_the_process_is_the_same_one(healthy: Env) -> None:
    command = [
        sys.executable,
        "-m",
        "gpu_doctor",
        "run",
        "--prefix",
        str(healthy.prefix),
        "sh",
        "-c",
        "echo $$; kill $$",
    ]
    with subprocess.Popen(command, cwd=ROOT, env=CLEAN, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate(timeout=60)[0] == f"{process.pid}\n"
    assert process.returncode == -signal.SIGTERM


def test_a_command_whose_reader_goes_away_ends_as_it_would_alone(healthy: Env) -> None:
    script = 'set -o pipefail; "$0" -m gpu_doctor run --prefix "$1" yes | head -n 1'
    command = ["bash", "-c", script, sys.executable, str(healthy.prefix)]
    ended = subprocess.run(command, cwd=ROOT, env=CLEAN, capture_output=True, text=True, timeout=60)
    assert answer(ended) == (128 + signal.SIGPIPE, "y\n", "")


def test_a_command_that_is_not_there_is_127(healthy: Env, tmp_path: Path) -> None:
    said = "gpu-doctor: there is no 'no-such-program' on PATH\n"
    assert answer(run(healthy, "--", "no-such-program", "-x")) == (127, "", said)
    assert answer(run(healthy, "--", "/nowhere/program")) == (127, "", "gpu-doctor: there is no '/nowhere/program'\n")
    script = tmp_path / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)
    said = f"gpu-doctor: {script} names an interpreter that does not exist\n"
    assert answer(run(healthy, "--", str(script))) == (127, "", said)


def test_a_command_that_cannot_be_executed_is_126(healthy: Env, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("echo\n")
    said = f"gpu-doctor: {file} cannot be executed: Permission denied\n"
    assert answer(run(healthy, "--", str(file))) == (126, "", said)
    file.chmod(0o755)
    said = f"gpu-doctor: {file} cannot be executed: Exec format error\n"
    assert answer(run(healthy, "--", str(file))) == (126, "", said)


def test_without_a_command_or_an_environment_nothing_runs(healthy: Env) -> None:
    ended = run(healthy)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "COMMAND" in ended.stderr
    command = [sys.executable, "-m", "gpu_doctor", "run", "--python", "/nowhere/python", "--", "echo", "ran"]
    ended = subprocess.run(command, cwd=ROOT, env=CLEAN, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    for words in (("--unknown", "echo"), ("--", "")):
        ended = run(healthy, *words)
        assert (ended.returncode, ended.stdout) == (2, "")
