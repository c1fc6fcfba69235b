"""Variables for shells and files, read back by the shells themselves, or by a reader that follows their rules."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.errors import DoctorError
from gpu_doctor.model.remedy import SetVariable
from gpu_doctor.report.as_env import SHELLS, Shell, render

VALUES = (
    "/opt/app/venv/lib:/usr/lib",
    "",
    "=ls",
    "~",
    "-n",
    "it's",
    "''",
    "\"double\" 'single'",
    "$(touch pwned) `touch pwned` ${HOME} $HOME ; touch pwned",
    "a!b !! !$",
    "\\ \\n \\' \\\"",
    "%h %% %",
    "# no comment",
    "‘curly’ ‚low‛",
    "é 中",
)
STEPS = tuple(SetVariable(f"V{number}", value) for number, value in enumerate(VALUES))
GONE = SetVariable("GONE", None)

COMMANDS = {
    "bash": ["bash", "--norc"],
    "zsh": ["zsh", "-f"],
    "fish": ["fish", "--no-config"],
    "powershell": ["pwsh", "-NoProfile"],
}
SHOW = "import json, os; print(json.dumps({n: v for n, v in os.environ.items() if n[0] == 'V' or n == 'GONE'}))"


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(command[0]), reason="not here"))
        for shell, command in COMMANDS.items()
    ],
)
def test_a_shell_reads_exactly_the_values(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    call = f"{'& ' * (shell == 'powershell')}'{sys.executable}' -I show.py\n"
    script = tmp_path / f"it.{'ps1' if shell == 'powershell' else 'sh'}"
    script.write_text(render((*STEPS, GONE), shell) + call, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if name[0] != "V"} | {"GONE": "1"}
    command = [*COMMANDS[shell], str(script)]
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {step.name: step.value for step in STEPS if step.value or shell != "powershell"}
    assert not (tmp_path / "pwned").exists()


def test_the_lines_of_powershell() -> None:
    shown = render((SetVariable("A", "it's ‘so’"), GONE), "powershell")
    assert shown == "$env:A = 'it''s ‘‘so’’'\nRemove-Item Env:GONE -ErrorAction SilentlyContinue\n"


def dockerfile(line: str) -> str:
    """Read a quoted value as https://docs.docker.com/reference/dockerfile/ says: escapes, then no expansion is left."""
    inner = re.fullmatch(r'ENV V\d+="((?:[^"\\$]|\\.)*)"', line)
    assert inner, line
    return re.sub(r"\\(.)", r"\1", inner[1])


def systemd(line: str) -> str:
    """Read as systemd.syntax(7) and systemd.unit(5) say: C escapes between quotes, `%%` for a percent sign."""
    inner = re.fullmatch(r'Environment="V\d+=((?:[^"\\%]|\\["\\]|%%)*)"', line)
    assert inner, line
    return re.sub(r'\\(["\\])|%(%)', r"\1\2", inner[1])


@pytest.mark.parametrize(("shell", "read"), [("docker", dockerfile), ("systemd", systemd)])
def test_a_file_holds_exactly_the_values(shell: Shell, read: Callable[[str], str]) -> None:
    lines = render(STEPS, shell).splitlines()
    assert [read(line) for line in lines] == list(VALUES)


def test_kernel_json_is_a_part_to_merge() -> None:
    assert json.loads(render(STEPS, "jupyter")) == {"env": {step.name: step.value for step in STEPS}}
    with pytest.raises(DoctorError, match="cannot take GONE away"):
        render((GONE,), "jupyter")


def test_dotenv_is_written_only_where_all_readers_agree() -> None:
    assert render((SetVariable("A", "/x:/it's"), SetVariable("B", "a $b"), GONE), "dotenv") == (
        "A=\"/x:/it's\"\nB='a $b'\n# GONE must not be set\n"
    )
    for value in ("${HOME}", "a\\b", "\"'"):
        with pytest.raises(DoctorError, match=r"^A holds characters"):
            render((SetVariable("A", value),), "dotenv")
    plain = [step for step in STEPS if not re.search(r"[\\]|\$\{|'.*\"|\".*'", step.value or "")]
    lines = render(plain, "dotenv").splitlines()
    assert [shlex.split(line)[0].partition("=")[2] for line in lines] == [step.value for step in plain]


@pytest.mark.parametrize(
    ("shell", "plain", "folders"),
    [
        ("bash", "unset GONE\n", "unset A_PATH\n"),
        ("fish", "set -e GONE\n", "set -e A_PATH\n"),
        ("systemd", "UnsetEnvironment=GONE\n", "UnsetEnvironment=A_PATH\n"),
        ("docker", "# GONE must not be set\n", 'ENV A_PATH=""\n'),
        ("jupyter", None, '{\n "env": {\n  "A_PATH": ""\n }\n}\n'),
    ],
)
def test_a_variable_is_taken_away_as_far_as_the_file_can(shell: Shell, plain: str | None, folders: str) -> None:
    if plain is not None:
        assert render((GONE,), shell) == plain
    assert render((SetVariable("A_PATH", None),), shell) == folders


@pytest.mark.parametrize("shell", SHELLS)
def test_no_variables_are_nothing(shell: Shell) -> None:
    assert render((), shell) == ""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("value", ["a\nb", "a\rb", "\x1b[2J", "a\0b", "\u2028", "\x85"])
def test_control_characters_are_refused_by_the_variables_name(shell: Shell, value: str) -> None:
    with pytest.raises(DoctorError, match=r"^A_PATH holds a line break"):
        render((SetVariable("B", "1"), SetVariable("A_PATH", value)), shell)


def test_a_name_is_a_name() -> None:
    with pytest.raises(DoctorError, match="no name"):
        render((SetVariable("A;touch pwned", "1"),), "bash")
