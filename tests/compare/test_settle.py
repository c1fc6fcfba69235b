"""What changes by itself is taken out of an inventory, and nothing that a rule judges by."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gpu_doctor.between import document, lasting
from gpu_doctor.compare.settle import MOMENTARY, settled
from gpu_doctor.model import plain
from gpu_doctor.model.case import Case
from gpu_doctor.model.hardware import GpuProcess
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.report import redact
from tests import kit
from tests.checks.judge import judge_all
from tests.patients.test_patients import EXPECTED, recorded

GIB = 2**30
# As if the recorded environment lay in somebody's home, on a machine with a name.
ADA = redact.Private.of({"HOME": "/opt/app", "USER": "ada"}, "ada", "machine", "/opt/app")


def same(document: object) -> object:
    return document


def said(case: Case) -> object:
    return [(f.rule, f.severity, f.subject, f.fingerprint, f.consequence_of) for f in case.findings]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_snapshot_of_a_patient_has_the_same_findings(name: str) -> None:
    live = judge_all(recorded(name))
    again = judge_all(plain.loads(document(recorded(name), lambda d: redact.plain(d, ADA))))
    assert said(again) == said(live)
    assert again.verdict == live.verdict
    assert [(run.rule, run.status) for run in again.runs] == [(run.rule, run.status) for run in live.runs]


def test_times_addresses_and_temporary_names_are_no_difference() -> None:
    def look(seconds: float, clock: str, address: str, folder: str) -> Inventory:
        log = f"{clock} [E:onnxruntime] at {address} in {folder}/model.onnx\n[W{clock[5:7]}{clock[8:10]} {clock[11:]} x.cpp]"
        probe = kit.probe(
            "import", "torch", "raised", reason=f"see {folder}", log=log, seconds=seconds, began=seconds / 2
        )
        return kit.inventory(probes=(replace(probe, trials=(kit.trial("t", detail=f"at {address}", seconds="0.1"),)),))

    one = look(1.25, "2026-11-20 20:18:03.010122917", "0x7f3a5c001200", "/tmp/tmpab12cd")
    two = look(2.5, "2026-11-21 08:00:00.500000000", "0x7f11aa00ee00", "/tmp/tmpzz99yy")
    assert document(one, same) == document(two, same)
    assert "model.onnx" in document(one, same)


def test_versions_and_small_numbers_stay() -> None:
    probe = kit.probe("import", "torch", "raised", log="torch 2.8.0 needs 0x80 of /tmp/data/file at 12:30")
    assert settled(kit.inventory(probes=(probe,))).probes == (probe,)


def test_the_state_of_an_idle_gpu_is_left_out() -> None:
    def look(free: int, *processes: GpuProcess) -> Inventory:
        return kit.inventory(gpus=(kit.gpu(free_bytes=free, processes=processes),))

    one, two = look(20 * GIB + 5), look(20 * GIB + 900, GpuProcess(7, "Xorg", 2**20))
    assert document(one, same) == document(two, same)
    (gpu,) = json.loads(document(two, same))["gpus"]
    assert gpu["processes"] == {"unknown": MOMENTARY.reason}
    assert "Xorg" not in document(two, same)


def test_a_full_gpu_keeps_what_makes_it_one() -> None:
    full = kit.inventory(gpus=(kit.gpu(free_bytes=100 * 2**20, processes=(GpuProcess(7, "trainer", 23 * GIB),)),))
    kept = lasting(full)
    assert kept.gpus == full.gpus
    (finding,) = judge_all(kept).findings
    assert (finding.rule, "trainer" in finding.message) == ("gpu-out-of-memory", True)


def test_memory_that_rounding_would_make_scarce_is_not_rounded() -> None:
    # 1.9 GiB of 24 are more than the twentieth that a rule asks for; 1 GiB is not.
    scarce = kit.inventory(gpus=(kit.gpu(free_bytes=int(1.9 * GIB), processes=()),))
    assert lasting(scarce).gpus == scarce.gpus
