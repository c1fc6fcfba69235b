"""Fetch a model from the hub into its cache; Python 3.8, huggingface_hub only. Asked after consent alone.

Argument: {"name": "owner/name"}. Answer: the folder of its snapshot.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def answer(argument: dict[str, Any], notes: Any) -> str:
    """Return the folder in which the model lies now."""
    from huggingface_hub import snapshot_download  # type: ignore[import-not-found]

    return str(snapshot_download(argument["name"]))
