"""The plug-in of docs/plugins.md: built, installed and used; and what everybody sees of one that does not load."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_doctor.model import plain
from tests.kit import dist, driver, inventory

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "gpu-doctor-plugin"
RULE = "torch-too-new-for-cluster"
MODULE = "site_rules/torch_too_new_for_cluster.py"

TOO_NEW = inventory(dist("torch", "2.9.0", cuda="13.0", built="2.9.0+cu130"))
HEALTHY = inventory(dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"))
UNKNOWN = inventory(dist("torch", "2.8.0"))
# A sick one, so that there is a finding to forgive.
SICK = inventory(dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128"), driver=driver("470.57.02", "11.4"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the example was built and installed, offline, with the backend that it names."""
    work = tmp_path_factory.mktemp("plugin")
    source, target = work / "source", work / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    assert uv is not None, "uv is a development dependency"
    offline = ("--offline", "--no-deps", "--no-build-isolation", "--cache-dir", str(work / "cache"))
    command = [uv, "pip", "install", *offline, "--python", sys.executable, "--target", str(target), str(source)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return target


@pytest.fixture
def spoilt(installed: Path, tmp_path: Path) -> Path:
    """The same, with a rule that imports what is not there."""
    site = tmp_path / "site"
    shutil.copytree(installed, site)
    (site / MODULE).unlink()  # uv may have linked it, so a new file takes its place
    (site / MODULE).write_text("import nobody_has_this\n")
    return site


@pytest.fixture
def patient(tmp_path: Path) -> Any:
    """Write an inventory into a file, and return its path."""

    def saved(seen: Any) -> str:
        file = tmp_path / "patient.json"
        file.write_text(plain.dumps(seen), encoding="utf-8")
        return str(file)

    return saved


def doctor(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ROOT))), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "gpu_doctor", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def runs(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    (case,) = json.loads(ended.stdout)["cases"]
    return {run["rule"]: run for run in case["runs"]}


def test_what_was_installed_is_a_whole_distribution(installed: Path) -> None:
    (info,) = installed.glob("gpu_doctor_site_rules-1.0.dist-info")
    assert f"{RULE} = site_rules.{RULE.replace('-', '_')}" in (info / "entry_points.txt").read_text()
    assert (installed / MODULE).read_bytes() == (EXAMPLE / MODULE).read_bytes()


def test_rules_and_explain_know_it(installed: Path) -> None:
    listed = doctor(installed, "rules")
    assert re.search(rf"^{RULE} +error +torch needs a newer driver", listed.stdout, re.MULTILINE), listed.stdout
    explained = doctor(installed, "explain", RULE)
    assert explained.stdout.startswith(f"{RULE} (error at worst; stage: packages)\n\ntorch needs a newer driver than")
    assert (listed.returncode, explained.returncode, explained.stderr) == (0, 0, "")


@pytest.mark.parametrize(
    ("seen", "status", "code"), [(TOO_NEW, "failed", 1), (HEALTHY, "passed", 0), (UNKNOWN, "skipped", 3)]
)
def test_check_runs_it(installed: Path, patient: Any, seen: Any, status: str, code: int) -> None:
    ended = doctor(installed, "check", "--from", patient(seen), "--select", RULE, "--strict", "--format", "json")
    assert (runs(ended)[RULE]["status"], ended.returncode, ended.stderr) == (status, code, "")


def test_check_runs_it_beside_all_others(installed: Path, patient: Any) -> None:
    ended = doctor(installed, "check", "--from", patient(HEALTHY), "--strict", "--format", "json")
    assert (runs(ended)[RULE]["status"], len(runs(ended)) > 10, ended.returncode) == ("passed", True, 0)


def test_without_it_the_rule_does_not_exist(tmp_path: Path) -> None:
    ended = doctor(tmp_path, "explain", RULE)
    assert (ended.returncode, ended.stdout) == (2, "")


def test_one_that_does_not_load_is_seen_by_everybody(spoilt: Path, patient: Any) -> None:
    why = "No module named 'nobody_has_this'"
    healthy = patient(HEALTHY)
    text = doctor(spoilt, "check", "--from", healthy)
    assert f"CRASHED  the rule {RULE} broke" in text.stdout
    assert why in " ".join(text.stdout.split())
    data = doctor(spoilt, "check", "--from", healthy, "--format", "json")
    assert (runs(data)[RULE]["status"], why in runs(data)[RULE]["note"]) == ("crashed", True)
    assert (text.returncode, data.returncode) == (3, 3)
    assert f"{RULE} BROKEN ModuleNotFoundError: {why}" in " ".join(doctor(spoilt, "rules").stdout.split())
    explained = " ".join(doctor(spoilt, "explain", RULE).stdout.split())
    assert f"this rule cannot be loaded: ModuleNotFoundError: {why}" in explained


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 1),  # the error counts, whatever else broke
        (("--strict",), 1),
        (("--fail-on", "never"), 0),
        (("--fail-on", "never", "--strict"), 3),
        (("--fail-on", "never", "--strict", "--ignore", RULE), 0),  # it was not to run
    ],
)
def test_strict_forgives_findings_and_no_rule(spoilt: Path, patient: Any, options: tuple[str, ...], code: int) -> None:
    ended = doctor(spoilt, "check", "--from", patient(SICK), "--format", "json", *options)
    (case,) = json.loads(ended.stdout)["cases"]
    assert (case["verdict"], ended.returncode) == ("sick", code)


def test_the_examples_own_tests_pass(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(installed), str(ROOT)))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "."]
    ended = subprocess.run(command, cwd=tmp_path / "tests", env=environ, capture_output=True, text=True, timeout=120)
    assert re.search(r"^5 passed", ended.stdout, re.MULTILINE), ended.stdout + ended.stderr


def test_the_page_shows_the_files_as_they_are() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:toml|python)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    files = (EXAMPLE / "pyproject.toml", EXAMPLE / MODULE, EXAMPLE / "tests" / f"test_{Path(MODULE).name}")
    assert blocks == [file.read_text(encoding="utf-8") for file in files]
