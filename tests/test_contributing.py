"""The example in CONTRIBUTING.md is a rule that works, within the limits that it teaches."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TEXT = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
RULE, TESTS = BLOCKS[0], BLOCKS[1]


@pytest.fixture
def rule() -> ModuleType:
    module = ModuleType("shared_memory_small")
    exec(compile(RULE, "CONTRIBUTING.md", "exec"), module.__dict__)
    return module


def test_the_example_is_named_like_its_file(rule: ModuleType) -> None:
    assert rule.RULE.id == "shared-memory-small"
    assert "gpu_doctor/checks/shared_memory_small.py" in TEXT
    assert len(RULE.splitlines()) <= 100
    assert max(map(len, RULE.splitlines())) <= 120


def test_the_examples_tests_pass(rule: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpu_doctor.checks.shared_memory_small", rule)
    tests: dict[str, Any] = {}
    exec(compile(TESTS, "CONTRIBUTING.md", "exec"), tests)
    found = [name for name in tests if name.startswith("test_")]
    assert len(found) == 3
    for name in found:
        tests[name]()
