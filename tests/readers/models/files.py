"""Files of models, written by hand."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "F8_E4M3": 1}


def header(**tensors: tuple[str, list[int]]) -> dict[str, Any]:
    """Return a sound header for tensors given as (dtype, shape), one after the other."""
    found: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape) in tensors.items():
        size = WIDTHS[dtype]
        for edge in shape:
            size *= edge
        found[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return found


def write(path: Path, document: Any, data: int | None = None, length: int | None = None) -> Path:
    """Write a file with this header; `data` bytes follow (None: as many as the header says)."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    if data is None:
        ends = [v["data_offsets"][1] for k, v in document.items() if k != "__metadata__"] if document else []
        data = max(ends, default=0)
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + bytes(data))
    return path
