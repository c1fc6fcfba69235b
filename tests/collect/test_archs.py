from __future__ import annotations

from pathlib import Path

import pytest

from gpu_doctor.collect.archs import archs_of_files, archs_of_target
from gpu_doctor.errors import UsageError
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.collect.environment import Environment


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


@pytest.mark.parametrize(
    ("name", "said"), [("gone.so", "No such file"), ("folder", "is a folder"), ("loop", "symbolic")]
)
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match=said):
        archs_of_files([str(tmp_path / name)])
