"""Reports of the recorded patients, judged once for all tests of formats."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from gpu_doctor.model import plain
from gpu_doctor.model.case import Report
from tests.checks.judge import judge_all

_FOLDER = Path(__file__).resolve().parents[1] / "patients"
NAMES = tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


@cache
def report(*names: str) -> Report:
    """Return the report of these patients, one case each."""
    texts = [(_FOLDER / f"{name}.json").read_text(encoding="utf-8") for name in names]
    return Report(tuple(judge_all(plain.loads(text)) for text in texts), "0.1.0", "2026-11-20")
