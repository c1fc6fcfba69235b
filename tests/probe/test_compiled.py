"""Children share compiled modules, and nothing of them is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_doctor.probe.compiled import share_compiled


def test_children_compile_into_one_folder_that_goes(tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text("there = 1\n")
    with share_compiled(compile_anew=True) as compiled:
        assert compiled.folder is not None
        environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tmp_path), **compiled.environ}
        subprocess.run([sys.executable, *compiled.options, "-c", "import patient"], env=environ, check=True)
        assert [path.name.partition(".")[0] for path in Path(compiled.folder).rglob("patient*")] == ["patient"]
    assert not Path(compiled.folder).exists()
    assert os.listdir(tmp_path) == ["patient.py"]


def test_what_is_compiled_is_used_and_nothing_is_written() -> None:
    with share_compiled(compile_anew=False) as compiled:
        assert (compiled.options, compiled.environ, compiled.folder) == (("-B",), {}, None)


def test_where_no_folder_can_be_made_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: (_ for _ in ()).throw(OSError("read-only")))
    assert share_compiled(compile_anew=True).options == ("-B",)
