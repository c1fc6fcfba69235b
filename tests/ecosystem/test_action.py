"""The GitHub Action, run as a runner would run it: inputs are data, outputs tell the verdict, the exit code is honest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ecosystem.test_examples import lint, tool
from tests.simulated.packages import environment

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}

MET, UNMET, UNDETERMINED = (json.dumps({"standing": word, "cases": []}) for word in ("met", "unmet", "undetermined"))
SICK = json.dumps({"cases": [{"verdict": "sick"}]})

# A doctor that notes its words, writes what it was asked to write, and ends as it was told.
RECORDER = """#!/bin/sh
printf '%s\\0' "$@" >"$RECORD"
for word; do
    case $word in
    --output=*.json) [ -z "${REPORT:-}" ] || echo "$REPORT" >"${word#--output=}" ;;
    --output=*) [ -z "${REPORT:-}" ] || echo "written by the doctor" >"${word#--output=}" ;;
    esac
done
echo '::warning::from the doctor'
exit "$CODE"
"""


@dataclass(frozen=True)
class Ended:
    """How a step ended."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str
    words: list[str]


@dataclass(frozen=True)
class Runner:
    """A runner's folders and files, and a doctor."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "doctor"

    def step(self, name: str, inputs: dict[str, str], *, path: str = "", **environ: str) -> Ended:
        """Run one step as a runner does: expressions are filled into `env` and nowhere else."""
        step = STEPS[name]
        given = {key: str(value["default"]) for key, value in ACTION["inputs"].items()} | inputs
        filled = {key: self._filled(str(value), given) for key, value in step["env"].items()}
        for file in ("output", "summary", "record"):
            (self.folder / file).write_text("")
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        plain = {
            "PATH": f"{path}:/usr/bin:/bin" if path else "/usr/bin:/bin",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "RUNNER_TEMP": str(self.folder),
            "RECORD": str(self.folder / "record"),
        }
        # What a runner makes of `shell: bash`.
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        work = self.folder / "workspace"
        work.mkdir(exist_ok=True)
        ended = subprocess.run(
            command, cwd=work, env={**plain, **filled, **environ}, capture_output=True, text=True, timeout=120
        )
        lines = (self.folder / "output").read_text().splitlines()
        return Ended(
            ended.returncode,
            ended.stdout + ended.stderr,
            dict(line.split("=", 1) for line in lines),
            (self.folder / "summary").read_text(),
            (self.folder / "record").read_text().split("\0")[:-1],
        )

    def _filled(self, text: str, inputs: dict[str, str]) -> str:
        values = {f"inputs.{name}": value for name, value in inputs.items()}
        values["steps.install.outputs.home"] = str(self.home)
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: values[found[1]], text)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner with a doctor that records."""
    made = Runner(tmp_path)
    (made.home / "bin").mkdir(parents=True)
    (made.home / "bin" / "gpu-doctor").write_text(RECORDER)
    (made.home / "bin" / "gpu-doctor").chmod(0o755)
    (made.home / "bin" / "python").symlink_to(sys.executable)
    return made


# --- What it is written like ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STEPS)
def test_no_input_is_pasted_into_a_script(name: str) -> None:
    assert "${{" not in STEPS[name]["run"]
    assert lint(tool("shellcheck"), "--shell", "bash", "-", text=STEPS[name]["run"]) == (0, "")


def test_every_input_is_used_and_none_is_required() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", "".join(str(step["env"]) for step in STEPS.values())))
    assert used == set(ACTION["inputs"])
    assert {name for name, value in ACTION["inputs"].items() if "default" not in value or "required" in value} == set()


def test_every_output_is_written(runner: Runner) -> None:
    ended = runner.step("look", {"require": "torch-cuda"}, CODE="0", REPORT=MET)
    assert set(ended.outputs) == set(ACTION["outputs"])


# --- What it says to the doctor ----------------------------------------------------------------------------------------------


def test_each_line_of_require_is_a_requirement(runner: Runner) -> None:
    inputs = {
        "require": "torch-cuda\n\n  driver>=570  \r\npackage:torch>=2.6\n",
        "gpu": "RTX 4090\nT4",
        "static": "true",
    }
    ended = runner.step("look", inputs, CODE="0", REPORT=MET)
    begin = ended.words[:7]
    assert begin == [
        *("preflight", "--require=torch-cuda", "--require=driver>=570", "--require=package:torch>=2.6"),
        *("--static", "--gpu=RTX 4090", "--gpu=T4"),
    ]
    assert ended.words[-1] == "--format=github"
    assert [word for word in ended.words if word.startswith("--output=")] == [
        f"--output={ended.outputs['sarif']}",
        f"--output={ended.outputs['json']}",
    ]


def test_without_requirements_everything_is_checked(runner: Runner) -> None:
    ended = runner.step("look", {"python": ".venv/bin/python", "fail-on": "warning", "driver": "570.86"}, CODE="0")
    assert ended.words[:4] == ["check", "--fail-on=warning", "--python=.venv/bin/python", "--driver=570.86"]


def test_requirements_of_a_file_need_the_command_alone(runner: Runner) -> None:
    ended = runner.step("look", {"command": "preflight", "deadline": "30s"}, CODE="0")
    assert ended.words[:3] == ["preflight", "--deadline=30s", "--format=sarif"]


HOSTILE = [
    "$(touch owned)",
    "`touch owned`",
    '"; touch owned; "',
    "'; touch owned; '",
    "$HOME",
    "--output=owned",
    "-",
    "*",
    "a b",
    "\\",
    "${{ secrets.TOKEN }}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_an_input_is_one_word_and_runs_nothing(runner: Runner, text: str) -> None:
    inputs = {
        "require": text,
        "python": text,
        "gpu": text,
        "driver": text,
        "deadline": text,
        "format": text,
        "fail-on": text,
    }
    ended = runner.step("look", inputs, CODE="0")
    options = ("--require", "--deadline", "--fail-on", "--python", "--gpu", "--driver")
    assert ended.words[:7] == ["preflight", *(f"{option}={text}" for option in options)]
    assert ended.words[-1] == f"--format={text}"
    assert list((runner.folder / "workspace").iterdir()) == []


def test_what_is_no_annotation_cannot_command_the_runner(runner: Runner) -> None:
    lines = runner.step("look", {"format": "text"}, CODE="0").log.splitlines()
    stop, said, go = lines
    assert (stop, said) == (f"::stop-commands::{go.strip(':')}", "::warning::from the doctor")
    assert runner.step("look", {}, CODE="0").log == "::warning::from the doctor\n"


# --- What it tells ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "code", "verdict"),
    [
        (MET, 0, "met"),
        (UNMET, 1, "unmet"),
        (UNMET, 0, "unmet"),  # forgiven by `fail-on`
        (UNDETERMINED, 3, "undetermined"),
        (SICK, 1, "sick"),
        (SICK, 0, "sick"),
        ("", 2, "error"),
        ("", 130, "error"),
        ("{", 3, "error"),
        ("{}", 3, "error"),
    ],
)
@pytest.mark.parametrize("form", ["github", "text"])
def test_the_verdict_and_the_exit_code(runner: Runner, report: str, code: int, verdict: str, form: str) -> None:
    ended = runner.step("look", {"format": form}, CODE=str(code), REPORT=report)
    assert (ended.outputs["verdict"], ended.outputs["exit-code"], ended.code) == (verdict, str(code), code)
    assert {"sarif", "json"} & set(ended.outputs) == ({"sarif", "json"} if report else set())


@pytest.mark.parametrize(
    "inputs",
    [
        {"command": "fix"},
        {"command": "--help"},
        {"command": "check", "require": "torch-cuda"},
        {"deadline": "30s"},
        {"static": "yes please"},
    ],
)
def test_inputs_that_make_no_sense_are_an_error_and_start_nothing(runner: Runner, inputs: dict[str, str]) -> None:
    ended = runner.step("look", inputs, CODE="0")
    assert (ended.code, ended.words) == (2, [])
    assert ended.outputs == {"verdict": "error", "exit-code": "2"}
    assert ended.log.startswith("::error title=gpu-doctor::the input")


# --- Setting it up ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def python3(tmp_path: Path) -> str:
    """The folder of a python3 that notes what is asked of it, and lays out environments of itself."""
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "python3").write_text(
        '#!/bin/sh\necho "$*" >>"$NOTES"\n'
        'case "$2 $3" in "-m venv") mkdir -p "$5/bin" && cp "$0" "$5/bin/python" ;; esac\n'
    )
    (folder / "python3").chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("version", "what"), [("", str(ROOT)), ("1.2.0", "gpu-doctor-toolkit==1.2.0"), ("1!2.0", None), ("1 --pre", None)]
)
def test_it_is_installed_once_into_an_environment_of_its_own(
    runner: Runner, python3: str, version: str, what: str | None
) -> None:
    notes = runner.folder / "notes"
    for _ in range(2):
        ended = runner.step("install", {"version": version}, path=python3, NOTES=str(notes))
    if what is None:
        assert (ended.code, notes.exists(), "not a version" in ended.log) == (2, False, True)
        return
    home = f"{runner.folder}/gpu-doctor-{version or 'checkout'}"
    assert ended.outputs == {"home": home}
    pip = f"-I -m pip install --quiet --disable-pip-version-check {what}"
    assert notes.read_text().splitlines() == [f"-I -m venv --clear {home}", pip]


def test_an_installation_that_failed_is_tried_again(runner: Runner, python3: str) -> None:
    Path(python3, "python3").write_text("#!/bin/sh\nexit 1\n")
    assert runner.step("install", {}, path=python3).code == 1
    Path(python3, "python3").write_text(
        '#!/bin/sh\n[ "$3" = pip ] || { mkdir -p "$5/bin"; cp "$0" "$5/bin/python"; }\n'
    )
    assert runner.step("install", {}, path=python3).code == 0


# --- With the doctor itself -------------------------------------------------------------------------------------------------


def real(runner: Runner) -> Runner:
    doctor = runner.home / "bin" / "gpu-doctor"
    doctor.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m gpu_doctor "$@"\n')
    return runner


@pytest.mark.parametrize(
    ("inputs", "code", "verdict"),
    [
        ({"require": "python>=3.8"}, 0, "met"),
        ({"require": "package:torch>=2\npython>=3.8"}, 1, "unmet"),
        ({"require": "no-such-thing"}, 2, "error"),
        ({}, 3, "undetermined"),
    ],
)
def test_the_doctor_itself(runner: Runner, inputs: dict[str, Any], code: int, verdict: str) -> None:
    prefix = environment(runner.folder).prefix
    ended = real(runner).step("look", {"static": "true", "python": f"{prefix}/bin/python", **inputs})
    assert (ended.code, ended.outputs["verdict"]) == (code, verdict), ended.log
    if code != 2:
        assert json.loads(Path(ended.outputs["sarif"]).read_text())["version"] == "2.1.0"
        assert ended.summary != ""


@pytest.mark.parametrize("form", ["github", "text", "json"])
def test_the_steps_summary_is_written_once_whatever_the_log_shows(runner: Runner, form: str) -> None:
    prefix = environment(runner.folder).prefix
    inputs = {"static": "true", "python": f"{prefix}/bin/python", "require": "package:torch>=2", "fail-on": "never"}
    ended = real(runner).step("look", {**inputs, "format": form})
    assert (ended.code, ended.outputs["verdict"]) == (0, "unmet"), ended.log
    assert ended.summary.count("package:torch>=2") >= 1
    assert ended.summary == real(runner).step("look", {**inputs, "format": "github"}).summary


@pytest.mark.lab
def test_it_installs_itself_and_looks(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    python3 = os.path.dirname(shutil.which("python3") or "")
    keep = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "HOME", "SSL_"))}
    installed = runner.step("install", {}, path=python3, **keep)
    assert installed.code == 0, installed.log
    runner.home.symlink_to(installed.outputs["home"])
    prefix = environment(tmp_path).prefix
    ended = runner.step("look", {"require": "python>=3.8", "static": "true", "python": f"{prefix}/bin/python"})
    assert (ended.code, ended.outputs["verdict"]) == (0, "met"), ended.log
