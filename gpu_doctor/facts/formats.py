"""Answer which number formats a GPU computes in: `formats.toml`."""

from __future__ import annotations

from pathlib import Path

from gpu_doctor.facts import load, parse
from gpu_doctor.model.architecture import Capability

ENGINES = ("torch", "ctranslate2")


class NumberFormats:
    """Answer questions to formats.toml."""

    def __init__(self, folder: Path) -> None:
        table = load.read_table("formats", folder)
        rows = [(row, (row.take("engine", parse.text), row.take("dtype", parse.text))) for row in table.rows("format")]
        load.unique(rows)
        for row, (engine, _) in rows:
            if engine not in ENGINES:
                raise row.error(f"engine is not one of {', '.join(ENGINES)}")
        self._formats = {
            key: (row.take("since", parse.capability), row.maybe("except", parse.capabilities, ())) for row, key in rows
        }
        for row, _ in rows:
            row.done()

    def has(self, engine: str, dtype: str, capability: Capability) -> bool:
        """Tell whether GPUs of this capability compute in a number format at full speed with this engine."""
        since, but = self._formats[engine, dtype]
        return capability >= since and capability not in but

    def since(self, engine: str, dtype: str) -> Capability:
        """Return the first capability that has a number format."""
        return self._formats[engine, dtype][0]
