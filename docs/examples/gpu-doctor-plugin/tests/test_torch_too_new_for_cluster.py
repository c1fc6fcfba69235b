"""Judge a recorded machine: a sick torch, its healthy twin, none at all, and two that cannot be judged."""

from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version
from site_rules.torch_too_new_for_cluster import check

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model import plain
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.inventory import BuiltFor
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply

# What `gpu-doctor inventory --format json --output machine.json` wrote; a rule judges by nothing else.
MACHINE = plain.loads((Path(__file__).parent / "machine.json").read_text(encoding="utf-8"))
(TORCH,) = MACHINE.distributions


def judge(*builds: BuiltFor | None) -> list[Finding]:
    """Return what the rule finds on the recorded machine, with a torch for each of these builds."""
    torches = tuple(replace(TORCH, built_for=build) for build in builds)
    return list(check(replace(MACHINE, distributions=torches), Facts.load()))


def build(cuda: str) -> BuiltFor:
    """Return a build for this CUDA."""
    return BuiltFor(Version(cuda), "2.9.0", "torch/version.py")


def test_a_torch_for_a_newer_driver_is_sick() -> None:
    """Name both drivers."""
    (finding,) = judge(build("13.0"))
    assert finding.message == "torch 2.9.0 needs driver 580; the oldest nodes have 570.86."


def test_the_recorded_machine_is_healthy() -> None:
    """Leave it alone."""
    assert judge(TORCH.built_for) == []


def test_without_torch_there_is_nothing_to_judge() -> None:
    """Tell "does not apply" from health."""
    with pytest.raises(DoesNotApply):
        judge()


@pytest.mark.parametrize("unknown", [None, build("99.0")])
def test_what_cannot_be_known_is_not_health(unknown: BuiltFor | None) -> None:
    """Give up, with the reason."""
    with pytest.raises(CannotKnow, match=r"do not say|newer than the facts"):
        judge(unknown)
