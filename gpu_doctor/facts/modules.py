"""Answer which module to import to learn whether a distribution works: `modules.toml`."""

from __future__ import annotations

from pathlib import Path

from gpu_doctor.facts import load, parse


def read_modules(folder: Path = load.FOLDER) -> dict[str, str]:
    """Return the module of each distribution, in the order of the table; raise FactsError where a row does not fit."""
    rows = [(row, _module(row)) for row in load.read_table("modules", folder).rows("module")]
    load.unique((row, pair[0]) for row, pair in rows)
    return dict(pair for _, pair in rows)


def _module(row: load.Row) -> tuple[str, str]:
    pair = row.take("distribution", parse.text), row.take("module", parse.text)
    row.done()
    return pair
