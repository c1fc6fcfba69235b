"""Every example of docs/testing-kit.md is a test that passes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulated.driver import SimulatedGpu, SimulatedProcess, simulated_driver

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "testing-kit.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def examples() -> Iterator[Any]:
    for number, block in enumerate(BLOCKS):
        for name in re.findall(r"^def (test_\w+)", block, re.MULTILINE):
            yield pytest.param(number, name, id=name)


def defined(number: int) -> dict[str, Callable[..., None]]:
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[number], "testing-kit.md", "exec"), names)
    return names


@pytest.mark.parametrize(("number", "name"), list(examples()))
def test_an_example_passes(number: int, name: str, tmp_path: Path) -> None:
    test = defined(number)[name]
    test(*([tmp_path] if inspect.signature(test).parameters else []))


def test_the_examples_are_as_narrow_as_the_house() -> None:
    assert [line for block in BLOCKS for line in block.splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("thing", [simulated_driver, SimulatedGpu, SimulatedProcess])
def test_every_setting_of_the_driver_is_documented(thing: Callable[..., object]) -> None:
    names = [name for name in inspect.signature(thing).parameters if name not in ("folder", "gpus")]
    assert [name for name in names if not re.search(rf"`[^`]*\b{name}\b[^`]*`", TEXT)] == []
