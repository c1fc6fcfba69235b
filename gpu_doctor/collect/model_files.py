"""Read the files of a model that the user named."""

from __future__ import annotations

import os

from gpu_doctor.errors import UsageError
from gpu_doctor.model.checkpoint import Checkpoint
from gpu_doctor.readers.models.model import read_checkpoint


def read_model(path: str) -> Checkpoint:
    """Read a folder, a file of weights or a configuration; raise UsageError where that says nothing of a model."""
    if not path.strip():
        raise UsageError("--model is empty: name a folder or a file")
    return read_checkpoint(os.path.abspath(os.path.expanduser(path)))
