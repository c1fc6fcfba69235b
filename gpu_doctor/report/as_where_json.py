"""Which file serves a library as JSON, `gpu-doctor/where/1`; its schema is docs/schema/where-1.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from gpu_doctor.model.libraries import Resolution

SCHEMA = "gpu-doctor/where/1"


def render(library: str, resolutions: Sequence[Resolution]) -> str:
    """Return every answer: who asks for which names after which imports, and what is found, by which rule."""
    answers = [asdict(resolution) for resolution in resolutions]
    return json.dumps({"schema": SCHEMA, "library": library, "answers": answers}, indent=2) + "\n"
