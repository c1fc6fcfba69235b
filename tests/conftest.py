"""The `lab` fixture: a real environment by the name of its recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.labs.build import LabNotBuilt, build


@pytest.fixture(scope="session")
def lab() -> Callable[[str], Path]:
    """Build an environment, or find it built, and return its folder; a lab that cannot be built fails the test."""

    def built(name: str) -> Path:
        try:
            return build(name)
        except LabNotBuilt as problem:
            pytest.fail(str(problem), pytrace=False)

    return built
