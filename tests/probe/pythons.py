"""Find the Pythons of this machine, of every version that a target may have."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import pytest

SERIES = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


@functools.cache
def python_of(series: str) -> str:
    """Return a Python of this series, or skip the test where there is none."""
    places = (
        *sorted(Path.home().glob(f".pyenv/versions/{series}.*/bin/python{series}")),
        *sorted(Path.home().glob(f".local/share/uv/python/cpython-{series}.*/bin/python{series}")),
    )
    found = next(map(str, places), None) or shutil.which(f"python{series}")
    if found is None:
        pytest.skip(f"no Python {series} here")
    return found
