"""The path, once, in order; and what a user may get wrong on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu_doctor import __version__, doctor
from gpu_doctor.errors import TargetNotFound, UnknownHardware, UsageError
from gpu_doctor.model.hardware import Driver
from gpu_doctor.model.unknown import Unknown
from tests.collect.environment import Environment
from tests.kit import dist, inventory, lib

TORCH_26 = inventory(
    dist("torch", "2.6.0", cuda="12.4", built="2.6.0+cu124"),
    libraries=(lib("torch/lib/libtorch_cuda.so", "torch", sass="50 60 70 75 80 86 90"),),
)


def test_from_the_target_to_the_report(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    environment.install("onnxruntime", "1.20.1", {"onnxruntime/__init__.py": "cpu"})
    environment.install("onnxruntime-gpu", "1.20.2", {"onnxruntime/__init__.py": "gpu!"})
    (environment.site / "onnxruntime/__init__.py").write_text("cpu")
    said: list[str] = []
    target = doctor.choose(None, str(environment.prefix), {}, str(tmp_path), ["RTX 4090"], "580")
    report = doctor.examine(target, {}, progress=said.append)
    (case,) = report.cases
    assert (case.verdict, case.findings[0].rule) == ("sick", "ort-packages-clash")
    assert (report.doctor, said[-1]) == (__version__, "judging")
    assert report.facts[:2] == "20"
    assert report.fails("error")


def test_the_target_is_what_the_user_names(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    target = doctor.choose(None, None, {"VIRTUAL_ENV": str(environment.prefix)}, str(tmp_path))
    assert "VIRTUAL_ENV" in target.chosen_by
    with pytest.raises(TargetNotFound):
        doctor.choose(None, str(tmp_path / "gone"), {}, str(tmp_path))


def test_a_saved_inventory_is_judged_without_the_machine() -> None:
    report = doctor.judge([TORCH_26, doctor.assume(TORCH_26, ["RTX 5090"], None)])
    assert [case.verdict for case in report.cases] == ["healthy", "sick"]
    assert report.cases[1].findings[0].subject == "torch on sm_120"


def test_other_hardware_takes_the_place_of_all_that_was_seen() -> None:
    other = doctor.assume(TORCH_26, ["T4"], None)
    assert isinstance(other.gpus, tuple)
    assert [gpu.sm for gpu in other.gpus] == ["sm_75"]
    assert isinstance(other.driver, Unknown)
    assert other.target.assumes_hardware
    again = doctor.assume(other, [], "525.60.13")
    assert isinstance(again.driver, Driver)
    assert again.gpus == other.gpus
    assert TORCH_26.target.gpus == ()


def test_words_without_meaning_are_refused() -> None:
    with pytest.raises(UnknownHardware):
        doctor.assume(TORCH_26, ["RTX 9999"], None)
    with pytest.raises(UnknownHardware):
        doctor.assumed_gpus(["RTX 9999"])
    assert [gpu.sm for gpu in doctor.assumed_gpus(["H100", "sm_89"])] == ["sm_90", "sm_89"]
    assert doctor.assumed_gpus([]) == ()


def rules_that_ran(**choice: Any) -> list[str]:
    return [run.rule for run in doctor.judge([TORCH_26], **choice).cases[0].runs]


def test_rules_are_selected_and_ignored() -> None:
    every = rules_that_ran()
    assert every == [item.rule.id for item in doctor.all_rules()]
    assert rules_that_ran(select=["driver-too-old"]) == ["driver-too-old"]
    assert rules_that_ran(ignore=["driver-too-old"]) == [name for name in every if name != "driver-too-old"]
    assert rules_that_ran(select=["driver-too-old", "driver-missing"], ignore=["driver-missing"]) == ["driver-too-old"]


@pytest.mark.parametrize("choice", [{"select": ["driver-to-old"]}, {"ignore": ["driver-to-old"]}])
def test_a_rule_that_there_is_not_is_a_mistake_with_a_hint(choice: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError, match="no rule 'driver-to-old'") as caught:
        doctor.judge([TORCH_26], **choice)
    assert "driver-too-old" in str(caught.value.hint)


def test_a_rule_is_explained() -> None:
    assert "minor-version compatibility" in doctor.explain("driver-too-old").doc
    with pytest.raises(UsageError) as caught:
        doctor.explain("zzz")
    assert "gpu-doctor rules" in str(caught.value.hint)


def test_only_what_ran_counts_for_the_verdict() -> None:
    sick = doctor.assume(TORCH_26, ["RTX 5090"], None)
    assert doctor.judge([sick], ignore=["kernel-image-missing"]).cases[0].verdict == "healthy"
    assert doctor.judge([sick], select=["driver-missing"]).cases[0].verdict == "undetermined"


def test_assuming_nothing_keeps_the_hardware_that_was_seen() -> None:
    assert doctor.assume(TORCH_26, [], None) == TORCH_26
