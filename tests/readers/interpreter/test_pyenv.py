"""A pyenv shim leads to the interpreter that it would start, found without starting it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.errors import TargetNotFound
from gpu_doctor.readers.interpreter.choose import choose_target
from gpu_doctor.readers.interpreter.pyenv import is_shim, resolve
from tests.readers.patient import installation


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "pyenv"
    for version in ("3.9.18", "3.11.7", "3.11.10"):
        installation(root / "versions" / version, version.rpartition(".")[0])
    (root / "shims").mkdir()
    (root / "version").write_text("3.9.18\n")
    shim = root / "shims" / "python3"
    shim.write_text(
        f'#!/usr/bin/env bash\nexport PYENV_ROOT="{root}"\nexec "{root}/libexec/pyenv" exec "$program" "$@"\n'
    )
    shim.chmod(0o755)
    return root


def resolved(root: Path, cwd: Path, **environ: str) -> str | None:
    return resolve(str(root / "shims" / "python3"), environ, str(cwd)).path


def python(root: Path, version: str) -> str:
    return str(root / "versions" / version / "bin" / "python3")


def test_the_variable_beats_the_folders_file_which_beats_the_global_one(root: Path, tmp_path: Path) -> None:
    project = tmp_path / "project" / "inner"
    project.mkdir(parents=True)
    assert resolved(root, project) == python(root, "3.9.18")
    (tmp_path / "project" / ".python-version").write_text("# ours\n3.11.7\n")
    assert resolved(root, project) == python(root, "3.11.7")
    assert resolved(root, project, PYENV_VERSION="3.9.18") == python(root, "3.9.18")


def test_a_series_means_its_newest_version(root: Path, tmp_path: Path) -> None:
    assert resolved(root, tmp_path, PYENV_VERSION="3.11") == python(root, "3.11.10")


def test_of_several_versions_the_first_that_is_installed_counts(root: Path, tmp_path: Path) -> None:
    assert resolved(root, tmp_path, PYENV_VERSION="3.8.1:3.11.7:3.9.18") == python(root, "3.11.7")


def test_system_means_the_next_on_path(root: Path, tmp_path: Path) -> None:
    system = installation(tmp_path / "usr")
    path = f"{root}/shims:{system}/bin"
    assert resolved(root, tmp_path, PYENV_VERSION="system", PATH=path) == str(system / "bin" / "python3")


def test_a_version_file_cannot_lead_out_of_pyenv(root: Path, tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("../../../usr\n")
    assert resolved(root, tmp_path) == python(root, "3.9.18")


def test_the_choice_names_the_shim_and_what_decided(root: Path, tmp_path: Path) -> None:
    target = choose_target(None, None, {"PATH": f"{root}/shims"}, str(tmp_path))
    assert target.python == python(root, "3.9.18")
    assert target.chosen_by == f"python3 on PATH (pyenv shim, 3.9.18 by {root}/version)"


def test_a_shim_that_leads_nowhere_is_refused_with_the_reason(root: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetNotFound, match=r"PYENV_VERSION names 3\.4\.0, which has no python3"):
        choose_target(str(root / "shims" / "python3"), None, {"PYENV_VERSION": "3.4.0"}, str(tmp_path))


def test_only_pyenvs_scripts_are_shims(root: Path, tmp_path: Path) -> None:
    assert is_shim(str(root / "shims" / "python3"))
    assert not is_shim(python(root, "3.9.18"))
    (tmp_path / "shims").mkdir()
    (tmp_path / "shims" / "python3").write_text("#!/bin/sh\nexec asdf exec python3\n")
    assert not is_shim(str(tmp_path / "shims" / "python3"))
