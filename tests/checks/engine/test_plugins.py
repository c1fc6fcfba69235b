"""Plug-ins are found where they are, and cost nothing where there are none."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gpu_doctor.checks.engine.plugins import GROUP, plugins

ANNOUNCED = f"[{GROUP}]\nmy_rule = somebody.my_rule\n[console_scripts]\nother = other:main\n"


@pytest.mark.parametrize("metadata", ["somebody-1.0.dist-info", "somebody.egg-info"])
def test_a_plugin_in_a_folder_of_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: str) -> None:
    (tmp_path / metadata).mkdir()
    (tmp_path / metadata / "entry_points.txt").write_text(ANNOUNCED)
    monkeypatch.syspath_prepend(tmp_path)
    assert ("my_rule", "somebody.my_rule") in plugins()


def test_a_plugin_in_an_archive_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "somebody.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("somebody-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
        file.writestr("somebody-1.0.dist-info/entry_points.txt", ANNOUNCED)
    monkeypatch.syspath_prepend(archive)
    assert ("my_rule", "somebody.my_rule") in plugins()


def test_without_plugins_nothing_is_imported_for_them() -> None:
    code = (
        "import sys; from gpu_doctor.checks.engine.registry import load_rules; load_rules(); "
        "print('importlib.metadata' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
