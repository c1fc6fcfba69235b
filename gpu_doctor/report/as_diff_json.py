"""Two sides against each other as JSON, `gpu-doctor/diff/1`; its schema is docs/schema/diff-1.json."""

from __future__ import annotations

import json
from dataclasses import asdict

from gpu_doctor.model.difference import Contrast

SCHEMA = "gpu-doctor/diff/1"


def render(contrast: Contrast) -> str:
    """Return the comparison as a JSON document, in the order of the text report, with everything in it."""
    document = {
        "schema": SCHEMA,
        "equal": contrast.same,
        "left": asdict(contrast.left),
        "right": asdict(contrast.right),
        "rules": [asdict(turn) for turn in contrast.turns],
        "differences": [asdict(one) for one in contrast.differing],
        "same": list(contrast.equal),
        "not_compared": [asdict(one) for one in contrast.uncompared],
    }
    return json.dumps(document, indent=2) + "\n"
