"""The examples of docs/ci: what the page shows, valid for the tools that read them, and lines that the doctor takes."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gpu_doctor.cli.app import run
from tests.simulated.packages import environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
CI = ROOT / "docs" / "ci"
FILES = sorted(path.name for path in CI.iterdir())
POD = json.loads((Path(__file__).parent / "pod.json").read_text(encoding="utf-8"))
DOCTOR = "/opt/gpu-doctor/bin/gpu-doctor"

SCHEMAS = {
    "action.yml": ("vendor.github-actions",),
    "docs/ci/github.yml": ("vendor.github-workflows",),
    "docs/ci/gitlab-ci.yml": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
    "docs/ci/compose.yaml": ("vendor.compose-spec",),
}


def tool(name: str) -> str:
    """Return a linter of the development dependencies."""
    found = shutil.which(name, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    assert found is not None, f"{name} is a development dependency"
    return found


def lint(*command: str, text: str | None = None) -> tuple[int, str]:
    ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def loaded(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


# --- The page -----------------------------------------------------------------------------------------------------------


def test_the_page_shows_every_file_as_it_is() -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    shown = sorted(text for language, text in blocks if language != "console")
    assert shown == sorted((CI / name).read_text(encoding="utf-8") for name in FILES)


def test_the_page_names_every_input_and_output_of_the_action() -> None:
    action = loaded("action.yml")
    section = PAGE[PAGE.index("## GitHub") : PAGE.index("## GitLab")]
    assert {name for name in (*action["inputs"], *action["outputs"]) if f"`{name}`" not in section} == set()


# --- Each file, by the tool that reads it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_fits_its_schema(name: str, tmp_path: Path) -> None:
    command = (tool("check-jsonschema"), "--builtin-schema", *SCHEMAS[name])
    assert lint(*command, str(ROOT / name)) == (0, "ok -- validation done\n")
    spoilt = tmp_path / Path(name).name
    spoilt.write_text(re.sub(r"^(\w[\w-]*):.*\n(?: .*\n)+", r"\1: 5\n", (ROOT / name).read_text(), flags=re.MULTILINE))
    assert lint(*command, str(spoilt))[0] == 1


def test_the_pod_fits_its_schema() -> None:
    pod = loaded("docs/ci/kubernetes-init.yaml")
    jsonschema.Draft202012Validator(POD).validate(pod)
    pod["spec"]["initContainers"][0]["args"].append(5)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(POD).validate(pod)


def test_every_volume_of_the_pod_exists_and_its_image_is_the_applications() -> None:
    spec = loaded("docs/ci/kubernetes-init.yaml")["spec"]
    containers = [*spec["initContainers"], *spec["containers"]]
    assert {mount["name"] for one in containers for mount in one["volumeMounts"]} == {
        v["name"] for v in spec["volumes"]
    }
    assert len({one["image"] for one in containers}) == 1


def test_the_hooks_and_their_use_are_valid() -> None:
    manifest, use = ROOT / ".pre-commit-hooks.yaml", CI / "pre-commit-config.yaml"
    assert lint(tool("pre-commit"), "validate-manifest", str(manifest)) == (0, "")
    assert lint(tool("pre-commit"), "validate-config", str(use)) == (0, "")
    known = {hook["id"] for hook in loaded(manifest.name)}
    assert known == {hook["id"] for repo in loaded(f"docs/ci/{use.name}")["repos"] for hook in repo["hooks"]}


def test_the_image_passes_hadolint() -> None:
    text = (CI / "Dockerfile").read_text(encoding="utf-8")
    assert lint(tool("hadolint"), "--no-color", "-", text=text) == (0, "")
    assert lint(tool("hadolint"), "-", text=text.replace("WORKDIR /opt/app", "RUN cd /opt/app"))[0] == 1


def test_the_prolog_passes_shellcheck() -> None:
    assert lint(tool("shellcheck"), str(CI / "slurm-prolog.sh")) == (0, "")
    assert os.access(CI / "slurm-prolog.sh", os.X_OK)


def test_the_unit_has_known_sections_and_starts_the_doctor_first() -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None, delimiters=("=",))
    unit.read(CI / "app.service", encoding="utf-8")
    assert set(unit) == {"DEFAULT", "Unit", "Service", "Install"}
    assert unit["Service"]["execstartpre"].startswith(f"{DOCTOR} preflight ")
    # The deadline ends the doctor, not systemd.
    seconds = re.search(r"--deadline (\d+)s$", unit["Service"]["execstartpre"])
    assert seconds is not None
    assert int(seconds[1]) < int(unit["Service"]["timeoutstartsec"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (CI / "app.service").read_text(encoding="utf-8")
    for program in (DOCTOR, "/opt/app/venv/bin/python"):
        text = text.replace(program, shutil.which("true") or "")
    (tmp_path / "app.service").write_text(text)
    assert lint("systemd-analyze", "verify", "--man=no", str(tmp_path / "app.service")) == (0, "")
    (tmp_path / "app.service").write_text(text.replace("RestartSec=30", "RestartSec=soon"))
    assert "Failed to parse" in lint("systemd-analyze", "verify", "--man=no", str(tmp_path / "app.service"))[1]


# --- What they say to the doctor ------------------------------------------------------------------------------------------


def spoken(name: str) -> list[str]:
    """Return the words after `gpu-doctor` of an example."""
    text = (CI / name).read_text(encoding="utf-8")
    if name == "compose.yaml":
        words = yaml.safe_load(text)["services"]["preflight"]["command"]
    elif name == "kubernetes-init.yaml":
        (container,) = yaml.safe_load(text)["spec"]["initContainers"]
        words = [*container["command"], *container["args"]]
    elif name == "gitlab-ci.yml":
        (line,) = (line for line in yaml.safe_load(text)["preflight"]["script"] if line.startswith(DOCTOR))
        words = shlex.split(line)
    else:
        joined = text.replace("\\\n", " ").replace('"$doctor"', DOCTOR).replace(" 2>&1)", "")
        line = next(line for line in joined.splitlines() if f"{DOCTOR} preflight" in line)
        words = shlex.split(line[line.index(DOCTOR) :])
    assert words[0] == DOCTOR
    return [str(word) for word in words[1:]]


SPEAKING = ["Dockerfile", "app.service", "compose.yaml", "gitlab-ci.yml", "kubernetes-init.yaml", "slurm-prolog.sh"]


def test_every_example_that_names_the_doctor_is_tried() -> None:
    assert [name for name in FILES if DOCTOR in (CI / name).read_text(encoding="utf-8")] == SPEAKING


@pytest.mark.parametrize("name", SPEAKING)
def test_the_doctor_understands_an_example(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = str(environment(tmp_path).prefix)
    words = spoken(name)
    assert words[0] == "preflight" and "--prefix" in " ".join(words)
    monkeypatch.chdir(tmp_path)
    words = [re.sub(r"^(--prefix=).*|^(/opt/app/venv|\.venv)$", rf"\g<1>{prefix}", word) for word in words]
    # Nothing here meets it: what matters is that it is no usage error.
    assert run(words) in (1, 3), capsys.readouterr().err
    outputs = {"gitlab-ci.yml": ["gl-code-quality-report.json", "preflight.xml"]}.get(name, [])
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == outputs


# --- The prolog drains a node for what is proven, and for nothing else ------------------------------------------------------


def prolog(folder: Path, code: int, **environ: str) -> tuple[int, str]:
    """Run the prolog with a doctor that ends with this code; return its exit code and what was logged."""
    for name, body in (("doctor", f"echo it says so; exit {code}"), ("logger", f'cat > "{folder}/log"')):
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    script = (CI / "slurm-prolog.sh").read_text(encoding="utf-8").replace(DOCTOR, str(folder / "doctor"))
    ended = subprocess.run(["sh", "-c", script], env={"PATH": f"{folder}:/usr/bin:/bin", **environ}, timeout=60)
    log = folder / "log"
    return ended.returncode, log.read_text() if log.exists() else ""


@pytest.mark.parametrize(("code", "drains"), [(0, 0), (1, 1), (2, 0), (3, 0), (127, 0)])
def test_the_prolog_drains_for_what_is_unmet_alone(tmp_path: Path, code: int, drains: int) -> None:
    ended, log = prolog(tmp_path, code, SLURM_JOB_ID="7", SLURM_JOB_GPUS="0,1")
    assert (ended, "it says so" in log) == (drains, code != 0)
    assert code == 0 or log.startswith("job 7: GPU preflight: ")


def test_the_prolog_leaves_jobs_without_a_gpu_alone(tmp_path: Path) -> None:
    assert prolog(tmp_path, 1, SLURM_JOB_ID="7") == (0, "")


# --- The hooks examine the project's environment, not their own -------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a healthy .venv, beside the environment into which pre-commit puts the doctor."""
    for folder in ("project", "hook"):
        (tmp_path / folder).mkdir()
        environment(tmp_path / folder).torch()
    (tmp_path / "project" / "venv").rename(tmp_path / "project" / ".venv")
    return tmp_path / "project"


def doctor(project: Path, *words: str) -> tuple[int, str]:
    """Run the doctor as a hook of pre-commit runs, inside the hook's own environment."""
    own = str(project.parent / "hook" / "venv")
    environ = {**os.environ, "VIRTUAL_ENV": own, "PATH": f"{own}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gpu_doctor", *words]
    ended = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def words_of(name: str) -> list[str]:
    (hook,) = (hook for hook in loaded(".pre-commit-hooks.yaml") if hook["id"] == name)
    words = [*hook["entry"].split(), *hook["args"]]
    assert words[0] == "gpu-doctor"
    return words[1:]


def test_the_static_hook_examines_the_projects_environment(project: Path) -> None:
    code, said = doctor(project, *words_of("gpu-doctor-check-static"), "--format", "json")
    (case,) = json.loads(said)["cases"]
    assert (code, case["target"]["interpreter"]["prefix"]) == (0, str(project / ".venv"))


def test_the_drift_hook_passes_what_was_locked_and_nothing_else(project: Path) -> None:
    hook = words_of("gpu-doctor-drift")
    assert doctor(project, *hook)[0] == 2  # nothing is locked yet
    assert doctor(project, "lock", "--static", "--prefix", ".venv")[0] == 0
    assert doctor(project, *hook)[0] == 0
    (info,) = project.glob(".venv/lib/*/site-packages/torch-2.8.0+cu128.dist-info")
    shutil.rmtree(info)
    environment(project / "other").torch(version="2.8.0+cpu")
    shutil.copytree(*(folder / "lib" for folder in (project / "other" / "venv", project / ".venv")), dirs_exist_ok=True)
    code, said = doctor(project, *hook)
    assert (code, "+cpu" in said) == (1, True), said
