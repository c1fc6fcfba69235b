from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gpu_doctor.checks.engine.plugins import GROUP
from gpu_doctor.checks.engine.registry import LoadedRule, load_rules
from gpu_doctor.model.finding import Rule

OWN = [item for item in load_rules() if item.origin.startswith("gpu_doctor.checks.")]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Install a distribution that announces these modules by their names."""

    def announce(**modules: ModuleType | None) -> dict[str, LoadedRule]:
        metadata = tmp_path / "somebody-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
        lines = [f"[{GROUP}]"]
        for name, module in modules.items():
            if module is not None:
                monkeypatch.setitem(sys.modules, f"somebody.{name}", module)
            lines.append(f"{name} = somebody.{name}")
        (metadata / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(tmp_path)
        return {item.rule.id: item for item in load_rules()}

    return announce


def plugin(rule_id: str = "my-rule", **changes: Any) -> ModuleType:
    module = ModuleType("somebody.plugin", "It is ill.\n\nWhat it finds. This.")
    values = {"RULE": Rule(rule_id, "My rule", "warning", "host"), "check": lambda _inventory, _facts: (), **changes}
    for name, value in values.items():
        setattr(module, name, value)
    return module


def test_every_rule_of_the_house_loads() -> None:
    assert {item.rule.id: item.broken for item in OWN if item.broken} == {}
    assert [item.rule.id for item in OWN] == sorted(item.rule.id for item in OWN)
    assert {"kernel-image-missing", "cudnn-unreachable", "driver-too-old"} < {item.rule.id for item in OWN}


@pytest.mark.parametrize("item", OWN, ids=lambda item: item.rule.id)
def test_a_rule_is_documented_and_its_patterns_compile(item: LoadedRule) -> None:
    for words in ("What it finds.", "Why it matters.", "What to do."):
        assert words in item.doc
    for pattern in item.rule.symptoms:
        re.compile(pattern)
    assert set(item.rule.yields_to) <= {other.rule.id for other in OWN}


def test_a_plugin_is_loaded_after_the_house(plugins: Any) -> None:
    rules = plugins(my_rule=plugin())
    assert list(rules)[-1] == "my-rule"
    assert (rules["my-rule"].broken, rules["my-rule"].origin) == ("", "somebody.my_rule")
    assert rules["my-rule"].doc.startswith("It is ill.")


def test_a_plugin_that_is_not_there_is_seen(plugins: Any) -> None:
    broken = plugins(gone_away=None)["gone-away"]
    assert "ModuleNotFoundError" in broken.broken
    assert (broken.rule.severity, tuple(broken.check(None, None))) == ("error", ())


@pytest.mark.parametrize(
    "changes", [{"RULE": None}, {"RULE": "my-rule"}, {"check": None}], ids=["none", "text", "check"]
)
def test_a_module_that_is_no_rule_is_seen(plugins: Any, changes: dict[str, Any]) -> None:
    assert "must define RULE" in plugins(half_a_rule=plugin(**changes))["half-a-rule"].broken


def test_a_plugin_cannot_take_the_id_of_another_rule(plugins: Any) -> None:
    rules = plugins(impostor=plugin("driver-missing"))
    assert rules["driver-missing"].origin == "gpu_doctor.checks.driver_missing"
    assert "taken by gpu_doctor.checks.driver_missing" in rules["driver-missing@somebody.impostor"].broken
