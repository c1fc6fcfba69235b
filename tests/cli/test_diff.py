"""`diff`: sides of every kind, exit codes, and one line for what cannot be compared."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

from tests.cli.compared import CPU, Run, caller, healthy, remove, started
from tests.collect.environment import Environment
from tests.collect.test_engines import engine


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    started(monkeypatch, tmp_path)
    return caller(capsys)


@pytest.fixture
def venv(tmp_path: Path) -> Environment:
    return healthy(tmp_path / "venv")


def replaced(made: Environment) -> None:
    remove(made, "torch")
    made.install("torch", "2.6.0+cpu", CPU)


def test_an_environment_equals_itself_its_snapshot_and_its_image(cli: Run, venv: Environment, tmp_path: Path) -> None:
    cli("snapshot", "--prefix", "venv", "--static", "--output", "snap.json")
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        tar.add(venv.prefix, "opt/venv")
    for left, right in (("snap.json", "snap.json"), ("snap.json", "venv"), ("venv", "image.tar")):
        code, out, err = cli("diff", left, right)
        assert (code, err) == (0, "")
        assert "EQUAL  Nothing that was compared differs." in out
    assert "not judged" in out


def test_a_replaced_torch_is_told_with_its_builds(cli: Run, venv: Environment) -> None:
    cli("snapshot", "--prefix", "venv", "--static", "--output", "good.json")
    replaced(venv)
    code, out, err = cli("diff", "good.json", "venv")
    assert (code, err) == (1, "")
    assert "  torch  2.6.0+cu124 -> 2.6.0+cpu\n" in out
    code, out, _ = cli("diff", "good.json", "venv", "--format", "json", "--output", "-")
    document = json.loads(out)
    assert (code, document["equal"], document["right"]["kind"]) == (1, False, "environment")
    assert document["differences"][0]["subject"] == "torch"


def test_a_snapshot_may_come_through_a_pipe(cli: Run, venv: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    text = cli("snapshot", "--prefix", "venv", "--static")[1]
    replaced(venv)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, _ = cli("diff", "-", "venv")
    assert code == 1
    assert out.startswith("A  - (snapshot, Python 3.11.7)")


@pytest.mark.parametrize(
    ("sides", "code", "says"),
    [
        (("none", "venv"), 2, "none: no such file or folder"),
        (("", "venv"), 2, "a side is empty"),
        (("-", "-"), 2, "both sides are stdin"),
        (("podman:app:1", "venv"), 2, "podman:app:1: there is no podman here"),
        (("venv", "empty"), 2, "empty: no Python environment in this folder"),
        (("notes.txt", "venv"), 3, "cannot read notes.txt: it is neither a snapshot nor a tar"),
        (("broken.json", "venv"), 3, "cannot read broken.json: not an inventory: not JSON"),
        (("report.json", "venv"), 3, "cannot read report.json: not an inventory: the document says"),
        (("empty.tar", "venv"), 3, "cannot read empty.tar"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    cli: Run,
    venv: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sides: tuple[str, str],
    code: int,
    says: str,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no engine of this machine is meant
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "report.json").write_text('{"schema": "gpu-doctor/report/1"}')
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        tar.add(tmp_path / "notes.txt", "notes.txt")
    found, out, err = cli("diff", *sides, "--static")
    assert (found, out) == (code, "")
    assert err.startswith(f"gpu-doctor: {says}")
    assert err.count("\n") <= 2


def test_an_engine_that_cannot_give_the_image_is_quoted(
    cli: Run, venv: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = engine(tmp_path / "bin", "sys.exit('Cannot connect to the Docker daemon.')")
    monkeypatch.setenv("PATH", environ["PATH"])
    code, out, err = cli("diff", "docker:registry/app:1", "venv", "--static")
    assert (code, out) == (3, "")
    assert err.startswith("gpu-doctor: cannot read docker:registry/app:1: Cannot connect to the Docker daemon.\n")
    assert "`docker save -o app.tar registry/app:1`" in err


def test_a_side_that_is_larger_than_any_is_not_read(
    cli: Run, venv: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu_doctor.collect.snapshots._LARGEST", 10)
    (tmp_path / "big.json").write_text("{" + " " * 20 + "}")
    assert cli("diff", "big.json", "venv")[0] == 3
