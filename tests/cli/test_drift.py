"""`lock` and `drift`: written once for a healthy environment, and what became of it since, with who did it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gpu_doctor import between
from gpu_doctor.model.case import Case, Report
from gpu_doctor.model.finding import CheckRun, Finding
from tests import kit
from tests.cli.compared import CPU, CUDA, Run, caller, healthy, remove, started
from tests.collect.environment import Environment
from tests.report.patients import RULES

NOON = 1796558400.0  # 2026-12-06 12:00 UTC


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    started(monkeypatch, tmp_path)
    return caller(capsys)


@pytest.fixture
def venv(tmp_path: Path) -> Environment:
    return healthy(tmp_path / "venv")


def dated(made: Environment, name: str, at: float, *, requested: bool = False) -> None:
    (info,) = made.site.glob(f"{name}-*.dist-info")
    os.utime(info / "RECORD", (at, at))
    if requested:
        (info / "REQUESTED").touch()


def locked(cli: Run) -> None:
    assert cli("lock", "--prefix", "venv", "--static", "--force") == (0, "", "")


def test_an_unchanged_environment_is_as_locked_and_locks_the_same_bytes(
    cli: Run, venv: Environment, tmp_path: Path
) -> None:
    locked(cli)
    code, out, err = cli("drift", "--prefix", "venv")
    assert (code, err) == (0, "")
    assert "AS LOCKED  1 package of the GPU stack is as locked in gpu-doctor.lock." in out
    assert (
        cli("lock", "--prefix", "venv", "--static", "--force", "--output", "-")[1]
        == Path("gpu-doctor.lock").read_text()
    )
    assert str(tmp_path) not in Path("gpu-doctor.lock").read_text()


def test_a_cpu_torch_in_the_place_of_cuda_is_a_drift_with_its_culprit_and_its_cure(cli: Run, venv: Environment) -> None:
    locked(cli)
    remove(venv, "torch")
    venv.install("torch", "2.6.0+cpu", CPU)
    venv.install("coqui-tts", "0.28.0", {})
    dated(venv, "torch", NOON)
    dated(venv, "coqui_tts", NOON + 5, requested=True)
    dated(venv, "tidy", NOON - 10**6)
    code, out, err = cli("drift", "gpu-doctor.lock", "--prefix", "venv")
    assert (code, err) == (1, "")
    sentence = " ".join(out.split())
    assert (
        "torch 2.6.0+cu124 -> 2.6.0+cpu: a build without CUDA took the place of one for CUDA 12.4, by uv on "
        "2026-12-06 12:00 UTC (time of RECORD), brought along by what was asked for then: coqui-tts 0.28.0."
    ) in sentence
    assert "  uv pip install --python ~/venv/bin/python --torch-backend=cu124 torch==2.6.0+cu124\n" in out
    document = json.loads(cli("drift", "--prefix", "venv", "--format", "json")[1])
    assert [(one["subject"], one["kind"]) for one in document["drifts"]] == [
        ("torch", "replaced"),
        ("coqui-tts", "added"),
    ]
    assert document["restore"][1].endswith("torch==2.6.0+cu124")


def test_another_wheel_of_the_same_version_is_a_drift_and_another_installer_is_not(cli: Run, venv: Environment) -> None:
    locked(cli)
    remove(venv, "torch")
    venv.install("torch", "2.6.0+cu124", CUDA)
    (info,) = venv.site.glob("torch-*.dist-info")
    (info / "INSTALLER").write_text("pip\n")
    record = (info / "RECORD").read_text()
    (info / "RECORD").write_text(record + f"torch/__pycache__/x.pyc,,\n{info.name}/INSTALLER,sha256=zz,4\nlink,,\n")
    (venv.site / "link").touch()
    assert cli("drift", "--prefix", "venv")[0] == 0
    remove(venv, "torch")
    venv.install("torch", "2.6.0+cu124", {**CUDA, "torch/__init__.py": "y"})
    code, out, _ = cli("drift", "--prefix", "venv")
    assert (code, "has the same version and other files" in out) == (1, True)


def test_a_folder_that_may_not_be_read_is_not_called_unchanged(cli: Run, venv: Environment) -> None:
    locked(cli)
    (info,) = venv.site.glob("torch-*.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: not a version\n")
    code, out, _ = cli("drift", "--prefix", "venv")
    assert (code, "UNDETERMINED" in out) == (3, True)


@pytest.mark.parametrize(
    ("text", "says"), [(None, "cannot read gpu-doctor.lock: No such file"), ("x", "gpu-doctor.lock is not a lock")]
)
def test_a_lock_that_is_none_is_a_usage_error(cli: Run, venv: Environment, text: str | None, says: str) -> None:
    if text is not None:
        Path("gpu-doctor.lock").write_text(text)
    code, out, err = cli("drift", "--prefix", "venv")
    assert (code, out) == (2, "")
    assert err.startswith(f"gpu-doctor: {says}")


def test_an_environment_without_a_gpu_stack_is_not_locked(cli: Run, tmp_path: Path) -> None:
    Environment(tmp_path / "venv").install("tidy", "1.0", {})
    code, _, err = cli("lock", "--prefix", "venv", "--static", "--force")
    assert (code, "has no package of the GPU stack" in err) == (3, True)
    assert not Path("gpu-doctor.lock").exists()


SICK = Finding("driver-too-old", "error", "driver", "The driver is too old.", ())


@pytest.mark.parametrize(
    ("runs", "code", "says"),
    [
        ((CheckRun("driver-too-old", "failed", findings=(SICK,)),), 1, "not locked, because it is sick: The driver is"),
        ((CheckRun("driver-too-old", "crashed", "KeyError"),), 3, "not locked, because it is not known to be healthy"),
        ((CheckRun("driver-too-old", "passed"),), 0, ""),
    ],
)
def test_only_the_healthy_are_locked_unasked(
    cli: Run,
    venv: Environment,
    monkeypatch: pytest.MonkeyPatch,
    runs: tuple[CheckRun, ...],
    code: int,
    says: str,
) -> None:
    case = Case(kit.inventory(kit.dist("torch", "2.6.0", cuda="12.4")), runs, RULES)
    monkeypatch.setattr(between, "judge", lambda _: Report((case,), "0.1.0", "2026-11-20"))
    found, out, err = cli("lock", "--prefix", "venv", "--static")
    assert (found, out) == (code, "")
    assert err.startswith(f"gpu-doctor: {says}" if says else "")
    assert Path("gpu-doctor.lock").exists() is (code == 0)
    assert cli("lock", "--prefix", "venv", "--static", "--force")[0] == 0


def test_a_read_only_environment_is_compared(cli: Run, venv: Environment, tmp_path: Path) -> None:
    locked(cli)
    before = {path: path.lstat().st_mtime_ns for path in venv.prefix.rglob("*")}
    assert cli("drift", "--prefix", "venv")[0] == 0
    assert {path: path.lstat().st_mtime_ns for path in venv.prefix.rglob("*")} == before
