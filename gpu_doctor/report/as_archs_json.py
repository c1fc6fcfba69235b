"""Packages and the GPU architectures in them as JSON, `gpu-doctor/archs/1`; its schema is docs/schema/archs-1.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from gpu_doctor.model.architecture import sort_key
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.libraries import Library

SCHEMA = "gpu-doctor/archs/1"


def render(libraries: Iterable[Library], gpus: Sequence[Gpu]) -> str:
    """Return every library with its architectures; `runs` holds one answer per GPU asked about."""
    document = {
        "schema": SCHEMA,
        "gpus": [{"name": gpu.name, "sm": gpu.sm} for gpu in gpus],
        "libraries": [_plain(library, gpus) for library in libraries],
    }
    return json.dumps(document, indent=2) + "\n"


def _plain(library: Library, gpus: Sequence[Gpu]) -> dict[str, Any]:
    code = library.gpu_code
    plain: dict[str, Any] = {
        "path": library.path,
        "package": library.package,
        "sass": sorted(code.sass, key=sort_key),
        "ptx": sorted(code.ptx, key=sort_key),
        "status": code.status,
        "note": code.note,
    }
    if gpus:
        plain["runs"] = {gpu.sm: code.reach(gpu.capability) for gpu in gpus}
    return plain
