"""Real fact tables with one slip in them."""

from __future__ import annotations

from pathlib import Path

from gpu_doctor.facts.load import FOLDER


def slip(folder: Path, table: str, old: str, new: str) -> Path:
    """Write the real table with the first `old` replaced; return the folder to load it from."""
    text = (FOLDER / f"{table}.toml").read_text(encoding="utf-8")
    assert old in text, f"{table}.toml does not contain {old!r}"
    (folder / f"{table}.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder
