"""When an environment's modules were never compiled."""

from __future__ import annotations

from pathlib import Path

from gpu_doctor.readers.packages.compiled import never_compiled
from tests.kit import dist


def test_what_lies_compiled_tells(tmp_path: Path) -> None:
    torch = dist("torch", "2.8.0", location=str(tmp_path))
    assert not never_compiled([torch])  # its folder is not there: nothing can be told
    (tmp_path / "torch").mkdir()
    assert never_compiled([dist("numpy", "2.2.6"), torch])
    (tmp_path / "torch/__pycache__").mkdir()
    assert not never_compiled([torch])


def test_without_a_large_package_nothing_is_worth_it() -> None:
    assert not never_compiled([dist("numpy", "2.2.6")])
