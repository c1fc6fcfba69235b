from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.collect.archs import archs_of_files, archs_of_target
from gpu_doctor.errors import UsageError
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.collect.environment import Environment


def test_a_file_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        archs_of_files([str(tmp_path / "gone.so")])


def test_files_are_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.so").write_text("no ELF file")
    monkeypatch.chdir(tmp_path)
    (library,) = archs_of_files(["a.so"])
    assert library.path == str(tmp_path / "a.so")
    assert isinstance(library.elf, Unknown)


def test_libraries_without_gpu_code_are_left_out(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    environment.install("ctranslate2", "4.8.5", {"ctranslate2.libs/liba.so": "no ELF file"})
    libraries, gpus = archs_of_target(Target(None, str(environment.prefix), "--prefix", ("H100",)), {})
    assert [library.name for library in libraries if library.gpu_code.status == "none"] == []
    assert [gpu.sm for gpu in gpus] == ["sm_90"]
