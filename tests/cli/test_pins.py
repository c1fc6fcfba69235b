"""`gpu-doctor pins`: its formats, its exit codes, and what it says aside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tomlkit
from packaging.version import Version

from gpu_doctor.cli.app import run
from gpu_doctor.model.inventory import Inventory
from tests import kit

Run = Callable[..., tuple[int, str, str]]
ILL = kit.inventory(kit.dist("torch", "2.9.1+cpu", built="2.9.1+cpu"), kit.dist("ctranslate2", "4.4.0"))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(seen: Inventory, *arguments: str) -> tuple[int, str, str]:
        def take(target: object, environ: object, facts: object, progress: object, wish: object) -> Inventory:
            assert not wish.kinds  # type: ignore[attr-defined]
            return seen

        monkeypatch.setattr("gpu_doctor.collect.inventory.take_inventory", take)
        code = run(["pins", "--prefix", "/usr", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_constraints_are_the_usual_format(cli: Run) -> None:
    code, out, err = cli(ILL)
    assert (code, err) == (0, "")
    assert "# Versions that go together on NVIDIA GeForce RTX 4090 (sm_89), driver 580.95.05 and Python 3.11.\n" in out
    assert "--torch-backend=cu128" in out
    assert [line.split("  #")[0] for line in out.splitlines() if not line.startswith("#")] == [
        "torch==2.9.1+cu128",
        "ctranslate2==4.8.1",
    ]


def test_json_is_one_document(cli: Run) -> None:
    code, out, err = cli(ILL, "--format", "json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert [pin["requirement"] for pin in document["pins"]] == ["torch==2.9.1+cu128", "ctranslate2==4.8.1"]
    assert (document["cuda"], document["torch_backend"]) == ("12.8", "cu128")
    assert document["pins"][0]["installed"] == "2.9.1+cpu"
    assert document["for"] == {
        "gpus": [{"name": "NVIDIA GeForce RTX 4090", "architecture": "sm_89"}],
        "driver": "580.95.05",
        "python": "3.11.7",
        "machine": "x86_64",
    }


def test_the_part_for_uv(cli: Run) -> None:
    code, out, _ = cli(ILL, "--format", "pyproject")
    assert code == 0
    assert tomlkit.parse(out).unwrap() == {
        "tool": {"uv": {"override-dependencies": ["torch==2.9.1+cu128", "ctranslate2==4.8.1"]}}
    }


@pytest.mark.parametrize(
    ("manager", "tagged", "command"),
    [
        ("uv", True, "uv pip install --python {python} --torch-backend=cu128 torch==2.9.1+cu128 ctranslate2==4.8.1"),
        ("pip", True, "uv pip install --python {python} --torch-backend=cu128 torch==2.9.1+cu128 ctranslate2==4.8.1"),
        ("pip", False, "{python} -m pip install torch==2.8.0 ctranslate2==4.8.1"),
        ("poetry", False, "poetry add torch==2.8.0 ctranslate2==4.8.1"),
        ("pipenv", False, "pipenv install torch==2.8.0 ctranslate2==4.8.1"),
    ],
)
def test_the_command_is_one_line(cli: Run, manager: str, tagged: bool, command: str) -> None:
    torch = ILL.distributions[0] if tagged else kit.dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
    seen = kit.inventory(torch, ILL.distributions[1], interpreter=kit.interpreter(manager=manager))
    assert cli(seen, "--format", "command")[1] == command.format(python=f"{kit.PREFIX}/bin/python") + "\n"


def test_poetry_is_told_where_builds_with_a_tag_are(cli: Run) -> None:
    seen = kit.inventory(*ILL.distributions, interpreter=kit.interpreter(manager="poetry"))
    code, out, err = cli(seen, "--format", "command")
    assert (code, out) == (0, "poetry add torch==2.9.1+cu128 ctranslate2==4.8.1\n")
    assert err == ("gpu-doctor: Poetry finds builds tagged cu128 only with PyTorch's own package index as a source.\n")


def test_what_is_left_out_is_said_and_is_an_exit_code(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    seen = kit.inventory(interpreter=kit.interpreter(version=Version("3.14.0")))
    code, out, err = cli(seen, "--complete", "--output", str(file))
    assert (code, out) == (1, "")
    assert err.startswith("gpu-doctor: whisperx is not pinned: no release for Python 3.14")
    assert "torch==2.10.0  # built for CUDA 12.8" in file.read_text()


@pytest.mark.parametrize("written", ["constraints", "pyproject", "command"])
def test_no_set_is_no_file(cli: Run, tmp_path: Path, written: str) -> None:
    file = tmp_path / "constraints.txt"
    seen = kit.inventory(gpus=(kit.gpu("RTX 5090", (12, 0)),), driver=kit.driver("525.85.12"))
    code, out, err = cli(seen, "torch", "--format", written, "--output", str(file))
    assert (code, out, file.exists()) == (3, "", False)
    assert err == "gpu-doctor: Driver 525.85.12 does not know the RTX 5090 (sm_120), which needs 570.26.\n"


def test_no_set_is_a_document_that_says_so(cli: Run) -> None:
    code, out, err = cli(kit.inventory(), "--format", "json")
    assert (code, err, json.loads(out)["pins"]) == (3, "", [])
    assert json.loads(out)["notes"] == ["No package is installed that could be pinned; name one, or give --complete."]


def test_a_strange_name_is_misuse(cli: Run) -> None:
    code, out, err = cli(ILL, "torch,requests")
    assert (code, out) == (2, "")
    assert err.startswith("gpu-doctor: there are no pins for 'requests'\n  known: torch, ")


def test_a_real_environment_that_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    where = ("--prefix", str(tmp_path / "env"), "--gpu", "Tesla T4", "--driver", "535.104.05")
    assert run(["pins", "torch", "torchaudio", *where]) == 0
    assert "torchaudio==" in capsys.readouterr().out


# --- Writing into a project's file --------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make an environment with a torch of an odd release, and a project that asks for it."""
    site = tmp_path / ".venv/lib/python3.11/site-packages/ctranslate2-4.8.1.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: ctranslate2\nVersion: 4.8.1\n")
    (site / "RECORD").write_text("ctranslate2-4.8.1.dist-info/METADATA,,\n")
    (tmp_path / ".venv/pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\ndependencies = ["ctranslate2==4.6.1"] # ours\n')
    return tmp_path


def called(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gpu_doctor", *arguments, "--prefix", str(project / ".venv")]
    return subprocess.run(command, capture_output=True, text=True, cwd=project, stdin=subprocess.DEVNULL)


def test_writing_shows_the_difference_keeps_comments_and_can_be_undone(project: Path) -> None:
    file = project / "pyproject.toml"
    before = file.read_text()
    done = called(project, "pins", "--write", "pyproject.toml", "--yes")
    assert done.returncode == 0, done.stderr
    assert '-dependencies = ["ctranslate2==4.6.1"] # ours' in done.stdout
    assert 'dependencies = ["ctranslate2==4.8.1"] # ours' in file.read_text()
    assert called(project, "pins", "--write", "pyproject.toml", "--yes").stdout == "pyproject.toml: nothing written.\n"
    assert called(project, "undo", "--yes").returncode == 0
    assert file.read_text() == before


def test_writing_needs_consent(project: Path) -> None:
    before = (project / "pyproject.toml").read_text()
    done = called(project, "pins", "--write", "pyproject.toml")
    assert (done.returncode, (project / "pyproject.toml").read_text()) == (1, before)
    assert done.stderr.startswith("gpu-doctor: nobody is here to consent: nothing was changed\n")


@pytest.mark.parametrize("name", ["Pipfile", "uv.lock", "no/such/folder/constraints.txt", "."])
def test_a_file_that_cannot_be_written_is_refused_in_one_line(project: Path, name: str) -> None:
    done = called(project, "pins", "--write", name, "--yes")
    assert done.returncode in (1, 2, 3)
    assert done.stderr.startswith("gpu-doctor: ")
    assert "Traceback" not in done.stderr
