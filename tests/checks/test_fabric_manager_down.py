"""fabric-manager-down: GPUs that wait for their switches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, only
from tests.kit import host, inventory, probe, trial

RULE = "fabric-manager-down"
MODULE = Version("535.54.03")
NOT_READY = probe(
    *("cuda-init", "libcuda.so.1", "answered"),
    trial("cuInit", "failed", "CudaError: cuInit failed with 802 (…)", code="802", error="CUDA_ERROR_SYSTEM_NOT_READY"),
)
STARTED = probe("cuda-init", "libcuda.so.1", "answered", trial("cuInit", code="0"))
INSTALL = "sudo apt-get install 'nvidia-fabricmanager-535=535.54.03*'"
START = "sudo systemctl enable --now nvidia-fabricmanager"


def machine(state: str | Unknown | None, *probes: Probe, **changes: Any) -> Inventory:
    seen = host(**{"kernel_module": MODULE, "fabric_manager": state, **changes})
    return inventory(host=seen, probes=probes or Unknown("only files were read"))


@pytest.mark.parametrize(
    ("state", "words", "first"),
    [
        ("not installed", "the fabric manager is not installed", [INSTALL, START]),
        ("installed, not running", "the fabric manager is installed and does not run", [START]),
        ("running (process 713)", "the fabric manager runs, and has not joined the GPUs", []),
    ],
)
def test_error_802_is_the_proof(state: str, words: str, first: list[str]) -> None:
    finding = only(judge(RULE, machine(state, NOT_READY)))
    assert (finding.severity, finding.subject, finding.seats) == ("error", "nvidia-fabricmanager", ("driver",))
    assert words in finding.message
    assert commands(finding)[: len(first)] == first
    assert "802" in evidence(finding)["asked live: cuInit of libcuda.so.1"]
    assert evidence(finding)["fabric manager"] == state


@pytest.mark.parametrize("state", ["not installed", "installed, not running"])
def test_without_the_proof_it_is_a_warning(state: str) -> None:
    finding = only(judge(RULE, machine(state)))
    assert finding.severity == "warning"
    assert finding.message.endswith("CUDA may not start.")


@pytest.mark.parametrize("probes", [(), (NOT_READY,)])
def test_another_version_than_the_drivers(probes: tuple[Probe, ...]) -> None:
    other = machine("installed, not running", *probes, fabric_manager_version=Version("535.161.08"))
    finding = only(judge(RULE, other))
    assert finding.severity == ("error" if probes else "warning")
    assert "is of 535.161.08, and the driver of 535.54.03" in finding.message
    assert commands(finding) == [INSTALL, "sudo systemctl restart nvidia-fabricmanager"]
    assert evidence(finding)["its package"] == "535.161.08"


def test_a_start_that_succeeds_clears_it() -> None:
    assert judge(RULE, machine("not installed", STARTED)).status == "passed"


def test_one_that_runs_and_fits_is_healthy() -> None:
    assert judge(RULE, machine("running (process 713)", fabric_manager_version=MODULE)).status == "passed"


def test_a_container_is_sent_to_its_host() -> None:
    hidden = Unknown("the host's processes cannot be seen from inside the container")
    finding = only(judge(RULE, machine(hidden, NOT_READY, container="docker (/.dockerenv)")))
    assert finding.remedy is not None
    assert finding.remedy.summary == "Start the fabric manager on the host, not in this container."
    assert commands(finding)[0] == START


def test_in_a_container_nothing_is_guessed() -> None:
    run = judge(RULE, machine(Unknown("the host's processes cannot be seen"), container="docker (/.dockerenv)"))
    assert (run.status, run.applies, run.note) == ("skipped", True, "the host's processes cannot be seen")


def test_802_without_a_switch_may_be_confidential_computing() -> None:
    finding = only(judge(RULE, machine(None, NOT_READY)))
    assert finding.severity == "error"
    assert "no NVSwitch is visible" in finding.message
    assert commands(finding) == ["nvidia-smi conf-compute -grs"]


def test_an_unknown_driver_names_no_package() -> None:
    finding = only(judge(RULE, machine("not installed", kernel_module=None)))
    assert commands(finding)[0] == "sudo apt-get install nvidia-fabricmanager-…"


def test_machines_without_switches_need_none() -> None:
    run = judge(RULE, machine(None))
    assert (run.status, run.applies) == ("skipped", False)


def test_assumed_hardware_is_not_this_machines() -> None:
    assumed = replace(machine("not installed"), target=Target("python", None, "--python", ("sm_90",)))
    assert judge(RULE, assumed).applies is False
