"""Find and read what the project wrote down about its GPU environment."""

from __future__ import annotations

import os

from gpu_doctor.model.config import Config


def read_settings(cwd: str, path: str | None = None) -> Config:
    """Return the settings of a named file, else of the nearest one above a folder, else none.

    Raise UsageError, with file and line, for what makes no sense.
    """
    from gpu_doctor.readers.project.config import find_config, read_config

    found = os.path.join(cwd, path) if path is not None else find_config(cwd)
    if found is None:
        return Config()
    # Below this folder the short name is the one that people recognize; elsewhere only the whole one leads there.
    shown = os.path.relpath(found, cwd) if found.startswith(os.path.join(cwd, "")) else found
    return read_config(found, path or shown)
