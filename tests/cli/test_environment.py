"""Every command on a small environment that really exists, with nothing of the doctor replaced."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.cli.app import run

Run = Callable[..., tuple[int, str, str]]
HARDWARE = ("--gpu", "RTX 4090", "--driver", "580.65.06")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment with one package, which has nothing to do with GPUs."""
    prefix = tmp_path / "venv"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    info = prefix / "lib" / f"python{version}" / "site-packages" / "tidy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tidy\nVersion: 1.0\n")
    (info / "RECORD").write_text("tidy-1.0.dist-info/METADATA,,\ntidy-1.0.dist-info/RECORD,,\n")
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").symlink_to(Path(sys.base_prefix) / "bin" / f"python{version}")
    (prefix / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\nversion = {version}.0\nuv = 0.9.0\n")
    return prefix


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run one command line at the parent folder of the environment, which is home; return exit code and output."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "LD_LIBRARY_PATH", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        return (code, *capsys.readouterr())

    return call


def test_the_first_line_names_the_environment_and_why_it_was_chosen(
    cli: Run, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(venv))
    code, out, err = cli("check", *HARDWARE)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert out.startswith(f"~/venv (Python {version}.")
    assert out.splitlines()[0].endswith(", uv) — chosen by VIRTUAL_ENV")
    assert out.splitlines()[1].startswith("UNDETERMINED")
    assert (code, err) == (3, "")


def test_a_saved_inventory_gives_the_same_report_as_the_environment(cli: Run, venv: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "inventory.json")
    assert cli("inventory", "--prefix", str(venv), *HARDWARE, "--format", "json", "--output", file) == (0, "", "")
    direct = cli("check", "--prefix", str(venv), *HARDWARE, "--format", "json")
    assert cli("check", "--from", file, "--format", "json") == direct
    assert json.loads(direct[1])["cases"][0]["target"]["gpus"][0]["sm"] == "sm_89"


def test_a_saved_inventory_is_judged_for_other_hardware(cli: Run, venv: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "inventory.json")
    cli("inventory", "--prefix", str(venv), "--format", "json", "--output", file)
    _, out, _ = cli("check", "--from", file, "--gpu", "T4", "--gpu", "sm_120", "--format", "json")
    assert [gpu["sm"] for gpu in json.loads(out)["cases"][0]["target"]["gpus"]] == ["sm_75", "sm_120"]


def test_the_inventory_is_shown_in_words(cli: Run, venv: Path) -> None:
    code, out, err = cli("inventory", "--prefix", str(venv), *HARDWARE)
    assert "hardware  RTX 4090 (sm_89) as given, driver 580.65.06 as given\n" in out
    assert "1 package, 0 shared libraries\n" in out
    assert (code, err) == (0, "")


def test_archs_of_an_environment_and_of_files(cli: Run, venv: Path, tmp_path: Path) -> None:
    assert cli("archs", "--prefix", str(venv)) == (0, "~/venv — chosen by --prefix\n\nno shared libraries here\n", "")
    (tmp_path / "a.so").write_bytes(b"not a library")
    code, out, _ = cli("archs", str(tmp_path / "a.so"), "--gpu", "sm_89", "--format", "json")
    (library,) = json.loads(out)["libraries"]
    assert (code, library["path"], library["sass"]) == (0, str(tmp_path / "a.so"), [])


def test_archs_of_a_file_that_is_not_there_is_a_usage_error(cli: Run) -> None:
    code, out, err = cli("archs", "absent.so")
    assert (code, out) == (2, "")
    assert "absent.so" in err


def test_a_library_that_nobody_asks_for_is_exit_code_1(cli: Run, venv: Path) -> None:
    code, out, err = cli("where", "libcudnn.so.9", "--prefix", str(venv))
    assert (code, err) == (1, "")
    assert out.startswith("~/venv — chosen by --prefix\n\nnothing in this environment asks for libcudnn.so.9")
