"""What a plan says of a finding, in a sentence and in shell lines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.model.plan import HeldBack, Plan
from gpu_doctor.model.remedy import EditPins, ListInRecord, MakeLink, RunByHand, SetVariable, Step
from gpu_doctor.report import plans
from tests.report import patients, planned, repairs

SICK = planned.planned().cases[0]


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (MakeLink("/opt/a.so", "b.so"), "ln -sfn b.so /opt/a.so"),
        (SetVariable("LD_LIBRARY_PATH", None), "unset LD_LIBRARY_PATH"),
        (ListInRecord("/opt/x/RECORD", ("a",)), "# list-in-record /opt/x/RECORD"),
        (EditPins("/opt/pyproject.toml", ("torch==2.8.0",)), "# edit-pins /opt/pyproject.toml"),
        (RunByHand("sudo reboot", "it needs root"), "sudo reboot"),
    ],
)
def test_a_step_is_a_shell_line_or_a_comment(step: Step, line: str) -> None:
    assert plans.deed(step) == line


def test_a_finding_is_treated_held_back_or_not_meant() -> None:
    assert plans.planned(SICK, repairs.LOADED) == repairs.TREATMENT
    assert plans.planned(SICK, repairs.OLD) == repairs.PLAN.held_back[0]
    assert plans.planned(SICK, patients.SHADOW) is None
    assert plans.planned(replace(SICK, plan=None), repairs.LOADED) is None


def test_treatments_come_before_what_is_held_back() -> None:
    assert plans.parts(repairs.PLAN) == (*repairs.PLAN.treatments, *repairs.PLAN.held_back)
    assert plans.parts(Plan((), ())) == plans.parts(None) == ()


def test_what_is_told_is_a_sentence_and_its_steps() -> None:
    treated, held = plans.told(repairs.TREATMENT).splitlines(), plans.told(repairs.PLAN.held_back[0])
    assert treated[0] == "Would be repaired by: Place links beside the loader."
    assert treated[1:] == [f"  {plans.deed(step)}" for step in repairs.TREATMENT.steps]
    assert held == "Held back: this is for a person to do.\n  sudo apt install nvidia-driver-580"
    assert plans.told(HeldBack(repairs.SILENT, None, "no remedy is known")) == "Held back: no remedy is known."
    assert plans.told(HeldBack(repairs.SILENT, None, "a\x1b[2J\nb")) == "Held back: a\\x1b[2J b."
