"""Tell whether the modules of an environment were ever compiled."""

from __future__ import annotations

import os
from collections.abc import Iterable

from gpu_doctor.model.inventory import Distribution

# Large ones, whose folder is called as they are: where these are compiled, so are the others that were imported.
_SAMPLES = ("torch", "tensorflow", "jax", "transformers", "onnxruntime", "ctranslate2")


def never_compiled(distributions: Iterable[Distribution]) -> bool:
    """Tell whether the largest package has no compiled module, as uv leaves it; False where none of them is there."""
    places = {item.name: item.location for item in distributions if item.active}
    folders = (f"{places[name]}/{name}" for name in _SAMPLES if name in places)
    sample = next((folder for folder in folders if os.path.isdir(folder)), None)
    return sample is not None and not os.path.isdir(f"{sample}/__pycache__")
