"""wsl-pinned-memory: an "out of memory" that is not the GPU's."""

from __future__ import annotations

import pytest

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Outcome, Probe
from gpu_doctor.model.unknown import Unknown
from tests.checks.judge import commands, evidence, judge, judge_all, only
from tests.kit import dist, host, inventory, probe, trial

RULE = "wsl-pinned-memory"
OUT_OF_MEMORY = "RuntimeError: CUDA error: out of memory"


def asked(pinned: Outcome, detail: str = "", block: Outcome = "passed", said: str = "") -> Probe:
    trials = (trial("allocate memory", block, said), trial("pinned memory", pinned, detail))
    return probe("torch-gpu", "GPU 0", "answered", *trials, measured={"free memory": str(20 * 2**30)})


def machine(*probes: Probe, wsl: bool = True) -> Inventory:
    torch = dist("torch", "2.8.0", cuda="12.8")
    return inventory(torch, probes=probes, host=host(wsl=wsl))


def test_a_refused_lock_while_the_gpu_is_free() -> None:
    finding = only(judge(RULE, machine(asked("failed", OUT_OF_MEMORY))))
    assert (finding.severity, finding.subject) == ("error", "GPU 0")
    assert "the GPU's own memory is free" in finding.message
    assert evidence(finding)["free memory of the GPU"] == "20.0 GiB"
    assert evidence(finding)["memory that WSL has"] == "64.0 GiB"
    assert commands(finding)[-1] == "wsl --shutdown"


def test_a_full_gpu_is_the_other_illness() -> None:
    full = asked("failed", OUT_OF_MEMORY, "failed", "OutOfMemoryError: CUDA out of memory")
    assert judge(RULE, machine(full)).status == "passed"
    assert "gpu-out-of-memory" in {finding.rule for finding in judge_all(machine(full)).findings}


def test_a_lock_that_is_granted_is_healthy() -> None:
    assert judge(RULE, machine(asked("passed"))).status == "passed"


def test_an_experiment_that_was_not_made_proves_nothing() -> None:
    run = judge(RULE, machine(asked("skipped", "the GPU has no memory left")))
    assert (run.status, run.applies) == ("skipped", True)


@pytest.mark.parametrize("probes", [Unknown("only files were read"), ()])
def test_what_was_not_asked_is_not_known(probes: object) -> None:
    assert judge(RULE, inventory(host=host(wsl=True), probes=probes)).status == "skipped"


def test_elsewhere_it_does_not_apply() -> None:
    assert judge(RULE, machine(asked("failed", OUT_OF_MEMORY), wsl=False)).applies is False
